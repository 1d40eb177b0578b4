"""What the pages name exists: each path of this tree, each module, each stage and step."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from registry.records import tracking
from tests.conftest import ROOT
from tests.docs import house
from tests.docs.picture import WORDS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:registry|pipelines|tests|docs)/[\w./-]*")
_DOTTED = re.compile(r"(?!glasshouse\.yaml$)(?:registry|pipelines|tests|glasshouse)(?:\.\w+)+")


def named(page: Path, form: re.Pattern[str]) -> set[str]:
    """What the code in the running text of `page` names in this form; NAME stands for any."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {code for code in _CODE.findall(prose) if form.fullmatch(code) and "NAME" not in code}


def found(dotted: str) -> bool:
    """Whether `dotted` is a module, or something in one, or a tag in MLflow."""
    if dotted in vars(tracking).values():
        return True
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError:
        return bool(module) and found(module) and hasattr(importlib.import_module(module), name)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_and_every_module_that_a_page_names_exists(page: Path) -> None:
    assert {path for path in named(page, _PATH) if not (ROOT / path).exists()} == set()
    assert {dotted for dotted in named(page, _DOTTED) if not found(dotted)} == set()


def test_names_are_found_in_the_pages() -> None:
    paths = {path for page in PAGES for path in named(page, _PATH)}
    assert "registry/provenance/claims.py" in paths and len(paths) > 30
    assert len({dotted for page in PAGES for dotted in named(page, _DOTTED)}) > 5
    assert found("registry.report.Verdict") and not found("registry.report.Verdicts") and not found("registry.nothing")


def table(page: str, heading: str) -> list[str]:
    """The first cell of each row of the first table below `heading`."""
    below = (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows
    return [row.split("|")[1].strip() for row in rows[0].splitlines()[2:]]


def test_the_architecture_has_the_stages_of_dvc_yaml_and_the_steps_of_verification() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]
    assert table("architecture.md", "The pipeline") == list(stages)
    assert table("architecture.md", "Verification, step by step") == WORDS


def test_the_architecture_has_every_room() -> None:
    inside = ROOT / "registry"
    rooms = {f"{path.parent.relative_to(inside)}/" for path in inside.rglob("__init__.py")} - {"./"}
    ground = {path.name for path in inside.glob("*.py")} - {"__init__.py"}
    listed = [cell.strip("`") for cell in table("architecture.md", "The rooms of registry")]
    assert sorted(listed) == sorted(rooms | ground)


def test_a_room_must_say_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "room.py").write_text('"""It keeps\nthe keys. And more."""')
    assert house.purpose(tmp_path / "room.py") == "It keeps the keys."
    (tmp_path / "room.py").write_text("x = 1")
    with pytest.raises(AssertionError, match="what it is for"):
        house.purpose(tmp_path / "room.py")
