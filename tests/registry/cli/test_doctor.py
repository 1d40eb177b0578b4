"""`glasshouse doctor` as it is run, where something is amiss."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.registry.cli.test_tree import loaded

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
DEAD = ("--endpoint", "http://127.0.0.1:9")


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [GLASSHOUSE, "doctor", *words], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert "Traceback" not in done.stderr
    return done


def test_what_fails_ends_in_1_what_cannot_be_told_in_3_each_with_its_mend(tmp_path: Path) -> None:
    for name in ("git", "dvc", "bwrap"):
        (tmp_path / name).write_text("#!/bin/sh\necho 1.0\n")
        (tmp_path / name).chmod(0o755)
    done = run("--json", *DEAD, "--project", str(tmp_path), PATH=f"{tmp_path}:/usr/bin:/bin")
    told = json.loads(done.stdout)
    found = {check["name"]: check for check in told["checks"]}
    assert (done.returncode, told["verdict"]) == (3, "UNKNOWN"), told
    assert {name for name, check in found.items() if check["verdict"] != "PASS"} == {"Hub", "token", "clock"}
    assert all((check["mend"] is None) == (check["verdict"] == "PASS") for check in told["checks"])
    (tmp_path / "dvc").write_text("#!/bin/sh\nexit 1\n")
    done = run(*DEAD, "--project", str(tmp_path), PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("DVC         FAIL")]
    assert "to mend it: pip install 'glasshouse[release]'" in lines[at + 1] and "1 FAIL, 3 UNKNOWN" in lines[-1]


def test_a_folder_that_is_not_there_is_bad_input() -> None:
    assert run("--project", "nowhere").returncode == 2


def test_it_loads_nothing_that_computes(tmp_path: Path) -> None:
    found = loaded("doctor", *DEAD, "--project", str(tmp_path), check=False)
    assert "registry.doctor.machine" in found and not found & {
        "torch",
        "numpy",
        "mlflow",
        "transformers",
        "dvc",
        "pandas",
    }
