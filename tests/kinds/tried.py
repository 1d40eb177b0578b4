"""What `make kinds` tried: each kind with which versions of its libraries, kept in tried.json for docs to show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from registry.files import write_atomic
from tests.conftest import ROOT
from tests.kinds.projects import Fixture

UV = str(Path(sys.executable).parent / "uv")
HERE = Path(__file__).parent
TRIED = HERE / "tried.json"
LOCKS = (HERE / "requirements.lock", ROOT / "requirements.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;+]+)", re.MULTILINE)


def locked() -> dict[str, str]:
    """The version of each package that the locks pin, by its name."""
    return {pin["name"]: pin["version"] for lock in LOCKS for pin in PIN.finditer(lock.read_text())}


def pins(fixture: Fixture) -> str:
    """Its requirements.txt: its libraries, as they are locked."""
    versions = locked()
    return "".join(f"{name}=={versions[name]}\n" for name in fixture.libraries)


def digests(fixture: Fixture, folder: Path) -> str:
    """Its requirements.txt: every package that its libraries need, as they are locked, with digests."""
    write_atomic(folder / "requirements.in", pins(fixture).encode())
    versions = "".join(f"{name}=={version}\n" for name, version in locked().items() if name != "torch")
    write_atomic(folder / "constraints.txt", versions.encode())
    command = (UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "requirements.in")
    done = subprocess.run((*command, "--constraint", "constraints.txt"), cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


def versions(kind: str) -> str:
    """With which packages models of a kind were tried, as a reader sees it; "" where none was."""
    found = [library for row in rows().values() if row["kind"] == kind for library in row["libraries"]]
    return ", ".join(dict.fromkeys(library.replace("==", " ") for library in found))


def rows() -> dict[str, Any]:
    """What is kept: by the name of the project."""
    found: dict[str, Any] = json.loads(TRIED.read_text()) if TRIED.is_file() else {}
    return found


def keep(fixture: Fixture, pins: str, edits: int) -> None:
    """Keep that the whole path of `fixture` was gone, with these pins, after `glasshouse init` wrote `edits` lines."""
    row = {"kind": fixture.kind, "libraries": pins.split(), "lines": edits}
    kept = json.dumps({**rows(), fixture.name: row}, indent=2, sort_keys=True)
    write_atomic(TRIED, f"{kept}\n".encode())
