"""Digests that were measured before, by what the file system says of a file: where that is believed, nothing is hashed.

A file whose size, times, inode and disk are what they were when it was hashed has the bytes that it had, as far as this
machine can be trusted: whoever may write to the directory, or set the clock, can make it look so. So it is for those
who ask for it; everybody else hashes.

Law: `Remembered(root, note, believe=False)` measures what `Tree(root)` does.
"""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from registry import canonical
from registry.digest import Algorithm, Digests, Progress
from registry.errors import InputError
from registry.files import write_atomic
from registry.records.record import Record, Sha256
from registry.verification.tree import Tree, Wanted

MAX_BYTES = 64 << 20


class MeasuredFile(Record):
    """A file when it was hashed."""

    stat: tuple[str, ...] = Field(min_length=5, max_length=5)
    """Its size in bytes, when its bytes and its inode last changed (nanoseconds), its inode and its disk; as text,
    because they exceed what JSON can hold."""
    sha256: Sha256 | None
    """SHA-256 of its bytes; None where it was not measured."""
    blake3: Sha256 | None
    """BLAKE3 of its bytes; None where it was not measured."""


class MeasuredFiles(Record):
    """What was measured of the files of one directory."""

    schema_: Literal["glasshouse.measured/v1"] = Field("glasshouse.measured/v1", alias="schema")
    """The format, with its version."""
    files: dict[str, MeasuredFile]
    """By path, relative to the directory."""


class Remembered(Tree):
    """A directory of plain files, of which some were measured before.

    note: the file that says so.  believe: whether to take what it says of a file that was not touched since.
    """

    def __init__(self, root: Path, note: Path, *, believe: bool) -> None:
        super().__init__(root)
        self._note, self._believe = note, believe
        self._seen: dict[str, MeasuredFile] = {}

    def digests(self, wanted: Wanted, progress: Progress | None = None) -> list[Digests]:
        """What was measured of each file, now or before. Raises OSError as `Tree.digests`."""
        known = self._read() if self._believe else {}
        before = [_stat(self.root / path) for path, _ in wanted]
        found = [_known(known.get(path), stat, asked) for (path, asked), stat in zip(wanted, before, strict=True)]
        missing = [file for file, digests in zip(wanted, found, strict=True) if digests is None]
        measured = iter(super().digests(missing, progress))
        told = [next(measured) if digests is None else digests for digests in found]
        self._seen = {
            path: MeasuredFile(stat=stat, sha256=digests.sha256, blake3=digests.blake3)
            for (path, _), stat, digests in zip(wanted, before, told, strict=True)
        }
        return told

    def write(self) -> None:
        """Remember what was measured, where there is a way to; whoever may not write there hashes again."""
        with suppress(OSError):
            write_atomic(self._note, MeasuredFiles(files=self._seen).to_bytes())

    def _read(self) -> dict[str, MeasuredFile]:
        try:
            return MeasuredFiles.from_json(canonical.read(self._note, max_bytes=MAX_BYTES), name=self._note.name).files
        except InputError:
            return {}  # there is none, or none that can be read: then everything is hashed


def _known(seen: MeasuredFile | None, stat: tuple[str, ...], asked: frozenset[Algorithm]) -> Digests | None:
    """What is remembered of a file; None where it was touched since, or not measured by all of `asked`."""
    if seen is None or seen.stat != stat or any(getattr(seen, algorithm) is None for algorithm in asked):
        return None
    return Digests(**{algorithm: getattr(seen, algorithm) for algorithm in asked})


def _stat(path: Path) -> tuple[str, ...]:
    found = path.lstat()
    return tuple(map(str, (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)))
