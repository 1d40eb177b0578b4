"""What this machine heard of releases before, so that nobody can make it forget: a yank, and the newest word's number.

It only ever makes an answer worse. What is kept is what those said who may speak of a release by the policy that was
asked: each policy's speakers have a memory of their own, so that one who is trusted in one cannot speak in another.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from registry import canonical
from registry.attest.signers import AllowedSigner
from registry.attest.statement import Subject
from registry.errors import InputError
from registry.files import read_bytes, write_atomic
from registry.records.record import Record, Sha256
from registry.variables import MEMORY, XDG_STATE_HOME
from registry.verification.spoken import Heard

MAX_BYTES = 1 << 16
OFF = "off"


class HeardBefore(Record):
    """What was heard of one release."""

    schema_: Literal["glasshouse.heard/v1"] = Field("glasshouse.heard/v1", alias="schema")
    """The format, with its version."""
    release: Annotated[str, StringConstraints(max_length=1024)]
    """Its name, for whoever looks into the file."""
    number: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """The highest number of a word; 0 where none had any."""
    statement: Sha256 | None = None
    """SHA-256 of the statement with that number."""
    yank: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """What took it back; None where nothing did."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What was heard of releases, each in a file of its own in a folder."""

    folder: Path
    """The folder."""

    @classmethod
    def here(cls) -> Self | None:
        """This user's: in GLASSHOUSE_MEMORY, else in the user's folder of states; None where that says `off`."""
        chosen = os.environ.get(MEMORY)
        if chosen == OFF:
            return None
        if chosen:
            return cls(Path(chosen).expanduser())
        return cls(Path(os.environ.get(XDG_STATE_HOME) or Path.home() / ".local/state") / "glasshouse" / "heard")

    def recall(self, subject: Subject, speakers: Sequence[AllowedSigner]) -> HeardBefore | None:
        """What those who may speak said of the release `subject`. Raises InputError for a file that cannot be read."""
        place = self._place(subject, speakers)
        try:
            if not place.is_file():
                return None
        except OSError as problem:
            raise InputError(f"{place}: {problem.strerror}", mend=_mend(place)) from problem
        data = read_bytes(place, MAX_BYTES, mend=_mend(place))
        return HeardBefore.from_bytes(data, name=str(place), max_bytes=MAX_BYTES)

    def keep(self, subject: Subject, speakers: Sequence[AllowedSigner], heard: Heard) -> None:
        """Remember what was heard now, too; where it cannot be written, whoever verifies next knows less."""
        with suppress(InputError, OSError):
            before = self.recall(subject, speakers) or HeardBefore(release=subject.name)
            last = heard.numbered[-1] if heard.numbered and heard.fork is None else None
            number = last.status.number or 0 if last else 0
            newer = {"number": number, "statement": last.digest} if last and number > before.number else {}
            yank = {"yank": str(heard.yank)[:4096]} if heard.yank and before.yank is None else {}
            if newer or yank:
                place = self._place(subject, speakers)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(place, before.model_copy(update={**newer, **yank}).to_bytes())

    def _place(self, subject: Subject, speakers: Sequence[AllowedSigner]) -> Path:
        rules = sorted(canonical.dumps(rule.as_json()) for rule in speakers)
        what = hashlib.sha256(b"\n".join([subject.name.encode(), subject.sha256.encode(), *rules]))
        return self.folder / f"{what.hexdigest()}.json"


def _mend(place: Path) -> str:
    return f"look at it, and remove it: rm {place}"
