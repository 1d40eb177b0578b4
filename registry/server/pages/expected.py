"""Whose signature is expected of a release, where a page speaks of it.

The operator names signers in the server's folder: `trust/OWNER.yaml` is a policy for the releases of that namespace,
and `trust/trusted-root.json` the Sigstore root to tell signers by. Nobody can write there over the network.

Law: where the operator named nobody, a page says what holds *if* the signer is whom the release shows. It never calls
that verified.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.policy import Policy
from registry.attest.signature import SignedBy, SignedByIdentity, SignedByKey
from registry.attest.verifier import Trust, Verifier
from registry.catalog import entry
from registry.catalog.entry import ReleaseEntry, Whom
from registry.errors import GlasshouseError
from registry.records import layout
from registry.report import Verdict
from registry.server.pages.shelf import StoreShelf

FOLDER = "trust"
ROOT = "trusted-root.json"
Stamp = tuple[tuple[str, int], ...]
"""(path, when it was written): where it is the same, nothing has changed."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A release as it was read, and by whose word."""

    entry: ReleaseEntry
    """The release."""
    policy: Policy | None
    """By which its signatures were judged; None: its signer cannot be told."""
    named: bool
    """Whether the operator named the signers; else they are whom the release itself shows."""

    @property
    def signer(self) -> SignedBy | None:
        """Who signed it; None where that is not told, or it does not hold."""
        return self.entry.signature.verified.signer if self.entry.signature.verified else None

    @property
    def verdict(self) -> Verdict:
        """Whether somebody signed it whom the operator named. Where nobody was named, what holds is UNKNOWN."""
        found = self.entry.signature.verdict
        return Verdict.UNKNOWN if found is Verdict.PASS and not self.named else found

    @property
    def command(self) -> str:
        """The command that verifies it, with this signer."""
        reference = self.entry.shelf.reference
        match self.signer:
            case SignedByIdentity(identity=identity, issuer=issuer):
                return (
                    f"glasshouse verify {reference} --identity {shlex.quote(identity)} --issuer {shlex.quote(issuer)}"
                )
            case SignedByKey():
                return f"glasshouse verify {reference} --key public.pem"
        return f"glasshouse verify {reference} --policy policy.yaml"


def read(root: Path, shelf: StoreShelf) -> Expected:
    """The release on `shelf`, judged by whom the operator of the server at `root` named, else by whom it shows.

    Raises GlasshouseError where there is no release statement that can be read.
    """
    trust, policy = trust_of(root), policy_of(root, shelf.repo.name.owner)
    if policy is not None:
        return Expected(entry.read(shelf, Whom(trust, Verifier(policy, trust=trust))), policy, True)
    shown = _shown(trust, shelf)
    whom = Whom(trust, Verifier(shown, trust=trust)) if shown else Whom(trust)
    return Expected(entry.read(shelf, whom), shown, False)


def _shown(trust: Trust, shelf: StoreShelf) -> Policy | None:
    """A policy that names the one who signed the release statement; None where nobody can tell."""
    try:
        seen = trust.see(shelf.read(layout.RELEASE_ATTESTATION, MAX_MODEL_BYTES), max_bytes=MAX_MODEL_BYTES)
    except GlasshouseError:
        return None
    return Policy(signers=(seen.rule,)) if seen.rule is not None else None


def stamp(root: Path, owner: str) -> Stamp:
    """When the operator last said who is trusted for that namespace."""
    return tuple((path, modified(path)) for path in (f"{root}/{FOLDER}/{owner}.yaml", f"{root}/{FOLDER}/{ROOT}"))


def modified(path: str) -> int:
    """When it was written last, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  # a Path costs as much again
    except FileNotFoundError:
        return 0


def policy_of(root: Path, owner: str) -> Policy | None:
    """Whom the operator named for that namespace; None: nobody. Raises InputError for a file that is not a policy."""
    path = root / FOLDER / f"{owner}.yaml"
    return _policy(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=1000)
def _policy(path: Path, written: int) -> Policy:
    return Policy.load(path)


def trust_of(root: Path) -> Trust:
    """The root of trust by which the server at `root` tells signers; read anew when the operator changes it."""
    path = root / FOLDER / ROOT
    return _trust(path, path.stat().st_mtime_ns) if path.is_file() else _trust(None, 0)


@lru_cache(maxsize=2)
def _trust(path: Path | None, written: int) -> Trust:
    return Trust(path)
