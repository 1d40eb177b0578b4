"""The OMS conformance suite (sampras343/model-signing-conformance) over `oms_client`; Sigstore signs on loopback."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.peers import ROOT, SITE
from tests.peers.tally import Tally
from tests.sigstore_instance import ISSUER, SigstoreInstance

WHO = "maintainer@example.org"
KNOWN = {
    r"v0\.2\.0": "the signature of model_signing 0.2, over another encoding than DSSE's: not supported",
    r"v0\.3\.1-elliptic-key|v1\.0\.0-elliptic-key": (
        "a single file by the name '.', as before model_signing 1.0.1: not supported"
    ),
}
"""By the library. Each stands in docs/how-to/verify.md, with its reason."""
BY_COMMAND = KNOWN | {r"ignore-unsigned": "--ignore-unsigned-files is not offered: what nobody signed fails"}
"""By the command."""
_OUTCOME = re.compile(r"(?m)^(PASSED|FAILED|ERROR) \S+\[([^|\]]+?)(?: \||\])")


def run(checkout: Path, spec: Path, tally: Tally, *, by_command: bool = False, stock: bool = False) -> None:
    """Run the suite in `checkout`, with the schemas of `spec`.

    by_command: verify by `glasshouse verify`, not by the library.  stock: by model_signing, to compare.
    """
    with tempfile.TemporaryDirectory(prefix="oms-suite-") as name:
        scratch = Path(name)
        (scratch / "modules").mkdir()
        (scratch / "modules" / "oms_schemas").symlink_to(spec.resolve() / "schemas")
        entry = checkout.resolve() / "selftest-client" if stock else _entry(scratch)
        environment = dict(os.environ) | {"GLASSHOUSE_BY_COMMAND": "1" if by_command else ""}
        own = os.pathsep.join((str(scratch / "modules"), str(ROOT), str(SITE)))
        with SigstoreInstance.start(scratch / "sigstore") as instance:
            for chosen, more in _parts(scratch, instance):
                command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", "--tb=no"]
                command += ["test/", f"--entrypoint={entry}", "-k", chosen]
                done = subprocess.run(
                    command, cwd=checkout, env={**environment, **more, "PYTHONPATH": own},
                    capture_output=True, text=True, check=False,
                )  # fmt: skip
                found = _OUTCOME.findall(done.stdout)
                if not found:
                    raise SystemExit(done.stdout + done.stderr)
                for outcome, test in found:
                    tally.tell(outcome == "PASSED", test, outcome)


def _entry(scratch: Path) -> Path:
    """The program that the suite runs for each case."""
    place = scratch / "entry"
    place.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.peers.oms_client "$@"\n')
    place.chmod(0o755)
    return place


def _parts(scratch: Path, instance: SigstoreInstance) -> list[tuple[str, Mapping[str, str]]]:
    """(which cases, with which variables): what the suite signs itself is signed and verified on loopback."""
    from sigstore.models import ClientTrustConfig

    public = scratch / "public.json"
    public.write_text(ClientTrustConfig.production(offline=True)._inner.to_json())
    own = {
        "SIGSTORE_ID_TOKEN": instance.token(WHO), "SIGSTORE_IDENTITY": WHO, "SIGSTORE_ISSUER": ISSUER,
        "GLASSHOUSE_TRUST_CONFIG": str(instance.trust_config_path),
    }  # fmt: skip
    others = {"SIGSTORE_ID_TOKEN": "none", "GLASSHOUSE_TRUST_CONFIG": str(public)}
    return [("not (roundtrip and sigstore)", others), ("roundtrip and sigstore", own)]
