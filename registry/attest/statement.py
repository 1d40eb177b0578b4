"""What is signed: an in-toto statement, "this predicate holds of these subjects".

Law: `Statement.parse(s.to_bytes()) == s`, and equal statements give equal bytes.
Source: in-toto attestation framework, spec/v1/statement.md and resource_descriptor.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from registry import canonical
from registry.digest import is_sha256
from registry.errors import Malformed

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""The media type of a statement inside its envelope."""

MAX_BYTES = 24 << 20
"""The largest statement that is read: in base64 it fills the largest bundle (32 MiB)."""
MAX_TEXT = 1024
"""Characters of a subject's name or a predicate's type."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One thing spoken of.

    Raises: Malformed for any other shape.
    """

    name: str
    """What it is called: for a file, its path relative to the release. 1 to 1024 printable characters."""
    sha256: str
    """SHA-256 of its bytes, as 64 lowercase hex characters."""

    def __post_init__(self) -> None:
        _check_text("a subject's name", self.name)
        if not is_sha256(self.sha256):
            _refuse(f"the subject {self.name!r} has the digest {str(self.sha256)[:80]!r}")


class _Read(dict[str, Any]):
    """A predicate that was just read or just made: it has its form, and nobody else can change it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A predicate about subjects.

    Raises: Malformed for any other shape.
    """

    subjects: tuple[Subject, ...]
    """What is spoken of: at least one, each name once."""
    predicate_type: str
    """The URI that says how to read the predicate."""
    predicate: Mapping[str, Any]
    """What is said: a JSON object, as its canonical form reads (so tuples become lists)."""

    def __post_init__(self) -> None:
        _check_text("the predicate type", self.predicate_type)
        names = {subject.name for subject in self.subjects}
        if not names or len(names) != len(self.subjects):
            _refuse("it has no subject, or names one twice")
        if not isinstance(self.predicate, _Read):
            predicate = canonical.dumps(dict(self.predicate))
            object.__setattr__(self, "predicate", canonical.parse(predicate, name="predicate", max_bytes=MAX_BYTES))

    @classmethod
    def of_json(cls, subjects: Iterable[Subject], predicate_type: str, predicate: dict[str, Any]) -> Statement:
        """The statement with a `predicate` that nobody else holds and that is JSON already (lists, not tuples).

        Law: it equals the one with the same predicate in any form. Raises Malformed as the class does; what is not JSON
        is refused when it is written.
        """
        return cls(tuple(subjects), predicate_type, _Read(predicate))

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each subject by its name."""
        return {subject.name: subject.sha256 for subject in self.subjects}

    def to_bytes(self) -> bytes:
        """The canonical JSON of the statement."""
        return canonical.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": s.name, "digest": {"sha256": s.sha256}} for s in self.subjects],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Statement:
        """Read a statement from hostile bytes, canonical or not. Raises Malformed for anything else."""
        match canonical.parse(data, name="statement", max_bytes=MAX_BYTES):
            case {
                "_type": str(kind),
                "subject": list(subjects),
                "predicateType": str(predicate_type),
                "predicate": dict(predicate),
                **rest,
            } if kind == STATEMENT_TYPE and not rest:
                return cls(tuple(_subject(subject) for subject in subjects), predicate_type, _Read(predicate))
            case _:
                _refuse("it needs _type (v1), subject, predicateType and predicate, and nothing else")


def _subject(value: Any) -> Subject:
    match value:
        case {"name": str(name), "digest": {"sha256": str(sha256), **others}, **rest} if not others and not rest:
            return Subject(name, sha256)
    _refuse(f"a subject is {{name, digest: {{sha256}}}}, found {str(value)[:120]}")


def _check_text(what: str, text: str) -> None:
    if not 0 < len(text) <= MAX_TEXT or not text.isprintable():
        _refuse(f"{what} must be 1 to {MAX_TEXT} printable characters, found {text[:80]!r}")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not an in-toto statement of ours: {found}", mend="sign it anew: glasshouse release sign")
