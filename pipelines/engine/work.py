"""What an engine does: one piece of work, on each of many shards, the answers in the shards' order.

Law: `list(answers(engine, shards))` is `[work(shard) for shard in shards]`, whatever the engine.
Memory: TASKS shards and answers for each process of the engine, and one more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from pipelines.engine.kept import KeptAnswers

TASKS = 3
"""How many shards are under way for each process: one in work, the others wait beside it."""

Answer = Callable[[], bytes]
"""Waits for the answer, and gives it."""


class Work(Protocol):
    """What is done with a shard. It can be pickled, and depends on nothing but itself and the shard."""

    @property
    def digest(self) -> str:
        """What decides its answers beside the shard, the code and the packages: 64 lowercase hex characters."""

    def __call__(self, shard: bytes) -> bytes:
        """The answer. Raises a GlasshouseError for a shard that it refuses."""


class Engine(Protocol):
    """Does one piece of work, somewhere."""

    @property
    def width(self) -> int:
        """How many processes it has; 0: it answers in this one, when it is asked to."""

    def begin(self, shard: bytes) -> Answer:
        """Begin the work on a shard.

        What it returns raises what the work raises, and Unavailable where the engine lost the shard for good.
        """


def answers(
    engine: Engine,
    shards: Iterable[bytes],
    kept: KeptAnswers | None = None,
    advance: Callable[[int], None] = lambda steps: None,
) -> Iterator[bytes]:
    """The answer to each shard, in order. What `kept` has is not asked for again, and what it lacks it gets.

    advance: told of each shard that is answered.
    """
    waiting: deque[Answer] = deque()

    def next_answer() -> bytes:
        found = waiting.popleft()()
        advance(1)
        return found

    for shard in shards:
        waiting.append(engine.begin(shard) if kept is None else _begun(engine, shard, kept))
        if len(waiting) > TASKS * engine.width:
            yield next_answer()
    while waiting:
        yield next_answer()


def _begun(engine: Engine, shard: bytes, kept: KeptAnswers) -> Answer:
    """The answer that is kept, or one that will be."""
    place = kept.place(shard)
    if (known := kept.read(place)) is not None:
        return lambda: known
    answer = engine.begin(shard)

    def keep() -> bytes:
        kept.write(place, found := answer())
        return found

    return keep
