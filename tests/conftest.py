"""What many tests share: one small project, built and released once, with a Sigstore and a Hub of our own."""

from __future__ import annotations

import atexit
import fcntl
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import settings

from registry.variables import MEMORY
from tests.hub_instance import HubInstance
from tests.hub_template import Template
from tests.pipelines.small_project import write_project
from tests.sigstore_instance import SigstoreInstance

os.environ[MEMORY] = "off"  # what one test hears is not what another heard before
gc.set_threshold(100_000)  # as in pipelines.stage: what the tests import are millions of objects that stay
atexit.register(gc.freeze)  # nor are they searched once more before Python ends
settings.register_profile("glasshouse", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("glasshouse")

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("pipelines", "registry", "dvc.yaml", ".dvc", ".dvcignore", ".gitignore", "LICENSE", "requirements.lock")
MAINTAINER = "maintainer@example.org"
REPO = "glasshouse/small"

SMALL: dict[str, Any] = {
    "release": {
        "repo": REPO,
        "title": "A small model",
        "license": "Apache-2.0",
        "licenses": {"code": "Apache-2.0", "data": "CC0-1.0", "documents": "CC-BY-4.0"},
        "openness": "III",
        "languages": ["en"],
        "model": "build/model",
        "provenance": [
            "build/corpus/data-manifest.json",
            "build/corpus/data-manifest.jsonl",
            "build/tokens/tokens.json",
            "build/tokens/token-counts.jsonl",
            "build/train/checkpoints.json",
            "build/train/metrics.jsonl",
            "build/train/environment.json",
            "build/evaluation/evaluation.json",
            "build/evaluation/loss.png",
            "params.yaml",
            "requirements.lock",
        ],
        "replay": {"order": {"seed": "seed", "context": "model.context"}},
        "intended_use": "To be tested.",
        "limits": "It knows nothing.",
    },
}
"""Sections of params.yaml beside those of the data stages."""

ALONE: Mapping[str, str] = MappingProxyType({"GLASSHOUSE_PROCESSES": "1"})
"""Variables: one process trains. Each loads torch and transformers, for seconds; this model takes less."""


ENDS_SOON = "import atexit, gc; atexit.register(gc.freeze)\n"
"""Before a program that loads torch: all of it is not searched once more before Python ends, for a second."""

DEAREST = (
    "tests/e2e/test_audit.py",
    "tests/pipelines/test_tracking_outages.py",
    "tests/e2e/test_tampering.py",
    "tests/e2e/test_audit_command.py",
    "tests/pipelines/test_train.py",
    "tests/pipelines/test_tracking.py",
    "tests/e2e/test_release.py",
    "tests/e2e/test_ci.py",
    "tests/test_wheel.py",
)
"""The files that take longest. The first builds the small project meanwhile, the second does not wait for it."""
assert all((ROOT / file).is_file() for file in DEAREST)

TOLD = "told"


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say something at the end of the run, whether or not output is captured, in whichever process the test runs."""
    return lambda words: record_property(TOLD, words)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests wanted told."""
    for report in terminalreporter.getreports("passed"):
        for name, words in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(words)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest files are begun first, so that no process is left with one when the others are done.

    Where several processes share the tests, each file is one's alone (--dist loadfile), so that what a module shares is
    made once.
    """
    items.sort(key=lambda item: DEAREST.index(file) if (file := file_of(item)) in DEAREST else len(DEAREST))


def file_of(item: pytest.Item) -> str:
    """The file that a test stands in, from the root."""
    return item.nodeid.partition("::")[0]


@dataclass(frozen=True)
class Project:
    """A DVC project in a git repository of its own, and the environment its commands run in."""

    root: Path
    environment: Mapping[str, str]

    def run(
        self, *command: str, check: bool = True, variables: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would, at the project's root."""
        if command[:2] == ("python", "-c"):
            command = (*command[:2], f"{ENDS_SOON}{command[2]}", *command[3:])
        done = subprocess.run(
            command, cwd=self.root, env={**self.environment, **variables}, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)


def new_project(root: Path, **sections: Any) -> Project:
    """A clone of this source with little data and a small model, committed, not built."""
    write_project(root, **{**SMALL, **sections})
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp"))
        else:
            shutil.copyfile(source, root / name)
    return repository(root)


def repository(root: Path) -> Project:
    """The project whose files stand in `root`, as a git repository with one commit."""
    project = project_in(root)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    for key, value in (("user.name", "Maintainer"), ("user.email", MAINTAINER)):
        project.run("git", "config", key, value)
    project.commit("A small project")
    return project


def project_in(root: Path) -> Project:
    """The project in `root`, as its people run it."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MLFLOW_", "GIT_"))},
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(root),
        "HOME": str(root.parent),
        "DVC_NO_ANALYTICS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    return Project(root, environment)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project after `dvc repro`, its lock committed. Shared: do not change it.

    Where several processes share the tests, the first that needs it builds it, and each has a copy of its own.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _build(tmp_path_factory.mktemp("built") / "project")
    once = tmp_path_factory.getbasetemp().parent / "built-once"
    once.mkdir(exist_ok=True)
    with (once / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes later waits, and finds it built
        if not (once / "done").exists():
            shutil.rmtree(once / "built", ignore_errors=True)
            _build(once / "built" / "project")
            (once / "done").touch()
    copy = tmp_path_factory.mktemp("copied") / "built"
    shutil.copytree(once / "built", copy, symlinks=True)
    return project_in(copy / "project")


def _build(root: Path) -> Project:
    """The small project in `root`, built; beside it `loaded`, what each process of a stage imported from where."""
    project = new_project(root)
    (loaded := root.parent / "loaded").mkdir()
    (root.parent / "built-in").write_text(str(root))
    path = os.pathsep.join((project.environment["PYTHONPATH"], str(ROOT / "tests/loaded")))
    project.run("dvc", "repro", variables={**ALONE, "PYTHONPATH": path, "GLASSHOUSE_TEST_LOADED": str(loaded)})
    project.commit("Lock what dvc repro built")
    return project


@pytest.fixture(scope="session", autouse=True)
def nobody_waits_for_the_disk() -> Iterator[None]:
    """What a test writes in its own process need not outlive a power cut. Commands and servers flush as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def servers_import_once() -> Iterator[None]:
    """Servers come from a template. That of the fixture `hub` is started as its operator starts it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HubInstance, "template", template := Template())
        yield
        template.end()


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigstoreInstance]:
    """A throwaway Sigstore on loopback."""
    with SigstoreInstance.start(tmp_path_factory.mktemp("sigstore")) as instance:
        yield instance


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A Hub of our own on loopback."""
    with HubInstance.start(tmp_path_factory.mktemp("hub"), within=("env",)) as instance:
        yield instance


@dataclass(frozen=True)
class Released:
    """A release that was cut by the command: its project, its directory, and how to verify it."""

    project: Project
    folder: Path
    reference: str
    said: str
    signer: tuple[str, ...]
    hub: Mapping[str, str]


@pytest.fixture(scope="session")
def released(
    built: Project, sigstore: SigstoreInstance, hub: HubInstance, tmp_path_factory: pytest.TempPathFactory
) -> Released:
    """The small project's first release, on the Hub. Shared: copy the directory before changing it."""
    environment = hub.environment(tmp_path_factory.mktemp("huggingface"))
    trust = ("--trust-config", str(sigstore.trust_config_path))
    done = built.run(
        "glasshouse", "release", "cut", *trust, "--identity-token", sigstore.token(MAINTAINER), variables=environment
    )
    return Released(
        project=built,
        folder=built.root / "releases" / "small" / "v1.0.0",
        reference=f"hf://{REPO}@v1.0.0",
        said=done.stdout + done.stderr,
        signer=("--identity", MAINTAINER, "--issuer", sigstore.issuer, *trust),
        hub=environment,
    )
