"""Gates: a repository that anybody finds, and whose files are for those who asked and were let in.

    auto      whoever asks, by name, is let in
    manual    whoever may write decides

Law: `access.json` in the repository's folder has one line of everybody who asked or was let in; it is read each time.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from registry.files import write_atomic
from registry.records.record import Record
from registry.server.problems import Problem
from registry.server.store.repository import GATE, GateKind, Repository

FILE = "access.json"
MAX_ASKING = 20_000
Standing = Literal["pending", "accepted", "rejected"]


class AccessAsked(Record):
    """Somebody who asked, or was let in."""

    user: str
    """Whose token it was."""
    status: Standing
    """What became of it."""
    at: int
    """When it became that: seconds since 1970."""
    reason: Annotated[str, Field(max_length=65_536)] = ""
    """Why it was rejected."""

    @property
    def request_id(self) -> str:
        """What clients call it."""
        return hashlib.sha256(self.user.encode()).hexdigest()[:24]


class _Access(Record):
    """access.json."""

    schema_: Literal["glasshouse.access/v1"] = Field("glasshouse.access/v1", alias="schema")
    asked: tuple[AccessAsked, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessGate:
    """The gate of a repository."""

    repo: Repository

    @property
    def kind(self) -> GateKind | None:
        """How it is kept; None where there is none."""
        return self.repo.gated

    def set(self, kind: GateKind | None) -> None:
        """Make it, change it, or take it away; who was let in stays so."""
        with self.repo.lock():
            if kind is None:
                (self.repo.folder / GATE).unlink(missing_ok=True)
            else:
                write_atomic(self.repo.folder / GATE, kind.encode())

    def lets_in(self, user: str) -> bool:
        """Whether somebody of that name was let in."""
        return any(each.user == user and each.status == "accepted" for each in self.asked())

    def standing(self, user: str) -> Standing | None:
        """What became of somebody's asking; None for who has not asked."""
        known = self._of(user)
        return None if known is None else known.status

    def asked(self, status: Standing | None = None) -> list[AccessAsked]:
        """Who asked, the first of them first: those of that status, or all."""
        path = self.repo.folder / FILE
        found = _Access.read(path).asked if path.exists() else ()
        return [each for each in found if status in (None, each.status)]

    def ask(self, user: str) -> Standing:
        """Ask for somebody; what becomes of it. Who was rejected stays so. Raises Problem 400 without a gate."""
        with self.repo.lock():
            if self.kind is None:
                raise Problem(400, f"{self.repo.name} has no gate: its files are open")
            known = self._of(user)
            if known is not None:
                return known.status
            status: Standing = "accepted" if self.kind == "auto" else "pending"
            self._put(AccessAsked(user=user, status=status, at=int(time.time())))
        return status

    def decide(self, user: str, status: Standing, reason: str = "", *, granted: bool = False) -> None:
        """Let somebody in, or not, or let them wait.

        granted: whether they need not have asked.  Raises Problem 404 where they have not, 400 where it is so already.
        """
        with self.repo.lock():
            if self.kind is None:
                raise Problem(400, f"{self.repo.name} has no gate: its files are open")
            known = self._of(user)
            if known is None and not granted:
                raise Problem(404, f"{user} has not asked")
            if known is not None and known.status == status:
                raise Problem(400, f"the access of {user} is {status} already")
            self._put(AccessAsked(user=user, status=status, at=int(time.time()), reason=reason))

    def _of(self, user: str) -> AccessAsked | None:
        return next((each for each in self.asked() if each.user == user), None)

    def _put(self, row: AccessAsked) -> None:
        others = tuple(each for each in self.asked() if each.user != row.user)
        if len(others) >= MAX_ASKING:
            raise Problem(429, f"{MAX_ASKING} have asked for access already")
        write_atomic(self.repo.folder / FILE, _Access(asked=(*others, row)).to_bytes())
