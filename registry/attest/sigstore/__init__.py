"""The one door to sigstore-python and TUF: signing with an identity, and verifying that without a network."""

from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.sigstore.verifier import SigstoreTrust

__all__ = ["SigstoreSigner", "SigstoreTrust"]
