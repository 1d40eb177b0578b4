"""`glasshouse verify` of a whole release against the stock `model_signing verify sigstore` of the same directory.

The stock command verifies model.sig: one signature, and the files. Glasshouse verifies 14 signatures or more, and the
lineage.
Two releases, both made by the pipeline and signed by way of Sigstore: the golden one, which every clone has, and the
demo's, where `make demo` left one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from registry import canonical
from registry.attest.signers import SigstoreIdentity
from registry.attest.sigstore.config import CONFIG_TYPE
from registry.records import layout
from tests.bench._paired import BIN, Command, compare
from tests.conftest import MAINTAINER, ROOT
from tests.goldens.make_releases import goldens
from tests.sigstore_instance import ISSUER

SIGNATURES = re.compile(r"1[4-9] bundles, signed by")
"""What we say of the signatures of either."""
NO_SERVICES = {
    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "caUrls": [], "oidcUrls": [],
    "rekorTlogUrls": [], "tsaUrls": [], "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"},
}  # fmt: skip
"""What a trust config says of signing, where nothing is signed: the stock command reads no root of trust alone."""


@dataclass(frozen=True)
class Signed:
    """A release.

    name: whose.  root: its directory.  signer: who signed it.  trust: a trust config.  ours: how we are told of trust.
    """

    name: str
    root: Path
    signer: SigstoreIdentity
    trust: Path
    ours: tuple[str, Path]

    def commands(self) -> dict[str, Command]:
        """The stock command, and ours."""
        who = ["--identity", self.signer.identity]
        stock = [BIN / "model_signing", "verify", "sigstore", self.root, "--signature", self.root / layout.SIGNATURE]
        stock += [*who, "--identity_provider", self.signer.issuer, "--trust_config", self.trust]
        ours = [BIN / "glasshouse", "verify", self.root, *who, "--issuer", self.signer.issuer]
        return {
            "model_signing verify sigstore": Command(stock),
            "glasshouse verify": Command([*ours, *self.ours], did=lambda said: SIGNATURES.search(said) is not None),
        }


def main() -> None:
    """Print a table for each release that is there."""
    with ExitStack() as stack:
        for release in _releases(stack):
            print(f"{release.name}: {sum(path.is_file() for path in release.root.rglob('*'))} files", flush=True)
            compare(release.commands())


def _releases(stack: ExitStack) -> Iterator[Signed]:
    golden = next(golden for golden in goldens() if golden.name == "v1/trained")
    (signer,) = golden.policy.signers
    assert isinstance(signer, SigstoreIdentity)
    trust = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "trust-config.json"
    parts = {"trustedRoot": canonical.read(golden.trusted_root), "signingConfig": NO_SERVICES}
    trust.write_bytes(canonical.dumps({"mediaType": CONFIG_TYPE, **parts}))
    yield Signed(
        "the golden release",
        stack.enter_context(golden.unpacked()),
        signer,
        trust,
        ("--trusted-root", golden.trusted_root),
    )
    demo = ROOT / ".demo"
    for root in sorted((demo / "project" / "releases").glob("*/v*"))[:1]:
        signer = SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER)
        config = demo / "sigstore" / "trust-config.json"
        yield Signed("the demo's release", root, signer, config, ("--trust-config", config))


if __name__ == "__main__":
    main()
