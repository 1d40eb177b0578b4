"""What was done with rights: tokens, visibility, gates, deletions, merges. Each line of JSON seals those before it.

A line holds the SHA-256 of the line before it, and has MAX_LINE bytes at most: what was said in more is told by its
digest. Whoever changes or takes away one has to write all later ones anew, and
then the newest digest is another: note that down elsewhere (`glasshouse hub log --head`), and the log can be checked
against it. It is apart from the access log, and never cut.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from registry import canonical
from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.server.access.kept import MODE
from registry.server.locks import locked

FILE = "audit.jsonl"
FIRST = "0" * 64
"""What stands before the first line."""
OPERATOR = "operator"
"""Who works on the server's own machine."""
MAX_LINE = 16 << 10


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The log of the server whose folder is `root`."""

    root: Path

    def add(self, event: str, by: str, about: str, facts: Mapping[str, Any], request: str | None = None) -> None:
        """Append a line, flushed to the disk. about: a repository, or a token.  request: the id of the request."""
        self.root.mkdir(parents=True, exist_ok=True)
        private = partial(os.open, mode=MODE)
        with locked(self.root / "audit.lock"), open(self.root / FILE, "ab+", opener=private) as stream:
            os.fchmod(stream.fileno(), MODE)  # of one that was there before
            row = {"at": int(time.time()), "event": event, "by": by, "about": about, "before": _digest_of_last(stream)}
            more = {**facts, **({} if request is None else {"request": request})}
            line = canonical.dumps(row | ({"facts": more} if more else {}))
            if len(line) >= MAX_LINE:
                line = canonical.dumps(row | {"facts": {"sha256": canonical.digest(more)}})
            stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every line, the first of them first. Raises InputError at one that does not seal the one before it."""
        before = FIRST
        if not (self.root / FILE).exists():
            return
        with (self.root / FILE).open("rb") as stream:
            for number, data in enumerate(stream, start=1):
                row = canonical.parse(data.rstrip(b"\n"), name=f"line {number} of {FILE}", max_bytes=MAX_LINE)
                if not isinstance(row, dict) or row.get("before") != before:
                    raise InputError(
                        f"line {number} of {FILE} does not go with the lines before it: one was changed or taken away",
                        mend="compare it with a backup",
                    )
                before = sha256_bytes(data)
                yield row

    def head(self) -> str:
        """The digest of the newest line, which seals all of them."""
        if not (self.root / FILE).exists():
            return FIRST
        with (self.root / FILE).open("rb") as stream:
            return _digest_of_last(stream)


def _digest_of_last(stream: BinaryIO) -> str:
    """The digest of the last line. What a power cut left of one more is taken away, where the stream can be written."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - 2 * MAX_LINE))
    whole, _, torn = stream.read().rpartition(b"\n")
    if torn and stream.writable():
        stream.truncate(end - len(torn))
    return sha256_bytes(whole.rpartition(b"\n")[2] + b"\n") if whole else FIRST
