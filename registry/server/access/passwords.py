"""Passwords: argon2id in the library's own measure, of bounded length, and a bounded number of attempts.

Law: whether there is such a user cannot be told from the time that an attempt takes.
Sources: RFC 9106 (argon2); NIST SP 800-63B, 3.1.1 (length, Unicode, no rules of composition).
"""

from __future__ import annotations

import time
import unicodedata
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from registry.errors import InputError
from registry.server.access.limits import Rates
from registry.server.problems import Problem, busy

MIN_LENGTH = 12
"""Characters."""
MAX_BYTES = 1024
AT_ONCE = 2
"""Hashes that are made at once, of one process: each takes 64 MiB."""
PATIENCE = 10.0
"""Seconds that one more waits for its turn."""
ADDRESS_RATE, ADDRESS_BURST = 1 / 6, 30
NAME_RATE, NAME_BURST = 1 / 60, 10
"""Attempts a second on average, and at once: of one address, and for one name, for each worker."""
_HASHER = PasswordHasher()
_TURNS = BoundedSemaphore(AT_ONCE)


def made(password: str) -> str:
    """What is kept of a password. Raises InputError for one that is too short or too long."""
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < MIN_LENGTH or len(plain.encode("utf-8", "surrogateescape")) > MAX_BYTES:
        raise InputError(
            f"a password has {MIN_LENGTH} characters or more, and at most {MAX_BYTES} bytes",
            mend="take a few words that nobody would guess",
        )
    return _HASHER.hash(plain.encode("utf-8", "surrogateescape"))


def holds(encoded: str | None, password: str) -> bool:
    """Whether that is the password; for None, which is nobody's, False after the same work.

    Raises Problem 503 where others take too long.
    """
    plain = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogateescape")[: MAX_BYTES + 1]
    if not _TURNS.acquire(timeout=PATIENCE):
        raise busy("signing in")
    try:
        return _HASHER.verify(encoded or _nobodys(), plain) and encoded is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _TURNS.release()


@cache
def _nobodys() -> str:
    return _HASHER.hash(b"nobody's")


class Attempts:
    """How often one process lets somebody try: from one address, and for one name."""

    def __init__(self) -> None:
        self._addresses = Rates(ADDRESS_RATE, ADDRESS_BURST)
        self._names = Rates(NAME_RATE, NAME_BURST)

    def take(self, address: str, name: str) -> None:
        """Count one. Raises Problem 429, with when to come again, for one too many."""
        now = time.monotonic()
        wait = self._addresses.take(address, now) or self._names.take(name.lower()[:100], now)
        if wait:
            raise Problem(429, "too many attempts to sign in", headers={"Retry-After": str(int(wait) + 1)})
