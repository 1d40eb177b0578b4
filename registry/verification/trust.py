"""Whom has this repository been signed by so far? For the first look, before there is anybody to expect.

Nothing here verifies a release: it tells who signed, as far as signatures and a root of trust can tell, whoever that
is. A policy made from it trusts on first use: that the first look was not deceived, only time or another channel tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from registry.attest import predicates
from registry.attest.bundle import MAX_BYTES
from registry.attest.policy import AllowedSigner, Policy
from registry.attest.signature import SignedBy
from registry.attest.verifier import Trust
from registry.errors import GlasshouseError, InputError, Refused
from registry.hub.client import HubClient
from registry.hub.reference import HubReference, Reference
from registry.records import layout
from registry.verification.evidence import read_bundle

MAX_TAGS = 1000
PIN = """\
Written by `glasshouse trust pin {reference}`: trust on first use.
Nobody but the place it was fetched from has told that these are the right signers. Compare them with what the
maintainers say elsewhere (their site, their repository, a mail to them), then keep this file and verify by it.
"""
UNLOGGED = """\
Signed by {who}: whoever has the key can sign unseen.
"""
PEM = ("pem", "authorities", "timestampAuthorities")
"""Fields of a signer that hold PEM."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who signed the release statement at one tag.

    name: the tag, or the directory.  signer, rule: who, and what a policy says that means just them; None where the
    bundle does not tell, and `hint` is what it says, unproven; or where `problem` says what does not hold.
    """

    name: str
    signer: SignedBy | None = None
    rule: AllowedSigner | None = None
    hint: str | None = None
    problem: str | None = None

    @property
    def who(self) -> str:
        """The signer in words, without when and where it was logged."""
        return str(self.rule or self.problem or self.hint or "nobody")

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        signer = self.signer.as_json() if self.signer else None
        return {"release": self.name, "signer": signer, "hint": self.hint, "problem": self.problem}


def history(reference: Reference, trust: Trust, *, endpoint: str | None) -> tuple[Sighting, ...]:
    """Who signed each past release of the repository, by version; of a directory, the one release in it.

    Raises InputError for a repository without releases and Unavailable for a Hub that does not answer.
    """
    if not isinstance(reference, HubReference):
        return (_sighting(str(reference), read_bundle(reference.root / layout.RELEASE_ATTESTATION), None, trust),)
    hub, seen = HubClient(endpoint), []
    for tag, commit in sorted(hub.refs.tags(reference.repository).items(), key=lambda item: _order(item[0]))[:MAX_TAGS]:
        try:
            data = hub.files.read(reference.repository, commit, layout.RELEASE_ATTESTATION, max_bytes=MAX_BYTES)
        except InputError:
            continue  # a tag that is no release
        seen.append(_sighting(tag, data, f"{reference.repository}@{tag}", trust))
    if not seen:
        raise InputError(
            f"{reference.repository} has no signed release", mend="check the name; list its tags on the Hub"
        )
    return tuple(seen)


def changes(sightings: Sequence[Sighting]) -> tuple[str, ...]:
    """Names of the releases whose signer is not the one of the release before."""
    pairs = pairwise(sightings)
    return tuple(later.name for before, later in pairs if (later.rule, later.who) != (before.rule, before.who))


def pin(reference: Reference, sighting: Sighting) -> str:
    """The text of a policy.yaml that trusts the signer of one release. Law: `Policy.load` reads what it names.

    Raises Refused where the signature does not hold, or does not tell who made it.
    """
    rule = sighting.rule
    if rule is None:
        raise Refused(
            f"{sighting.name}: {sighting.who}",
            mend="get the public key from its owner, and verify with --key PUBLIC.pem; or the authority's certificate, "
            "and pin with --ca CA.pem",
        )
    lines = [f"schema: {Policy(signers=(rule,)).schema_}", "signers:", f"  - kind: {rule.kind}"]
    for name, text in rule.as_json().items():
        if name in PEM and text:
            lines += [f"    {name}: |", *(f"      {line}" for line in text.splitlines())]
        elif name != "kind" and text:
            lines.append(f"    {name}: {_quoted(text)}")
    notes = [
        PIN.format(reference=reference),
        *([] if rule.kind == "identity" else [UNLOGGED.format(who=sighting.signer)]),
    ]
    return "".join(f"# {_printable(line)}\n" for note in notes for line in note.splitlines()) + "\n".join(lines) + "\n"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _quoted(text: str) -> str:
    """A YAML string, whatever stands in it (YAML 1.2, section 5.7)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _sighting(name: str, data: bytes, subject: str | None, trust: Trust) -> Sighting:
    """subject: what the statement must be of, where that is known."""
    try:
        seen = trust.see(data)
        predicates.Release.of(seen.statement)
    except GlasshouseError as problem:
        return Sighting(name, problem=problem.message)
    of = seen.statement.subjects[0].name
    if subject is not None and of != subject:
        return Sighting(name, problem=f"its release statement is of {of}")
    return Sighting(name, seen.signer, seen.rule, seen.hint)


def _order(tag: str) -> tuple[tuple[int, ...], str]:
    """Versions by their numbers, everything else before them."""
    parts = tag.removeprefix("v").split(".")
    return (tuple(int(part[:9]) for part in parts) if all(part.isdecimal() for part in parts) else ()), tag
