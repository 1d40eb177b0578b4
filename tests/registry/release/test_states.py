"""States that anybody can foresee end in words, a mend, and exit code 2 or 3: never in a traceback, nor in 1.

The command runs as a person runs it, in a project that dvc built; 1 means that something was checked and does not hold.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from registry import cli
from registry.files import write_atomic
from tests.conftest import ROOT
from tests.registry.attest.conftest import write_key
from tests.registry.project.small_dvc import build, git
from tests.registry.release.test_layouts import COPY, MODEL

SECTION = "release: {repo: org/small, license: MIT, model: model.safetensors}\n"
CUT = "release cut --local --key ../private.pem"
Told = Callable[[str], tuple[int, str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that can be released."""
    root = tmp_path_factory.mktemp("states") / "project"
    write_atomic(root / "seed.bin", MODEL)
    return build(root, {"dvc.yaml": COPY, "glasshouse.yaml": SECTION, "requirements.txt": "numpy==2.4.6\n"})


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of it, with links as they are."""
    return Path(shutil.copytree(built, tmp_path / "project", symlinks=True))


@pytest.fixture
def told(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """The exit code of `glasshouse WORDS` in the project, run here, and what it says."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.chdir(project)
    write_key(project.parent / "private.pem")

    def called(words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["glasshouse", *shlex.split(words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), capsys.readouterr().err

    return called


def _as_it_is(root: Path) -> None:
    """A project that can be released."""


def _read_only(root: Path) -> None:
    (root / "releases").symlink_to("/sys")  # where nobody can make a folder, whoever it is
    write_atomic(root / ".git/info/exclude", b"releases\n")


def _no_output(root: Path) -> None:
    (root / "model.safetensors").unlink()
    shutil.rmtree(root / ".dvc/cache")


def _corrupt(path: str) -> Callable[[Path], None]:
    return lambda root: write_atomic(root / path, b"\x00\xffnot what it was\n")


def _commit(path: str, text: str) -> Callable[[Path], None]:
    def changed(root: Path) -> None:
        write_atomic(root / path, text.encode())
        git("add", "--all", root=root)
        git("-c", "user.name=A", "-c", "user.email=a@e.org", "commit", "--quiet", "--message", "x", root=root)

    return changed


@pytest.mark.parametrize(
    ("state", "command", "code", "words"),
    [
        (_read_only, CUT, 3, "this user may not do that"),
        (_no_output, CUT, 2, "dvc pull"),
        (_corrupt(".git/index"), CUT, 2, "git"),
        (_corrupt("dvc.lock"), CUT, 2, "dvc.lock"),
        (_commit("dvc.lock", "\x00"), CUT, 2, "dvc"),
        (_commit("dvc.yaml", "stages: 1"), CUT, 2, "dvc"),
        (_commit("glasshouse.yaml", "release: 1"), CUT, 2, "glasshouse.yaml"),
        (_commit("glasshouse.yaml", SECTION.replace("}", ", kind: nonesuch}")), CUT, 2, "no such kind of model"),
        (_as_it_is, "release cut --local --key absent.pem", 2, "absent.pem"),
        (_as_it_is, "release publish releases/small/v1.0.0", 2, "releases/small"),
    ],
)  # fmt: skip
def test_a_state_ends_in_words_a_mend_and_2_or_3(
    project: Path, told: Told, state: Callable[[Path], None], command: str, code: int, words: str
) -> None:
    state(project)
    found, said = told(command)
    assert (found, "Traceback" in said) == (code, False), said
    assert words in said and "to mend it: " in said and "fault of its own" not in said
    assert not (project / "releases/small").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [("ulimit -f 0; exec python -m registry {} > /dev/null", "make room on the disk"),
     ("exec python -m registry {} --dry-run --json > /dev/full", "the disk is full")],
)  # fmt: skip
def test_a_full_disk_ends_in_words_and_3(project: Path, command: str, words: str) -> None:
    write_key(project.parent / "private.pem")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    words_of = ["sh", "-c", command.format(CUT)]
    done = subprocess.run(words_of, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not list(project.glob("releases/small/v*/model.sig"))


def test_a_project_of_which_git_knows_neither_person_nor_remote_is_released_and_that_is_told(
    told: Told, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    for name, value in {"HOME": str(project.parent), "GIT_CONFIG_GLOBAL": os.devnull}.items():
        monkeypatch.setenv(name, value)
    code, said = told(CUT)
    assert code == 0 and "no remote of the repository is a place to fetch from" in said
