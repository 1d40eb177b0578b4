"""Whom has this repository been signed by so far? For the first look, before there is anybody to expect.

Nothing here verifies a release: it tells who signed, as far as signatures and a root of trust can tell, whoever that
is. A policy made from it trusts on first use: that the first look was not deceived, only time or another channel tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from registry.attest import predicates
from registry.attest.bundle import MAX_BYTES
from registry.attest.policy import AllowedSigner, Policy
from registry.attest.signature import SignedBy
from registry.attest.verifier import Trust
from registry.errors import GlasshouseError, InputError, Refused
from registry.hub.client import HubClient, in_parallel
from registry.hub.reference import DirectoryReference, HubReference, Reference
from registry.records import layout
from registry.verification.evidence import read_bundle
from registry.versions import order

MAX_TAGS = 200
"""The newest, which are looked at."""
PIN = """\
Written by `glasshouse trust pin {reference}`: trust on first use.
Only the place that it was fetched from says that these are the right signers. Compare them with what the
maintainers say elsewhere (their site, their repository, a mail to them), then keep this file and verify by it.
"""
UNLOGGED = """\
Signed by {who}: whoever has the key can sign unseen.
"""
PEM = ("pem", "authorities", "timestampAuthorities")
"""Fields of a signer that hold PEM."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who signed the release statement at one tag."""

    name: str
    """The tag, or the directory."""
    signer: SignedBy | None = None
    """Who signed it; None where that cannot be told."""
    rule: AllowedSigner | None = None
    """A rule of a policy that means this signer and nobody else; None where `signer` is."""
    hint: str | None = None
    """What the bundle says of its signer, unproven; None where `signer` is known."""
    problem: str | None = None
    """What does not hold; None where everything does."""

    @property
    def who(self) -> str:
        """The signer in words, without when and where it was logged."""
        return str(self.rule or self.problem or self.hint or "nobody")

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        signer = self.signer.as_json() if self.signer else None
        return {"release": self.name, "signer": signer, "hint": self.hint, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class History:
    """Who signed the releases of a repository."""

    sightings: tuple[Sighting, ...]
    """Who signed each release, the newest version first."""
    unseen: tuple[str, ...] = ()
    """Older tags, which were not looked at."""

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of the releases whose signer is not the one of the release before."""
        pairs = pairwise(self.sightings)
        return tuple(later.name for later, before in pairs if (later.rule, later.who) != (before.rule, before.who))


def history(reference: Reference, trust: Trust, *, endpoint: str | None) -> History:
    """Who signed the past releases of the repository, at its newest MAX_TAGS tags; of a directory, the one in it.

    Raises InputError for a repository without releases and Unavailable for a Hub that does not answer.
    """
    if not isinstance(reference, HubReference):
        return History((_in_directory(reference, trust),))
    hub = HubClient(endpoint)
    commits = hub.refs.tags(reference.repository)
    tags = sorted(commits, key=order, reverse=True)

    def look(tag: str) -> Sighting | None:
        return _at_tag(hub, reference.repository, tag, commits[tag], trust)

    seen = tuple(sighting for sighting in in_parallel(look, tags[:MAX_TAGS]) if sighting is not None)
    if not seen:
        raise InputError(
            f"{reference.repository} has no signed release", mend="check the name; list its tags on the Hub"
        )
    return History(seen, tuple(tags[MAX_TAGS:]))


def sighting(reference: Reference, trust: Trust, *, endpoint: str | None) -> Sighting:
    """Who signed the one release that `reference` names, by its tag or its directory.

    Raises InputError where there is none and Unavailable for a Hub that does not answer.
    """
    if not isinstance(reference, HubReference):
        return _in_directory(reference, trust)
    hub, tag = HubClient(endpoint), reference.revision
    commit = hub.refs.tags(reference.repository).get(tag)
    seen = _at_tag(hub, reference.repository, tag, commit, trust) if commit is not None else None
    if seen is None:
        raise InputError(f"{reference} is not a release", mend="name its tag, such as hf://org/model@v1.0.0")
    return seen


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


def _in_directory(reference: DirectoryReference, trust: Trust) -> Sighting:
    return _sighting(str(reference), read_bundle(reference.root / layout.RELEASE_ATTESTATION), None, trust)


def _at_tag(hub: HubClient, repository: str, tag: str, commit: str, trust: Trust) -> Sighting | None:
    """Who signed the release at `tag`; None where it is not a release."""
    try:
        data = hub.files.read_range(repository, commit, layout.RELEASE_ATTESTATION, start=0, count=MAX_BYTES + 1)
    except InputError:
        return None
    if len(data) > MAX_BYTES:
        return Sighting(tag, problem=f"its release statement has more than {MAX_BYTES} bytes")
    return _sighting(tag, data, f"{repository}@{tag}", trust)


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
