"""`glasshouse release list|show|diff|log` and `glasshouse lineage`, as they are run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import api
from tests import synthetic_release
from tests.published import World, published

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with published(tmp_path_factory.mktemp("catalog")) as there:
        second = there.folder / "second"
        synthetic_release.write(second, repo="org/model", version="1.0.1", seed=1)
        api.sign(second, api.KeySigner(there.folder / "private.pem"))
        yield there


def run(world: World, *command: str, code: int = 0) -> str:
    done = subprocess.run((GLASSHOUSE, *command), cwd=world.folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def told(world: World, *command: str) -> Any:
    return json.loads(run(world, *command, "--json"))


def test_what_a_hub_has_is_listed_with_who_signed_it(world: World) -> None:
    key = str(world.folder / "public.pem")
    (line,) = run(world, "release", "list", "hf://org", "--key", key).splitlines()
    assert line.split()[:2] == ["hf://org/model@v1.0.0", "PASS"]
    (row,) = told(world, "release", "list", "hf://org")["releases"]
    assert row["signature"]["verdict"] == "UNKNOWN" and row["license"] == "Apache-2.0" and row["standing"] is None


def test_what_cannot_be_read_is_listed_as_unknown(world: World, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    synthetic_release.write(broken)
    (broken / "attestations").mkdir()
    (broken / "attestations/release.sigstore.json").write_text("{}")
    (line,) = run(world, "release", "list", str(tmp_path)).splitlines()
    assert line.split()[:2] == [str(broken), "UNKNOWN"]


def test_a_release_is_shown_with_how_to_verify_it(world: World) -> None:
    shown = run(world, "release", "show", "hf://org/model@v1.0.0", "--key", str(world.folder / "public.pem"))
    assert "org/model@v1.0.0" in shown and "glasshouse verify hf://org/model@v1.0.0" in shown
    assert told(world, "release", "show", "model")["record"]["version"] == "1.0.0"


def test_two_releases_are_compared(world: World) -> None:
    found = told(world, "release", "diff", "hf://org/model@v1.0.0", "second", "--weights")["differences"]
    assert {each["subject"] for each in found if each["part"] == "weights"} == {"layer"}
    assert "they do not differ" in run(world, "release", "diff", "model", "hf://org/model@v1.0.0")


def test_what_cannot_be_compared_ends_in_3(world: World, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(world.folder / "model", tmp_path / "model")
    (tmp_path / "model/provenance/params.yaml").write_text("seed: 8\n")
    assert "? " in run(world, "release", "diff", str(tmp_path / "model"), "model", code=3)


def test_a_history_is_told(world: World) -> None:
    assert [event["what"] for event in told(world, "release", "log", "hf://org")["events"]] == ["release"]
    assert "released from commit" in run(world, "release", "log", "model")


def test_a_lineage_is_drawn(world: World, tmp_path: Path) -> None:
    assert "└─" in run(world, "lineage", "model")
    assert run(world, "lineage", "model", "--dot").startswith("digraph")
    picture = tmp_path / "lineage.svg"
    assert run(world, "lineage", "hf://org/model@v1.0.0", "--svg", str(picture)) == ""
    assert picture.read_text().startswith("<svg")
    assert {event["job"]["name"] for event in json.loads(run(world, "lineage", "model", "--form", "openlineage"))} == {
        "corpus", "train", "evaluate@all",
    }  # fmt: skip
    assert told(world, "lineage", "model")["root"] == "release:org/model@v1.0.0"


def test_a_release_that_is_not_there_is_bad_input(world: World) -> None:
    assert run(world, "release", "show", "nowhere", code=2) == ""
    assert run(world, "release", "list", "hf://org/model/x", code=2) == ""
