"""Tests of registry.attest, and of the Sigstore instance they run against."""
