"""What answers over the network, and what stands in for it without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from registry.doctor.condition import Condition, bad, good, unknown
from registry.errors import GlasshouseError
from registry.hub.client.probing import Probe, probe
from registry.verification.s7_status import CLOCKS

LOG_IN = "hf auth login, or set HF_TOKEN"


def hub(endpoint: str | None, now: datetime | None = None) -> Iterator[Condition]:
    """Whether the Hub answers, whom it takes one for, and by how much the clock here departs from its clock."""
    try:
        said = probe(endpoint)
    except GlasshouseError as problem:
        yield unknown("Hub", problem.message, mend=problem.mend)
        yield unknown("token", "there was no Hub to ask whether it counts", mend=problem.mend)
        yield unknown("clock", "there was no Hub to compare it with", mend="compare it with a clock that you trust")
        return
    yield good("Hub", f"{said.endpoint} answers")
    yield _token(said)
    yield _clock(said, now or datetime.now(UTC))


def _token(said: Probe) -> Condition:
    if said.user is not None:
        return good("token", f"{said.endpoint} knows its holder as {said.user}")
    if said.token:
        return bad("token", f"{said.endpoint} does not take it", mend=LOG_IN)
    return unknown("token", "there is none: reading what is public needs none, publishing does", mend=LOG_IN)


def _clock(said: Probe, now: datetime) -> Condition:
    if said.date is None:
        return unknown("clock", f"{said.endpoint} tells no time", mend="compare it with a clock that you trust")
    apart = now - said.date
    seconds = abs(apart.total_seconds())
    words = f"{seconds:.0f} s {'ahead of' if apart.total_seconds() > 0 else 'behind'} {said.endpoint}"
    if seconds > CLOCKS.total_seconds():
        found = f"it is {words}: signing fails, and what is fresh looks stale"
        return bad("clock", found, mend="set it: timedatectl set-ntp true")
    return good("clock", words)


def sigstore(trust: Path | None, now: datetime | None = None) -> Iterator[Condition]:
    """Whether there is a root to tell signers by, without a network, and whether it has not ended."""
    from registry.attest.sigstore.config import trusted_root

    whose = str(trust) if trust else "the public instance"
    until = max(certificate.not_valid_after_utc for certificate in trusted_root(trust).get_fulcio_certs())
    words = f"the root of {whose} is at hand; its authority ends on {until:%Y-%m-%d}"
    if until < (now or datetime.now(UTC)):
        yield bad("Sigstore", words, mend="upgrade: pip install --upgrade sigstore; or glasshouse trust fetch URL")
    else:
        yield good("Sigstore", words)
