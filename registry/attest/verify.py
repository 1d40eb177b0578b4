"""One question, whichever way a bundle was signed: does it hold, and is its signer one that the policy names?"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from registry.attest import localkey
from registry.attest.bundle import MAX_BYTES, MEND, Bundle
from registry.attest.policy import Policy
from registry.attest.signature import SignedBy, Verified
from registry.attest.sigstore import SigstoreTrust
from registry.attest.statement import Statement
from registry.errors import InputError, SignatureError


class Verifier:
    """Verifies bundles by one policy and one trust root, without a network. Reads the root once, when it is needed."""

    def __init__(self, policy: Policy, trust_root: Path | None = None, *, refresh: bool = False) -> None:
        """`trust_root`: a trusted root or trust config of a Sigstore instance; None: the public one, as this machine
        knows it (`refresh`: asked for anew, over the network)."""
        self.policy = policy
        self.trust_root = trust_root
        self._refresh = refresh

    @cached_property
    def _trust(self) -> SigstoreTrust:
        return SigstoreTrust(self.trust_root, refresh=self._refresh)

    def verify(self, data: bytes, *, max_bytes: int = MAX_BYTES) -> Verified:
        """The statement in the bundle `data`, and who signed it.

        Raises SignatureError where anything in it does not hold, or it is no bundle of a statement at all; SignerError
        where it holds, and its signer is none of the policy's; Unavailable or InputError where there is no trust root
        to tell by.
        """
        bundle = Bundle.parse(data, max_bytes=max_bytes)
        signer = self._signer(bundle)
        try:
            return Verified(Statement.parse(bundle.envelope.payload), signer)
        except InputError as problem:
            raise SignatureError(f"what {signer} signed is {problem.message}", mend=MEND) from problem

    def _signer(self, bundle: Bundle) -> SignedBy:
        if not bundle.by_key:
            return self._trust.verify(bundle, self.policy)
        if not self.policy.keys:
            raise SignatureError(
                f"signed with a bare key, and nobody vouches for it; expected {self.policy}",
                mend="if you trust that key, verify with --key PUBLIC.pem",
            )
        return localkey.verify(bundle, self.policy.keys)
