"""What came of a data set's stream before a stage was killed, and the position from which it goes on.

    .corpus.stream/    beside what the stage writes: for each part of a split, its documents and the position after them

Law: a stream that goes on gives the documents that it gives when nothing interrupts it. Files of the data set that were
done are not asked for again, but for the one before that in which it was killed, and the first one, whose columns
`datasets` looks at. A part is of bounded size, so memory is, too. What is kept is only of one commit, one choice of
columns, this code and these packages; it goes when the stage has ended well.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pipelines.corpus import shards
from pipelines.corpus.documents import Document
from pipelines.engine.identity import own_identity
from pipelines.engine.kept import KeptAnswers

BYTES = 8 << 20
"""A part is closed once it holds so many bytes of text."""
DOCUMENTS = 10_000
"""Or so many documents."""
LEVEL = 1
"""How hard zlib tries: text takes a third of its room, at a hundred megabytes a second."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a split was read."""

    rows: int = 0
    """How many rows."""
    state: Any = None
    """What `datasets` goes on from, as JSON has it; None: from the beginning."""
    ended: bool = False
    """Whether that was all."""


Begin = Callable[[Position], tuple[Iterable[Document], Callable[[], Any]]]
"""(a position) to the documents after it, and what tells the state after the last one that was given."""


class KeptStream:
    """What is kept of the stream that `about` stands for, in `folder`; None: nothing is."""

    def __init__(self, folder: Path | None, about: str) -> None:
        self._kept = None if folder is None else KeptAnswers(folder, f"{own_identity()} {about}")

    def documents(self, split: str, begin: Begin) -> Iterator[Document]:
        """The documents of a split: those that are kept, and then those that `begin` gives."""
        position, number = Position(), 0
        for number in count():
            part = self._read(split, number)
            if part is None:
                break
            documents, position = part
            yield from documents
        if not position.ended:
            yield from self._goes_on(split, number, position, begin)

    def _goes_on(self, split: str, number: int, position: Position, begin: Begin) -> Iterator[Document]:
        documents, state = begin(position)
        waiting, size, rows = list[Document](), 0, position.rows
        for document in documents:
            waiting.append(document)
            size, rows = size + document.size, rows + 1
            if size >= BYTES or len(waiting) >= DOCUMENTS:
                self._write(split, number, waiting, Position(rows, state()))
                waiting, size, number = [], 0, number + 1
            yield document
        self._write(split, number, waiting, Position(rows, ended=True))

    def _read(self, split: str, number: int) -> tuple[list[Document], Position] | None:
        """A part; None where there is none that is whole."""
        if self._kept is None or (data := self._kept.read(self._kept.place(_name(split, number)))) is None:
            return None
        head, _, packed = data.partition(b"\n")
        rows, state, ended = json.loads(head)
        return shards.unpacked(zlib.decompress(packed)) if packed else [], Position(rows, state, ended)

    def _write(self, split: str, number: int, documents: Sequence[Document], position: Position) -> None:
        if self._kept is None:
            return
        head = json.dumps([position.rows, position.state, position.ended]).encode()
        packed = zlib.compress(shards.packed(documents), LEVEL) if documents else b""
        self._kept.write(self._kept.place(_name(split, number)), head + b"\n" + packed)


def folder(out: Path) -> Path:
    """Where the stage that writes `out` keeps its streams."""
    return out.with_name(f".{out.name}.stream")


@contextmanager
def until_done(out: Path) -> Iterator[None]:
    """Within: what is kept for the stage that writes `out` stays there if an error ends the block."""
    yield
    shutil.rmtree(folder(out), ignore_errors=True)


def _name(split: str, number: int) -> bytes:
    return f"{split}/{number}".encode()
