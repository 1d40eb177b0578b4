"""Sessions of browsers: who is signed in. Each is a file in the server's folder, named by the digest of its secret.

Law: a session's secret is made anew at each sign-in, is told to one browser, and is not kept here. It ends after
SECONDS, at sign-out, with its user's password, and with its user.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from registry.errors import InputError
from registry.files import write_atomic
from registry.records.record import Record
from registry.server.access.kept import MODE

FOLDER = "sessions"
SECONDS = 7 * 24 * 3600
BYTES = 32
"""Random bytes of a secret."""
MAX_OF_ONE = 20
"""Sessions of one user; beyond them the oldest ends."""
MAX_FILE = 4096


class _Session(Record):
    """A file of the folder."""

    schema_: Literal["glasshouse.session/v1"] = Field("glasshouse.session/v1", alias="schema")
    user: str
    created: int
    expires: int


class SessionStore:
    """The sessions of the server whose folder is `root`."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def open(self, user: str) -> str:
        """The secret of a new session. Those that are over are swept away."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = sorted(((row.created, path) for path, row in self._all() if row.user == user), reverse=True)
        for _, path in known[MAX_OF_ONE - 1 :]:
            path.unlink(missing_ok=True)
        secret, now = secrets.token_urlsafe(BYTES), int(time.time())
        made = _Session(user=user, created=now, expires=now + SECONDS)
        write_atomic(self._place(secret), made.to_bytes(), MODE)
        return secret

    def user(self, secret: str) -> str | None:
        """Who is signed in by that secret; None for nobody."""
        row = _read(self._place(secret))
        return None if row is None or row.expires <= time.time() else row.user

    def close(self, secret: str) -> None:
        """End a session."""
        self._place(secret).unlink(missing_ok=True)

    def close_all(self, user: str) -> None:
        """End every session of a user."""
        for path, row in self._all():
            if row.user == user:
                path.unlink(missing_ok=True)

    def _all(self) -> list[tuple[Path, _Session]]:
        """Those that hold; the others are taken away."""
        found = []
        for path in sorted(self._folder.glob("[0-9a-f]*")):
            row = _read(path)
            if row is None or row.expires <= time.time():
                path.unlink(missing_ok=True)
            else:
                found.append((path, row))
        return found

    def _place(self, secret: str) -> Path:
        return self._folder / hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> _Session | None:
    try:
        return _Session.read(path, max_bytes=MAX_FILE)
    except InputError:
        return None
