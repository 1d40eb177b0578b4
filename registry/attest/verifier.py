"""One question, whichever way a bundle was signed: does it hold, and is its signer one that the policy names?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from registry.attest import certificate, localkey, timestamp, x509_path
from registry.attest.bundle import MAX_BYTES, MEND, Bundle
from registry.attest.policy import Policy
from registry.attest.signature import SignedBy, SignedByKey, Verified
from registry.attest.signers import AllowedSigner, CertificateHolder, PublicKey, SigstoreIdentity
from registry.attest.statement import Statement
from registry.errors import InputError, SignatureError, SignerError

if TYPE_CHECKING:
    from registry.attest.sigstore.verifier import SigstoreTrust


Unlogged = TypeVar("Unlogged", PublicKey, CertificateHolder)


@dataclass(frozen=True, slots=True)
class SeenBundle:
    """A statement, and who signed it, as far as that can be told. Whether they may sign is not asked."""

    statement: Statement
    """What was signed."""
    signer: SignedBy | None
    """Who signed it; None where that cannot be told."""
    rule: AllowedSigner | None
    """A rule of a policy that means this signer and nobody else; None where `signer` is."""
    hint: str | None
    """What the bundle says of its signer, unproven; None where `signer` is known."""


class Trust:
    """A root of trust: tells who signed, not whether that signer may. Read once, when it is needed; asks no network."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        refresh: bool = False,
        authorities: str | None = None,
        stampers: str | None = None,
    ) -> None:
        """`root`: a trusted root or trust config of a Sigstore instance; None: the public one, as this machine knows it
        (`refresh`: asked for anew, over the network).

        For looking alone, certificates in PEM: authorities, of which a signer's must be, if not of the one that it
        brings itself; and stampers, whose timestamps tell when. Raises InputError for any other text.
        """
        self.root = root
        self._refresh = refresh
        self._authorities = x509_path.load(authorities) if authorities is not None else ()
        self._stampers = x509_path.load(stampers) if stampers is not None else ()

    @cached_property
    def sigstore(self) -> SigstoreTrust:
        """The root of Sigstore. Raises Unavailable or InputError where it cannot be had."""
        from registry.attest.sigstore.verifier import SigstoreTrust  # heavy, and bundles by a bare key do without

        return SigstoreTrust(self.root, refresh=self._refresh)

    def see(self, data: bytes, *, max_bytes: int = MAX_BYTES) -> SeenBundle:
        """What the bundle `data` says and who signed it, whoever that is: for looking, never for trusting.

        Raises as `Verifier.verify`, but for SignerError.
        """
        bundle = Bundle.parse(data, max_bytes=max_bytes)
        if bundle.kind == "certificate":
            signer = self.sigstore.signer(bundle)
            rule = SigstoreIdentity(identity=signer.identity, issuer=signer.issuer)
            return SeenBundle(_statement(bundle, signer), signer, rule, None)
        now = datetime.now(UTC)
        stamps, _ = timestamp.trusted(timestamp.of(bundle), self._stampers, now)
        stamp = stamps[0] if stamps else None
        statement = _statement(bundle, None)
        if bundle.kind == "publicKey":
            key = localkey.see(bundle)
            if key is None:
                words = f"a bare key, and not the one that it says, {localkey.hint(bundle)}"
                return SeenBundle(statement, None, None, words)
            return SeenBundle(statement, SignedByKey(key.sha256, stamp), self._stamped(key), None)
        found = certificate.see(bundle, self._authorities, stamp, now)
        if found is None:
            words = f"a certificate, which says it is of {certificate.hint(bundle)}: only that authority can tell"
            return SeenBundle(statement, None, None, words)
        return SeenBundle(statement, found[0], self._stamped(found[1]), None)

    def _stamped(self, rule: Unlogged) -> Unlogged:
        """The same, with whose timestamps count for it."""
        return rule.model_copy(update={"timestamp_authorities": x509_path.pem(self._stampers) or None})


class Verifier:
    """Verifies bundles by one policy and one root of trust, without a network."""

    def __init__(
        self,
        policy: Policy,
        trust_root: Path | None = None,
        *,
        refresh: bool = False,
        trust: Trust | None = None,
        now: datetime | None = None,
    ) -> None:
        """`trust_root`, `refresh`: as of Trust; `trust`: one that is there already, instead.

        now: the time to judge by what has no time of its own (certificates without a log), if not the clock's.
        """
        self.policy = policy
        self.trust = trust or Trust(trust_root, refresh=refresh)
        self.now = now

    @property
    def trust_root(self) -> Path | None:
        """Where the root of trust was read."""
        return self.trust.root

    def with_policy(self, policy: Policy) -> Verifier:
        """By the same root, for other signers."""
        return Verifier(policy, trust=self.trust, now=self.now)

    def at(self, now: datetime) -> Verifier:
        """By the same policy and root, at another time."""
        return Verifier(self.policy, trust=self.trust, now=now)

    def verify(self, data: bytes, *, name: str | None = None, max_bytes: int = MAX_BYTES) -> Verified:
        """The statement in the bundle `data`, and who signed it.

        name: which attestation it is taken for. A signer whom the policy allows only others does not count then.
        Raises SignatureError where anything in it does not hold, or it is not a bundle of ours; SignerError where it
        holds, and its signer is none of the policy's; Unavailable where revocation lists do not tell, and that or
        InputError where there is no trust root to tell by.
        """
        bundle = Bundle.parse(data, max_bytes=max_bytes)
        signer, holds = self._signer(bundle, name)
        rule = self.policy.names(signer, name) if holds else None
        if rule is None:
            what = f" for {name}" if name else ""
            raise SignerError(
                f"signed by {signer}, expected{what} {self.policy}",
                mend="do not trust the release, unless you know that this signer may sign it; then name that signer",
            )
        return Verified(_statement(bundle, signer), signer, rule)

    def _signer(self, bundle: Bundle, name: str | None) -> tuple[SignedBy, bool]:
        """Who signed it, and whether it holds by what a rule of theirs asks of it besides, where rules ask anything."""
        now = self.now or datetime.now(UTC)
        match bundle.kind:
            case "certificate":
                return self.trust.sigstore.signer(bundle), True
            case "publicKey" if self.policy.keys:
                return localkey.verify(bundle, self.policy.keys, now), True
            case "publicKey":
                raise SignatureError(
                    f"signed with a bare key, and nobody vouches for it; expected {self.policy}",
                    mend="if you trust that key, verify with --key PUBLIC.pem",
                )
            case "x509CertificateChain" if rules := self.policy.holders:
                allowed = tuple(rule for rule in rules if rule.may_sign(name))
                signer, rule = certificate.verify(bundle, allowed or rules, now)
                return signer, rule is not None
            case "x509CertificateChain":
                raise SignatureError(
                    f"signed with a certificate of {certificate.hint(bundle)}, and the policy names no authority; "
                    f"expected {self.policy}",
                    mend="if you trust that authority, verify with --identity WHO --ca CA.pem",
                )


def _statement(bundle: Bundle, signer: SignedBy | None) -> Statement:
    try:
        return Statement.parse(bundle.envelope.payload)
    except InputError as problem:
        raise SignatureError(f"what {signer or 'somebody'} signed is {problem.message}", mend=MEND) from problem
