"""Step 6, for what belongs to a release and stands elsewhere: is it, there, what the signed record says?

Every byte is fetched and hashed, and nothing kept: what a Hub lists of its files proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from registry.digest import Progress
from registry.errors import GlasshouseError, VerificationError
from registry.manifest import Manifest
from registry.records import layout
from registry.records.release_record import Companion, ReleaseRecord
from registry.report import Check, Step, Verdict, ask
from registry.verification.case import Case

if TYPE_CHECKING:
    from registry.hub.client import HubClient
    from registry.hub.transfer import RemoteFile

MEND = "do not use it; tell the maintainer"


class Measure(Protocol):
    """The files of a companion under a tag, hashed.

    Raises VerificationError where they are not as many, or as large, as was signed; another GlasshouseError where they
    cannot be had; PassedOver where they are not asked for.
    """

    def __call__(self, companion: Companion, tag: str) -> Manifest:
        """At the commit that the tag stands for now."""
        ...


class PassedOver(Exception):
    """Nobody asks to look at a companion, so it gets no answer."""


def on_hub(hub: HubClient, progress: Progress | None = None) -> Measure:
    """Looks at a Hub. No more is fetched than the signed record says that there is."""

    def measure(companion: Companion, tag: str) -> Manifest:
        commit = hub.refs.resolve(companion.repo, tag)
        return hub.trees.measure(companion.repo, commit, progress, admit=partial(check_listed, companion))

    return measure


def check_listed(companion: Companion, files: Sequence[RemoteFile]) -> None:
    """Raise VerificationError where a Hub lists more or less of a companion than was signed; nothing is fetched."""
    listed = [file.size for file in files]
    if (len(listed), sum(listed)) != (companion.files, companion.size):
        raise VerificationError(
            f"it has {len(listed)} files of {sum(listed)} bytes; {companion.files} of {companion.size} were signed",
            mend=MEND,
        )


def checks(case: Case, measure: Measure | None) -> Iterator[Check]:
    """An answer for each companion.

    FAIL for other bytes than the record says; UNKNOWN where nobody asked to look, where there is no such repository or
    tag, or no answer. None for one that `measure` passes over.
    """
    try:
        record = ReleaseRecord.read(case.trusted(layout.RECORD))
    except GlasshouseError:
        return  # told already: there is no record that anybody stands for
    for companion in record.companions:
        name = f"hf://{companion.repo}@{record.tag}"
        if measure is None:
            words = "the signed record announces it; not looked at without --companions"
            yield Check(Step.POLICY, Verdict.UNKNOWN, name, words)
        else:
            with suppress(PassedOver):
                yield ask(Step.POLICY, name, partial(_compared, companion, record.tag, measure))


def _compared(companion: Companion, tag: str, measure: Measure) -> str:
    found = measure(companion, tag)
    if found.sha256 != companion.content:
        raise VerificationError(
            f"its {len(found.entries)} files are sha256:{found.sha256}, signed as sha256:{companion.content}", mend=MEND
        )
    return f"its {companion.files} files, {companion.size} bytes, are those that were signed"
