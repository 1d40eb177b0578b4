"""`make demo`: the whole road of a model, from its data to a release that a stranger verified.

It works in a clone of its own, `.demo/project`, so the checkout stays as it is. Nothing leaves this machine: the
release is signed by a throwaway Sigstore and published to a small Hub, both on loopback, both run from here and stopped
at the end. Every command that a person would type is printed before it runs. Run it again: nothing is done twice.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.goldens import demo_weights
from tests.hub_instance import HubInstance
from tests.sigstore_instance import SigstoreInstance

CHECKOUT = Path(__file__).resolve().parent.parent
SCRATCH = CHECKOUT / ".demo"
PROJECT = SCRATCH / "project"
REPO = "glasshouse/tiny-llama"
MAINTAINER = "maintainer@example.org"


def main() -> int:
    """Run the demo; the exit code is that of the first command that failed, or 1 where the weights had to be others."""
    started = time.monotonic()
    SCRATCH.mkdir(exist_ok=True)
    heading("The project: a clone of this checkout")
    clone()
    with SigstoreInstance.start(SCRATCH / "sigstore") as sigstore, HubInstance.start(SCRATCH / "hub") as hub:
        environment = hub.environment(SCRATCH / "huggingface")
        trust = ["--trust-config", os.path.relpath(sigstore.trust_config_path, PROJECT)]
        signer = ["--identity", MAINTAINER, "--issuer", sigstore.issuer]
        heading("Rebuild the model from its data: a stage that is up to date is not run again")
        run(["dvc", "repro"])
        weights = demo_weights.compare(PROJECT)
        print(weights.words)
        keep_lock()
        # A token lives for minutes: not to be had before the training.
        (SCRATCH / "identity-token").write_text(sigstore.token(MAINTAINER))
        heading("Cut a release: prepare, sign, publish")
        print("The Sigstore that signs here is a throwaway one: its certificates prove nothing outside this machine.")
        run(["glasshouse", "release", "cut", *trust, "--identity-token-file", "../identity-token"], environment)
        tag = latest_tag()
        heading("Verify it as a stranger would, from the Hub")
        run(["glasshouse", "verify", f"hf://{REPO}@{tag}", *trust, *signer], environment)
        heading("Others' tools agree: OpenSSF model-signing on the signature, transformers on the weights")
        release = f"releases/tiny-llama/{tag}"
        run(["model_signing", "verify", "sigstore", release, "--signature", f"{release}/model.sig",
             "--ignore-git-paths", "--identity", MAINTAINER, "--identity_provider", sigstore.issuer,
             *[word.replace("--trust-config", "--trust_config") for word in trust]])  # fmt: skip
        run(["python", "-c", GENERATE.format(repo=REPO, tag=tag)], environment)
    farewell(tag, trust, signer, time.monotonic() - started)
    if weights.broken:
        print(f"\n{weights.words}")
    return int(weights.broken)


GENERATE = (
    "from transformers import pipeline\n"
    'model = pipeline("text-generation", "{repo}", revision="{tag}")\n'
    'print(model("def main():", max_new_tokens=24, do_sample=False)[0]["generated_text"])'
)


def clone() -> None:
    """Make the clone, or bring in what was committed to the checkout since it was made."""
    if not PROJECT.exists():
        run(["git", "clone", "--quiet", os.path.relpath(CHECKOUT, SCRATCH), "project"], folder=SCRATCH)
        for key, value in (("user.name", "Maintainer"), ("user.email", MAINTAINER)):
            quietly(["git", "config", key, value])
        return
    run(["git", "pull", "--quiet", "--no-rebase", "--no-edit", "--strategy-option=ours"])


def keep_lock() -> None:
    """Commit the lock that `dvc repro` wrote: a release is cut from a clean tree."""
    if quietly(["git", "status", "--porcelain"]):
        run(["git", "add", "dvc.lock"])
        run(["git", "commit", "--quiet", "--message", "Lock what dvc repro built"])


def latest_tag() -> str:
    """The newest release that stands in the project."""
    releases = (PROJECT / "releases" / "tiny-llama").glob("v*")
    return max((path.name for path in releases), key=lambda tag: tuple(map(int, tag[1:].split("."))))


def heading(words: str) -> None:
    """Begin a chapter."""
    print(f"\n\033[1m== {words}\033[0m" if sys.stdout.isatty() else f"\n== {words}")


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = PROJECT) -> None:
    """Print a command as a person would type it, run it, and stop the demo where it fails."""
    print(f"$ {shlex.join(command)}")
    done = subprocess.run(command, cwd=folder, env=surroundings() | dict(environment or {}), check=False)
    if done.returncode:
        sys.exit(done.returncode)


def quietly(command: Sequence[str]) -> str:
    """Run a command that is of no interest to a reader, and return what it printed."""
    return subprocess.run(command, cwd=PROJECT, env=surroundings(), check=True, capture_output=True, text=True).stdout


def surroundings() -> dict[str, str]:
    """This environment, with the virtual environment's commands first and the clone's own modules before any other."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return dict(os.environ) | {"PATH": path, "PYTHONPATH": str(PROJECT), "DVC_NO_ANALYTICS": "1"}


def farewell(tag: str, trust: Sequence[str], signer: Sequence[str], seconds: float) -> None:
    """Say where things are, and what to try next."""
    release = PROJECT / "releases" / "tiny-llama" / tag
    there, mlflow = (shlex.quote(str(path)) for path in (PROJECT, Path(sys.executable).parent / "mlflow"))
    verify = shlex.join(["glasshouse", "verify", f"releases/tiny-llama/{tag}", *trust, *signer])
    heading(f"Done in {seconds:.0f} s")
    print(
        f"model card    {release / 'README.md'}\n"
        f"loss curve    {release / 'provenance' / 'loss.png'}\n"
        f"MLflow UI     (cd {there} && {mlflow} ui --backend-store-uri sqlite:///mlflow.db)\n"
        f"\nNext, in {PROJECT} with {Path(sys.executable).parent} on the PATH:\n"
        f"  {verify}\n"
        f"  printf x >> releases/tiny-llama/{tag}/config.json   # and verify again: it names the file\n"
        f"  dvc dag; dvc plots show\n"
        f"  edit params.yaml, commit, and `make demo` again: only what changed is rebuilt\n"
        f"  docs/tutorials/demo.md explains what you saw"
    )


if __name__ == "__main__":
    sys.exit(main())
