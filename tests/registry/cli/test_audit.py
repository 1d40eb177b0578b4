"""`glasshouse audit` where nothing can be walled in: it refuses, unless that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
SIGNER = ("--identity", "ci@example.org", "--issuer", "https://issuer.example")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """With the programs in that folder, and no bubblewrap beside them."""
    done = subprocess.run(
        [GLASSHOUSE, "audit", *words, str(folder), *SIGNER],
        capture_output=True, text=True, check=False, env={**os.environ, "PATH": str(folder)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("word", ["replay", "rebuild"])
def test_without_a_wall_nothing_is_run_unless_that_is_asked_for(word: str, tmp_path: Path) -> None:
    for asked in ((), ("--sandbox",)):
        done = run(tmp_path, word, *asked)
        assert done.returncode == 2 and "bubblewrap is not installed" in done.stderr
        assert "apt install bubblewrap" in done.stderr and "--no-sandbox" in done.stderr
    done = run(tmp_path, word, "--no-sandbox")
    assert "can read and change what you can" in done.stderr and "bubblewrap is not installed" not in done.stderr
    assert run(tmp_path, word, "--sandbox", "--no-sandbox").returncode == 2


def test_a_wall_that_cannot_be_built_is_named(tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    done = run(tmp_path, "replay")
    assert done.returncode == 2 and "No permissions to create new namespace" in done.stderr
