"""A contract that does not hold of the project is refused before anything is signed; none is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.errors import Refused
from registry.release import replayable
from tests import other_project

STAGES = tuple(other_project.STAGES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The other project's files, and what its stages would have made."""
    for path in ("loom/again.py", "out/spools/words.json", "out/bundle/tokenizer.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(other_project.PARAMS))
    return tmp_path


def declare(root: Path, **changes: Any) -> None:
    replay = other_project.PARAMS["release"]["replay"] | changes
    section = other_project.PARAMS["release"] | {"replay": replay}
    (root / "params.yaml").write_text(yaml.safe_dump(other_project.PARAMS | {"release": section}))


def test_a_contract_that_holds_is_taken(root: Path) -> None:
    replayable.check(root, STAGES)


def test_none_is_asked_for(root: Path) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump({"release": {"output": "out/bundle"}}))
    replayable.check(root, ())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"module": "loom.anew"}, "there is no module loom.anew"),
        ({"data": "encode"}, "dvc.lock has no stage encode"),
        ({"made": {"tokenizer.json": "out/words.json"}}, "out/words.json is not there"),
        ({"made": {"vocabulary.txt": "out/spools/words.json"}}, "vocabulary.txt is not there"),
        ({"steps": "loom.steps"}, "loom.steps is not a whole number above 0"),
        ({"rows": ["loom.threads", "loom.width"]}, "loom.width is not"),
        ({"processes": "loom.hands"}, "loom.hands is not"),
        ({"adamw": {}}, "adamw: params.yaml has no clip_norm"),
    ],
)
def test_what_does_not_hold_is_named(root: Path, changes: dict[str, Any], named: str) -> None:
    declare(root, **changes)
    with pytest.raises(Refused, match=named):
        replayable.check(root, STAGES)


def test_a_file_that_is_another_than_the_released_one_is_named(root: Path) -> None:
    (root / "out/spools/words.json").write_text("[]")
    with pytest.raises(Refused, match=r"out/spools/words\.json is not the tokenizer\.json of the release"):
        replayable.check(root, STAGES)
