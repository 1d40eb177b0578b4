"""The auditor's road on the release of `make demo`: replayed and rebuilt from its published tag, signed, counted.

Everything is done as a stranger does it: in an empty folder, with an empty cache, without the maintainer's token, from
a fresh clone and with a fresh environment from the release's own lock. Only the clone's address has to be told: the
demo's repository has no public place. Where bubblewrap works, the source runs behind it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import demo
from tests.hub_instance import HubInstance
from tests.sigstore_instance import SigstoreInstance

AUDITOR = "auditor@elsewhere.example"


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody else's folder and environment."""

    folder: Path
    environment: Mapping[str, str]

    def glasshouse(self, *words: str, code: int) -> str:
        """Run the command, print its last line and its time; what it says. Ends the benchmark at another exit code."""
        started = time.perf_counter()
        done = subprocess.run(
            ["glasshouse", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            raise SystemExit(f"glasshouse {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        taken = time.perf_counter() - started
        last = (done.stdout.strip().splitlines() or [""])[-1].strip()
        print(f"{' '.join(words[:2]):14} exit {code}  {taken:6.1f} s  {last[:160]}", flush=True)
        return done.stdout


def main() -> None:
    """Print each verdict, its exit code, and the seconds it took."""
    if not (demo.PROJECT / "releases").is_dir():
        demo.main()
    tag = demo.latest_tag()
    scratch, sigstore_folder, hub_folder = demo.SCRATCH, demo.SCRATCH / "sigstore", demo.SCRATCH / "hub"
    with (
        SigstoreInstance.start(sigstore_folder) as sigstore,
        HubInstance.start(hub_folder) as hub,
        tempfile.TemporaryDirectory(prefix="glasshouse-stranger-") as name,
    ):
        release = f"releases/tiny-llama/{tag}"
        publish = ["glasshouse", "release", "publish", release, "--checkpoints"]
        demo.run(publish, hub.environment(scratch / "huggingface"))
        home = Path(name)
        lent = {key: value for key, value in hub.environment(home / "huggingface").items() if key != "HF_TOKEN"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PYTHON"))}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        stranger = Stranger(home, {**kept, **lent, "HOME": name, "PATH": path})
        road(stranger, sigstore, f"hf://{demo.REPO}@{tag}")


def road(stranger: Stranger, sigstore: SigstoreInstance, reference: str) -> None:
    """Replay, rebuild, attest, and verify under a policy that wants one rebuilder."""
    trust = ("--trust-config", str(sigstore.trust_config_path))
    signer = ("--identity", demo.MAINTAINER, "--issuer", sigstore.issuer, *trust)
    how = ("--source", str(demo.PROJECT))
    stranger.glasshouse(
        "audit", "replay", reference, "--segments", "2", *how, *signer, "--output", "replay.json", code=0
    )
    said = stranger.glasshouse("audit", "rebuild", reference, *how, *signer, "--output", "rebuild.json", code=0)
    print("\n".join(f"    {line}" for line in said.splitlines()[:-1]))
    policy = stranger.folder / "policy.json"
    names = [{"kind": "identity", "identity": who, "issuer": sigstore.issuer} for who in (demo.MAINTAINER, AUDITOR)]
    policy.write_text(json.dumps({"signers": names[:1], "rebuilders": {"atLeast": 1, "signers": names}}))
    verify = ("verify", reference, "--policy", str(policy), *trust)
    stranger.glasshouse(*verify, code=3)  # nobody has rebuilt it yet
    for who, code in ((demo.MAINTAINER, 3), (AUDITOR, 0)):  # the maintainer's own does not count
        bundle = f"{who}.sigstore.json"
        token = ("--identity-token", sigstore.token(who))
        stranger.glasshouse("audit", "attest", "rebuild.json", *trust, *token, "--output", bundle, code=0)
        stranger.glasshouse(*verify, "--attestation", bundle, code=code)


if __name__ == "__main__":
    main()
