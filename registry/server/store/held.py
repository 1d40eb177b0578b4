"""What was read whole and held, so that nobody reads it again before it is written again.

A file of lines `stamp name`. It is only a memory: without it, everything is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from registry.digest import sha256_bytes
from registry.files import write_atomic
from registry.server.store.places import HELD


@dataclass(slots=True)
class HeldMemory:
    """The memory of the server whose folder is `root`. everything: whether nothing that it says is believed."""

    root: Path
    everything: bool = False
    _before: dict[str, str] = field(default_factory=dict)
    _now: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with suppress(FileNotFoundError):
            lines = (self.root / HELD).read_text(errors="replace").splitlines()
            self._before = {name: stamp for stamp, _, name in (line.partition(" ") for line in lines)}

    def knows(self, name: str, stamp: str) -> bool:
        """Whether `name` held when it was of that stamp; then it is remembered further."""
        if self.everything or self._before.get(name) != stamp:
            return False
        self._now[name] = stamp
        return True

    def add(self, name: str, stamp: str) -> None:
        """It was read, and holds."""
        self._now[name] = stamp

    def save(self) -> None:
        """Keep what was read and holds now."""
        write_atomic(self.root / HELD, "".join(f"{stamp} {name}\n" for name, stamp in self._now.items()).encode())


def stamp_of(repository: Path) -> str:
    """Changes when git writes a ref, an object or a pack of the repository in that folder."""
    return sha256_bytes("\n".join(sorted(_written(repository))).encode())[:32]


def _written(repository: Path) -> Iterator[str]:
    for name in ("HEAD", "config", "packed-refs"):
        with suppress(FileNotFoundError):
            yield f"{name} {(repository / name).stat().st_mtime_ns}"
    for folder, _, files in os.walk(repository / "refs"):
        for name in (".", *files):
            with suppress(FileNotFoundError):
                yield f"{folder}/{name} {Path(folder, name).stat().st_mtime_ns}"
    for folder, _, files in os.walk(repository / "objects"):
        with suppress(FileNotFoundError):
            yield f"{folder} {len(files)} {Path(folder).stat().st_mtime_ns}"
