"""How one thing stands that somebody may need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.report import Verdict


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing of this machine.

    name: what a person calls it.  found: how it stands.  mend: how to put it right; None where there is nothing to do.
    """

    name: str
    verdict: Verdict
    found: str
    mend: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"name": self.name, "verdict": str(self.verdict), "found": self.found, "mend": self.mend}


def good(name: str, found: str) -> Condition:
    """It is there, and works."""
    return Condition(name, Verdict.PASS, found)


def bad(name: str, found: str, *, mend: str) -> Condition:
    """It is not there, or does not work."""
    return Condition(name, Verdict.FAIL, found, mend)


def spared(name: str, found: str, *, mend: str) -> Condition:
    """It is not there, and nothing that was asked for needs it."""
    return Condition(name, Verdict.PASS, found, mend)


def unknown(name: str, found: str, *, mend: str) -> Condition:
    """It could not be told."""
    return Condition(name, Verdict.UNKNOWN, found, mend)
