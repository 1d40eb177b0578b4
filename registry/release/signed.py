"""What the signatures in a release's folder say that it holds: what is sent to a Hub is held to that.

Who signed is not looked at here: that is for those who verify.
"""

from __future__ import annotations

from pathlib import Path

from registry.attest import oms, predicates
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.statement import Statement
from registry.errors import Refused
from registry.manifest import Manifest
from registry.records import layout
from registry.release.signing import is_signed

MAX_TOLD = 5


def check(folder: Path, manifest: Manifest) -> None:
    """Whether `manifest`, of the files in `folder`, is the signed one.

    Raises Refused where it was not signed to the end, or has changed since; VerificationError or InputError for a
    signature that cannot be read.
    """
    if not is_signed(folder):
        raise Refused(f"{folder} is not signed", mend=f"glasshouse release sign {folder}")
    found = {entry.path: entry.sha256 for entry in manifest.entries if entry.path != layout.SIGNATURE}
    signed = digests(folder)
    if changed := sorted(path for path in found.keys() | signed.keys() if found.get(path) != signed.get(path)):
        told = ", ".join(changed[:MAX_TOLD]) + (" and more" if len(changed) > MAX_TOLD else "")
        raise Refused(
            f"{folder} has changed since it was signed: {told}",
            mend=f"prepare it anew, or sign what is there: glasshouse release sign {folder}",
        )


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but model.sig, as model.sig states it, and of what it leaves out as the release does."""
    release = predicates.Release.of(_statement(folder / layout.RELEASE_ATTESTATION))
    covered = oms.resources(_statement(folder / layout.SIGNATURE))
    return {file.path: file.sha256 for file in release.files if file.path not in covered} | covered


def _statement(path: Path) -> Statement:
    return Statement.parse(Bundle.parse(path.read_bytes(), max_bytes=MAX_MODEL_BYTES).envelope.payload)
