"""Glasshouse's verifier of bundles, over the bundles of sigstore-conformance (test/assets/bundle-verify).

A case whose name ends in `_fail` must be refused. A bundle v0.3 with a DSSE envelope is what Glasshouse reads: it is
verified, and the artifact must be one of its subjects. Any other (an artifact's bare signature, a media type before
v0.3) Glasshouse does not promise to read: it must be refused, in words, whatever the suite expects of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from registry import api
from registry.attest.bundle import MEDIA_TYPE
from registry.attest.verifier import Verifier
from registry.digest import sha256_file
from tests.peers.tally import Tally

IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/"
    "workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
"""Who signed most of the suite's bundles."""


def run(checkout: Path, tally: Tally) -> None:
    """Try every bundle of the suite in `checkout`."""
    assets = checkout / "test" / "assets" / "bundle-verify"
    for folder in sorted(path for path in assets.iterdir() if path.is_dir()):
        data = (folder / "bundle.sigstore.json").read_bytes()
        artifact = folder / "artifact" if (folder / "artifact").exists() else assets / "a.txt"
        root = folder / "trusted_root.json"
        accepted, words = verified(data, folder, root if root.exists() else None, sha256_file(artifact))
        expected = is_ours(data) and not folder.name.endswith("_fail")
        tally.tell(accepted == expected and accepted is not None, folder.name, words)


def is_ours(data: bytes) -> bool:
    """Whether a bundle is of the kind that Glasshouse promises to read."""
    try:
        document = json.loads(data)
    except ValueError:
        return False
    return "dsseEnvelope" in document and document.get("mediaType") == MEDIA_TYPE


def policy(folder: Path) -> api.Policy:
    """Who must have signed a case's bundle. Raises InputError where its key is not a key."""
    if (folder / "key.pub").exists():
        signer: dict[str, Any] = {"kind": "key", "pem": (folder / "key.pub").read_text()}
    else:
        named = {"identity": IDENTITY, "issuer": ISSUER}
        told = {name: (folder / name).read_text().strip() for name in named if (folder / name).exists()}
        signer = {"kind": "identity", **named, **told}
    return api.Policy.of({"signers": [signer]})


def verified(data: bytes, folder: Path, root: Path | None, digest: str) -> tuple[bool | None, str]:
    """Whether the bundle of a case is accepted, and what was said; None where something broke."""
    try:
        found = Verifier(policy(folder), root).verify(data)
    except api.GlasshouseError as problem:
        return False, f"{type(problem).__name__}: {problem.message}"
    except Exception as problem:  # noqa: BLE001 - whatever breaks is what is looked for
        return None, f"broke: {type(problem).__name__}: {problem}"
    if digest not in found.statement.digests.values():
        return False, "the artifact is none of its subjects"
    return True, str(found.signer)
