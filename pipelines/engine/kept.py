"""Answers that were had before a stage was killed: they are read again, and only what is missing is worked on.

A folder of the stage's own, beside what it writes, holds a file for each shard, named by all that decides the answer:
the shard, the work, the code and the packages. It holds the answer's digest and the answer. What is not whole, or not
as its digest says, counts as missing. The folder goes when the stage has ended well.

An audit reads none of it: a source can bring along answers that no work ever gave.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry import variables
from registry.errors import InputError
from registry.files import read_bytes

MAX_ANSWER = 256 << 20
"""The most bytes that are read of a file."""


class KeptAnswers:
    """What is kept in `folder` of the work that `about` stands for."""

    def __init__(self, folder: Path, about: str) -> None:
        self._folder, self._about = folder, about.encode()

    @classmethod
    @contextmanager
    def beside(cls, out: Path, about: str) -> Iterator[KeptAnswers]:
        """For the stage that writes `out`. Within: what is kept stays there if an error ends the block."""
        kept = cls(out.with_name(f".{out.name}.shards"), about)
        yield kept
        shutil.rmtree(kept._folder, ignore_errors=True)

    def place(self, shard: bytes) -> Path:
        """Where the answer to `shard` is, or would be."""
        name = hashlib.sha256(self._about + shard).hexdigest()
        return self._folder / name[:2] / name

    def read(self, place: Path) -> bytes | None:
        """The answer that is kept there; None where there is none, or not the one that was written, and in an audit."""
        if os.environ.get(variables.REHASH):
            return None
        try:
            data = read_bytes(place, MAX_ANSWER)
        except InputError:
            return None
        said, answer = data[:32], data[32:]
        return answer if hashlib.sha256(answer).digest() == said else None

    def write(self, place: Path, answer: bytes) -> None:
        """Keep an answer. It is not flushed to the disk: what a power cut leaves of it is not as its digest says."""
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(".part")
        with beside.open("wb") as stream:
            stream.write(hashlib.sha256(answer).digest())
            stream.write(answer)
        beside.replace(place)
