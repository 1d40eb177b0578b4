"""Every operation that passes the gate gives the bits that are written down, on whatever CPU the tests run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.portable import KNOWN, REPLACED

GOLDEN = Path(__file__).parent / "goldens/operations.json"
"""Digests by operation. Another version of torch or numpy may have other ones; another CPU may not.

Write it anew with `python -m tests.pipelines.operations > tests/pipelines/goldens/operations.json`.
"""


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    command = [sys.executable, "-m", "tests.pipelines.operations"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_operations_give_the_same_bits_as_on_the_cpus_they_were_proved_on(found: dict[str, str]) -> None:
    golden = json.loads(GOLDEN.read_bytes())
    assert [name for name in golden.keys() | found.keys() if golden.get(name) != found.get(name)] == []


def test_no_operation_is_known_without_having_been_run(found: dict[str, str]) -> None:
    run = {name.split("::")[1] for name in found if name.startswith("aten::")}
    assert run == KNOWN
    assert not {name.split("::")[1].split(".")[0] for name in REPLACED} & KNOWN
