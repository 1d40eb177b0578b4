"""The signed release that verification's tests use."""

from tests.registry.verification.conftest import copy, release, signer, verifier

__all__ = ["copy", "release", "signer", "verifier"]
