"""One project of a kind, from its author's first command to a stranger's last: adopted, released, verified, loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical
from registry.digest import sha256_file
from registry.files import write_atomic
from registry.hub import metadata
from registry.hub.client import HubClient
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from tests.conftest import ROOT
from tests.kinds.projects import SCRIPTS, TEXT, Fixture

PROGRAMS = ROOT / ".kinds/bin"
"""The environment that `make kinds` makes: it has the libraries that the project itself does without."""
ORIGIN = "https://git.example.org"
"""What the projects' origins are called; git is told that they lie on this disk."""
MAX_VERDICT = 1 << 24
SOURCES = re.compile(r"## Rebuild it\n+```sh\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Adopted:
    """The project of `fixture` in `root`, in a git repository with an origin, and the environment of its people."""

    fixture: Fixture
    root: Path
    environment: Mapping[str, str]

    @classmethod
    def new(cls, fixture: Fixture, folder: Path, hub: Mapping[str, str], pins: str, key: Path) -> Adopted:
        """The project below `folder`, as its author has it before hearing of Glasshouse.

        hub: the variables of the Hub's clients.  pins: its requirements.txt.  key: the public one, of a base's signer.
        """
        root, origin = folder / fixture.name, folder / "origins" / f"{fixture.name}.git"
        folder.mkdir(exist_ok=True)
        write_atomic(folder / ".gitconfig", f'[url "{folder}/origins/"]\n\tinsteadOf = {ORIGIN}/\n'.encode())
        files = {
            "train.py": (SCRIPTS / fixture.name / "train.py").read_text(),
            "data/text.txt": TEXT,
            "dvc.yaml": fixture.stages(),
            "requirements.txt": pins,
            fixture.licence_file: f"{fixture.license[0]}\n",
        }
        if fixture.base:
            commit = HubClient(hub["HF_ENDPOINT"], hub["HF_TOKEN"]).refs.resolve(fixture.base, "v1.0.0")
            files["params.yaml"] = f"base: {{model: hf://{fixture.base}@{commit}, policy: policy.json}}\n"
            files["policy.json"] = json.dumps({"signers": [{"kind": "key", "pem": key.read_text()}]})
        for path, text in files.items():
            write_atomic(root / path, text.encode())
        project = cls(fixture, root, _environment(folder, hub))
        project.run("git", "init", "--quiet", "--bare", str(origin))
        project.run("git", "init", "--quiet", "--initial-branch", "main")
        for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
            project.run("git", "config", name, value)
        project.run("git", "remote", "add", "origin", f"{ORIGIN}/{origin.name}")
        project.run("dvc", "init", "--quiet")
        return project

    def run(self, *command: str, code: int = 0, within: Path | None = None, **variables: str) -> str:
        """What a command prints, run as a person would; it has to end in `code`."""
        done = subprocess.run(
            command, cwd=within or self.root, env={**self.environment, **variables}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def commit(self) -> None:
        """Commit everything, and push it."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "What dvc repro made")
        self.run("git", "push", "--quiet", "origin", "main")

    def verified(self, version: str, key: Path, code: int) -> dict[str, Any]:
        """The report on a version, as the Hub gives it to a stranger with the public key."""
        reference, bases = f"hf://{self.fixture.repo}@v{version}", ("--bases",) if self.fixture.base else ()
        found = self.run("glasshouse", "verify", reference, "--key", str(key), "--json", *bases, code=code)
        report: dict[str, Any] = canonical.parse(found.encode(), name="the report")
        return report

    def loaded(self, version: str, folder: Path) -> float:
        """The figure that the kind's own library gives, loading that version from the Hub into an empty cache."""
        write_atomic(folder / "data/text.txt", TEXT.encode())
        write_atomic(folder / "load.py", (SCRIPTS / self.fixture.name / "load.py").read_bytes())
        words = ("python", "load.py", self.fixture.repo, f"v{version}")
        return float(self.run(*words, within=folder, HF_HOME=str(folder / "cache")).split()[-1])

    def rebuilt(self, card: str, folder: Path) -> dict[str, str]:
        """SHA-256 of each file of weights that the card's own commands make in the empty `folder`."""
        (commands,) = SOURCES.findall(card)
        folder.mkdir()
        self.run("sh", "-ec", commands, within=folder)
        place = folder / "source" / self.fixture.model
        base = place if place.is_dir() else place.parent
        return {file.path: sha256_file(base / file.path) for file in self.record("1.0.0").weights}

    def audited(self, key: Path, folder: Path, code: int, *environment: str) -> dict[str, Any]:
        """The details of the verdict of a stranger, who rebuilds it in the new `folder`.

        environment: the options that say in which packages.
        """
        folder.mkdir()
        origin = self.root.parent / "origins" / f"{self.fixture.name}.git"
        command = ("glasshouse", "audit", "rebuild", f"hf://{self.fixture.repo}@v1.0.0", "--key", str(key))
        self.run(*command, "--source", str(origin), *environment, within=folder, code=code)
        found: dict[str, Any] = canonical.read(folder / "verdict.json", max_bytes=MAX_VERDICT)
        return found

    def folder(self, version: str) -> Path:
        """Where that version stands signed."""
        return self.root / "releases" / self.fixture.repo.split("/")[1] / f"v{version}"

    def record(self, version: str) -> ReleaseRecord:
        """Its release record."""
        return ReleaseRecord.read(self.folder(version) / layout.RECORD)

    def card(self, version: str) -> tuple[dict[str, Any], str]:
        """The metadata of its card, and the whole of it."""
        data = (self.folder(version) / layout.CARD).read_bytes()
        return metadata.front_matter(data) or {}, data.decode()


def _environment(folder: Path, hub: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MLFLOW_", "GIT_"))}
    path = os.pathsep.join((str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]))
    own = {"PATH": path, "HOME": str(folder), "DVC_NO_ANALYTICS": "1", "MPLBACKEND": "agg"}
    return {**kept, **own, **hub}


def edited(diff: str) -> int:
    """How many lines a diff adds or changes."""
    return sum(row.startswith("+") and not row.startswith("+++") for row in diff.splitlines())
