"""What stands where documents stand is ours, and what is taken for a record of energy is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from registry import strict_yaml
from registry.errors import InputError
from registry.records import layout
from registry.records.kinds import ModelFolder
from registry.release import draft, found
from registry.release.config import ReleaseConfig, load
from tests.conftest import ROOT
from tests.registry.openness.test_energy import CSV

NOBODY: Any = None
"""The scope of a project, where nobody asks for it."""


def test_what_the_guide_and_the_demo_s_project_say_can_be_said() -> None:
    guide = (ROOT / "docs/how-to/documents.md").read_text()
    (shown,) = re.findall("```yaml\n(.*?)```", guide, re.DOTALL)
    section = strict_yaml.parse(shown.encode(), name="the guide")["release"]
    told = ReleaseConfig.model_validate({"repo": "org/model", "license": "MIT", "model": "build/model"} | section)
    demo = load(ROOT)
    for config in (told, demo):
        assert config.eu and config.rai and config.eu.crawled.used is False and config.rai.personal_information


@pytest.mark.parametrize("path", layout.DOCUMENTS)
def test_no_file_of_a_project_stands_where_a_document_will(tmp_path: Path, path: str) -> None:
    own = f"made/{Path(path).name}"
    config = ReleaseConfig.model_validate(
        {"repo": "org/model", "license": "MIT", "model": "build/model", "provenance": ["made/a.txt", own]}
    )
    with pytest.raises(InputError, match=f"two records would stand at {path}"):
        draft._placed(tmp_path, config, ModelFolder(tmp_path, ()), NOBODY)
    kept = config.model_copy(update={"provenance": ("made/a.txt",)})
    assert f"{layout.PROVENANCE}/a.txt" in draft._placed(tmp_path, kept, ModelFolder(tmp_path, ()), NOBODY)


def test_a_file_that_a_stage_wrote_is_taken_for_codecarbon_s_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "emissions.csv").write_text(CSV)
    assert dict(found._ours(tmp_path, "emissions.csv")) == {layout.EMISSIONS: tmp_path / "emissions.csv"}
    found.check({layout.EMISSIONS: tmp_path / "emissions.csv"})
    (tmp_path / "emissions.csv").write_text("tons\n5\n")
    assert dict(found._ours(tmp_path, "emissions.csv")) == {}
    with pytest.raises(InputError, match="is not what stands there"):
        found.check({layout.EMISSIONS: tmp_path / "emissions.csv"})
