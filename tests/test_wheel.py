"""The wheel: built twice it is the same bytes, and where nothing else is installed it does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.goldens.make_releases import goldens
from tests.sigstore_instance import ISSUER, SigstoreInstance

ROOT = Path(__file__).resolve().parents[1]
UV = str(Path(sys.executable).with_name("uv"))


def build(into: Path, *, umask: int, time: int) -> Path:
    """The wheel, built from a copy of the source whose files have modes by `umask`, and `time` as theirs."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":!tests", ":!docs"]
    for name in subprocess.run(listing, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            target = into / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o666 & ~umask)
            os.utime(target, (time, time))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into / "dist")]
    subprocess.run(command, cwd=into / "source", capture_output=True, umask=umask, check=True)
    (wheel,) = (into / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source."""
    return build(tmp_path_factory.mktemp("wheel"), umask=0o022, time=1_700_000_000)


def test_the_wheel_built_twice_is_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "at another path", umask=0o077, time=1_600_000_000)
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()


def test_what_a_browser_runs_is_in_it_with_the_licences_of_all_that_is_bundled(wheel: Path) -> None:
    static, here = "registry/server/pages/static/", ROOT / "registry" / "server" / "pages"
    with zipfile.ZipFile(wheel) as packed:
        carried = {name.removeprefix(static) for name in packed.namelist() if name.startswith(static)}
        assert carried >= {"check.js", "check.LICENSES.txt", "style.css"}
        for name in carried:
            assert packed.read(static + name) == (here / "static" / name).read_bytes()
        assert not any("/pages/browser/" in name for name in packed.namelist())  # what it is made of stays in git
    script = (here / "static" / "check.js").read_text()
    assert "rekor.sigstore.dev" in script and "tuf-browser" not in script  # the public root is in it, not its fetching


def test_its_signature_is_verified_as_the_page_says(wheel: Path, tmp_path: Path, sigstore: SigstoreInstance) -> None:
    page = (ROOT / "docs" / "how-to" / "trust-glasshouse.md").read_text()
    (line,) = re.findall(r"^\$ (python -m sigstore verify .*)$", page, re.MULTILINE)
    words = shlex.split(line)
    name, identity, issuer = words[5], words[words.index("--cert-identity") + 1], words[-1]
    assert name == wheel.name
    shutil.copyfile(wheel, tmp_path / name)
    client = [sys.executable, "-m", "sigstore", "--trust-config", str(sigstore.trust_config_path)]
    token = sigstore.token(identity)
    subprocess.run([*client, "sign", "--identity-token", token, name], cwd=tmp_path, capture_output=True, check=True)
    asked = [*client, *words[3:-1], ISSUER]
    assert issuer == "https://token.actions.githubusercontent.com"
    assert subprocess.run(asked, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / name).write_bytes(wheel.read_bytes() + b"\0")
    assert subprocess.run(asked, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def needed(name: str) -> set[str]:
    """What the installed `name` needs, without extras, and what that needs in turn."""
    seen: set[tuple[str, str]] = set()
    wanted = [(name, "")]
    while wanted:
        if (one := wanted.pop()) in seen:
            continue
        seen.add(one)
        for requirement in map(Requirement, metadata.requires(one[0]) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": one[1]}):
                wanted += ((canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras))
    return {found for found, _ in seen} - {name}


class Bare:
    """An environment that holds the wheel and what it declares, and nothing else, and an empty folder to be in."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "venv" / "bin" / "python"
        self.here = folder / "here"
        self.here.mkdir()

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        environment = {"PATH": os.defpath, "HOME": str(self.here), "LANG": "C.UTF-8", **variables}
        program = str(self.python.with_name(command[0]))
        return subprocess.run(
            [program, *command[1:]], cwd=self.here, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """The wheel installed alone, from uv's cache: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("bare")
    made = Bare(folder)
    names = needed("glasshouse")
    rows = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text())
    lock = folder / "bare.lock"
    lock.write_text("\n".join(row for row in rows if row.partition("==")[0] in names))
    install = (UV, "pip", "install", "--offline", "--no-deps", "--python", str(made.python))
    for command in (
        (UV, "venv", "--python", sys.executable, str(folder / "venv")),
        (*install, "--require-hashes", "--requirement", str(lock)),
        (*install, str(wheel)),
        (UV, "pip", "check", "--python", str(made.python)),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "network was disabled" in done.stderr:
            missing = pytest.fail if os.environ.get("CI") else pytest.skip
            missing(f"uv's cache does not hold what the bare command needs: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("asked", [("--help",), ("audit", "lint", "--help")])
def test_the_bare_command_helps(bare: Bare, asked: tuple[str, ...]) -> None:
    done = bare.run("glasshouse", *asked)
    assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize("way", ["v1/key", "v1/sigstore-rekor1"])
def test_the_bare_command_verifies(bare: Bare, way: str, tmp_path: Path) -> None:
    golden = next(golden for golden in goldens() if golden.name == way)
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(json.loads(golden.how_path.read_bytes())["policy"]))
    trust = ("--policy", str(policy), "--trusted-root", str(golden.trusted_root))
    with golden.unpacked() as root:
        assert (done := bare.run("glasshouse", "verify", str(root), *trust, "--json")).returncode == 0, done.stderr
        assert json.loads(done.stdout)["verdict"] == "PASS"


def test_all_but_the_server_and_tables_is_imported_without_an_extra(bare: Bare) -> None:
    code = (
        "import importlib, pkgutil, registry, registry.errors as errors\n"
        "names = [found.name for found in pkgutil.walk_packages(registry.__path__, 'registry.', onerror=lambda _: 0)\n"
        "         if not found.name.startswith('registry.server')\n"
        "         and found.name not in ('registry.__main__', 'registry.records.row_table')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(len(names))\n"
    )
    done = bare.run("python", "-c", code)
    assert done.returncode == 0 and int(done.stdout) > 100, done.stderr


STAGE = "vars: [{one: 1}]\nstages: {a: {cmd: 'echo ${one}', outs: [out, a.run.json]}}\n"
CALLS = {
    "stale": ("release", "from registry.project.dvc_index import stale; stale(Path())"),
    "mlflow": (
        "release",
        "from registry.project import mlflow as m; Path('mlflow.db').touch()\n"
        "    m.mark_released(Path(), {}, m.MarkedRelease('c', 'd', 'e'))",
    ),
    "gguf": ("gguf", "from registry.release import gguf_file as file; file.write(Path(), Path('a.gguf'), 'F32', None)"),
}
"""Calls in the middle of longer commands: which extra each needs."""


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("serve", ("serve", "--root", "hub")),
        ("serve", ("serve", "--root", "hub", "--check")),
        ("serve", ("token", "list", "--root", "hub")),
        ("release", ("record", "--", "true")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_a_command_that_needs_an_extra_says_which(bare: Bare, extra: str, command: tuple[str, ...]) -> None:
    (bare.here / ".dvc").mkdir(exist_ok=True)
    (bare.here / "dvc.yaml").write_text(STAGE)
    done = bare.run("glasshouse", *command, DVC_STAGE="a")
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    assert f"to mend it: pip install 'glasshouse[{extra}]'" in done.stderr


@pytest.mark.parametrize("call", CALLS)
def test_what_needs_an_extra_later_says_which(bare: Bare, call: str) -> None:
    extra, code = CALLS[call]
    code = (
        "from pathlib import Path\nfrom registry.errors import Unavailable\n"
        f"try:\n    {code}\nexcept Unavailable as problem:\n    print(problem.mend)"
    )
    done = bare.run("python", "-c", code)
    assert done.returncode == 0 and done.stdout == f"pip install 'glasshouse[{extra}]'\n", done.stderr
