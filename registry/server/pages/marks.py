"""What is said of a release in one word, and how grave it is: the same on every page, and on the badge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from registry.openness.framework import TITLES
from registry.records.openness_record import OpennessClass
from registry.report import Verdict
from registry.server.pages.checking import KeptReport
from registry.server.pages.index import IndexRow

Tone = Literal["good", "seen", "plain", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A word on a release. tone: which colour it has.  why: the word in a sentence."""

    tone: Tone
    word: str
    why: str

    def as_json(self) -> dict[str, str]:
        """The form that the JSON of a page has."""
        return {"tone": self.tone, "word": self.word, "why": self.why}


UNSIGNED = Mark("plain", "not a signed release", "nothing here says who made it, and of what")
FAILS = Mark("bad", "fails", "verification on this server found what does not hold")


def standing_of(word: str | None) -> Mark | None:
    """What the newest word on its status makes of a release; None where it is in use, or nobody spoke."""
    match word:
        case "yanked":
            return Mark("bad", "yanked", "its maintainers took it back: do not use it")
        case "superseded":
            return Mark("warn", "superseded", "there is a newer release to go to")
        case "candidate":
            return Mark("plain", "candidate", "it is published, and not promoted yet")
    return None


def signature_of(holds: bool, named: bool, report: KeptReport | None) -> Mark:
    """What is known of its signatures. report: what this server found, where that is still all that is known."""
    if report is not None and report.verdict is Verdict.FAIL:
        return FAILS
    if not holds:
        return Mark("bad" if named else "warn", "signature unproven", "the release statement does not hold by a signer "
                    "that is expected, or nobody can tell who signed it")  # fmt: skip
    if report is None:
        return Mark("plain", "signed", "the signature holds; this server has not verified the files")
    if report.verdict is Verdict.UNKNOWN:
        return Mark("warn", "checked in part", "nothing failed, and not everything could be checked")
    if named:
        return Mark("good", "verified", "every check holds, by the signer whom this server's operator names")
    return Mark("seen", "holds", "every check holds, if its signer is the one you expect: this server names nobody")


def rebuilt_of(times: int | None, differs: bool) -> Mark | None:
    """What others made of it who built it anew; None where nobody did whom the operator names."""
    if differs:
        return Mark("bad", "rebuild differs", "a rebuilder whom this server's operator names found it DIFFERENT")
    if not times:
        return None
    words = f"rebuilt {times} times" if times > 1 else "rebuilt once"
    return Mark("good", words, "by rebuilders whom this server's operator names, none of whom signed the release")


def openness_of(reached: OpennessClass | None, holds: bool, named: bool) -> Mark | None:
    """The class that the signed record says; None where it says none, or the signature does not hold."""
    if reached is None or not holds:
        return None
    words = f"{TITLES[reached]} by the Model Openness Framework, as the signed record says"
    return Mark("good" if named else "seen", f"class {reached}", words)


def of_row(row: IndexRow, report: KeptReport | None) -> list[Mark]:
    """What is said of the newest release of a repository, the gravest first."""
    new = row.released
    if new is None:
        return [] if row.name.kind == "datasets" else [UNSIGNED]
    found = (
        standing_of(new.standing),
        signature_of(new.holds, new.named, report),
        rebuilt_of(new.rebuilt, new.differs),
        openness_of(new.openness, new.holds, new.named),
    )
    return [mark for mark in found if mark is not None]
