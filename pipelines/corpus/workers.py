"""The rules asked by several processes: the answers come in the documents' order, so their number changes no byte.

Memory: TASKS tasks a process, of TASK_BYTES of text each, or of one document.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack

from pipelines.corpus.documents import Document
from pipelines.corpus.rules import RuledDocument, Rules
from registry import variables
from registry.errors import InputError

TASK_BYTES = 1 << 20
TASK_DOCUMENTS = 1_000
TASKS = 3
_rules: list[Rules] = []
"""Those of a worker."""


def processes() -> int:
    """How many processes ask: GLASSHOUSE_PROCESSES, else one a core. Raises InputError where it is not a number."""
    asked = os.environ.get(variables.PROCESSES) or str(len(os.sched_getaffinity(0)))
    if not asked.isdecimal() or not 1 <= int(asked) <= 1024:
        raise InputError(
            f"{variables.PROCESSES} is {asked[:50]!r}, not a number from 1 on", mend="set it to 1, or unset it"
        )
    return int(asked)


def looked(documents: Iterable[Document], rules: Rules, count: int) -> Iterator[RuledDocument]:
    """What the rules say of each document, in order, by `count` processes; by this one alone where that is 1."""
    if count == 1:
        yield from map(rules.look, documents)
        return
    with ExitStack() as stack:
        context = multiprocessing.get_context("forkserver")
        pool = stack.enter_context(ProcessPoolExecutor(count, context, initializer=_begin, initargs=(rules,)))
        stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[Future[list[RuledDocument]]] = deque()
        for task in _tasks(documents):
            waiting.append(pool.submit(_look, task))
            if len(waiting) > TASKS * count:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _tasks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    task, size = list[Document](), 0
    for document in documents:
        task.append(document)
        size += len(document.data or b"")
        if size >= TASK_BYTES or len(task) >= TASK_DOCUMENTS:
            yield task
            task, size = [], 0
    if task:
        yield task


def _begin(rules: Rules) -> None:
    _rules[:] = [rules]


def _look(documents: list[Document]) -> list[RuledDocument]:
    return [_rules[0].look(document) for document in documents]
