"""registry.release.card: what a card says of the licence, and of a text that nobody filled in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.hub import metadata
from registry.release import card
from registry.release.config import ReleaseConfig
from tests.registry.release import model_folders


def config(**more: object) -> ReleaseConfig:
    return ReleaseConfig.model_validate({"repo": "org/small", "license": "MIT", "model": "out/model", **more})


def test_the_link_to_a_licence_leads_to_a_file_that_is_there(tmp_path: Path) -> None:
    folder = model_folders.write(tmp_path, "gguf")
    either = config(license="MIT OR Apache-2.0")
    assert card.labelled(either, folder).licence["license_link"] == "https://spdx.org/licenses"
    (folder / "LICENSE.md").write_text("MIT, or Apache-2.0\n")
    assert card.labelled(either, folder).licence["license_link"] == "LICENSE.md"
    own = {"license": "other", "license_name": "own-terms"}
    with pytest.raises(InputError, match=r"license_link is TERMS, which is not a file of the release"):
        card.labelled(config(**own, license_link="TERMS"), folder)
    (folder / "TERMS").write_text("Ask.\n")
    for link in ("TERMS", "https://example.org/terms"):
        assert card.labelled(config(**own, license_link=link), folder).licence["license_link"] == link


@pytest.mark.parametrize("place", ["/home/me/base", "models/base"])
def test_a_base_on_a_disk_is_no_model_of_the_hub(tmp_path: Path, place: str) -> None:
    """PEFT writes the path that the base was loaded from, wherever a name of the Hub can stand."""
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": place}
    readme = f"---\nbase_model: {place}\ntags:\n- lora\n- base_model:adapter:{place}\n---\n# Adapter\n"
    (tmp_path / "models/base").mkdir(parents=True)
    for folder in (tmp_path / "release", tmp_path / "out/model"):
        model_folders.write(folder, "peft")
        (folder / "adapter_config.json").write_text(json.dumps(settings))
        (folder / "README.md").write_text(readme)
    card.write(tmp_path, config(), tmp_path / "release", version=None)
    data = (tmp_path / "release/README.md").read_bytes()
    fields = metadata.front_matter(data) or {}
    assert fields["tags"] == ["lora", "glasshouse"] and not [name for name in fields if name.startswith("base_model")]
    assert f"Which model it was made from: its files name {place}, a place on a disk." in data.decode()
    card.write(tmp_path, config(base_model=["org/base"]), tmp_path / "release", version=None)
    data = (tmp_path / "release/README.md").read_bytes()
    assert (metadata.front_matter(data) or {})["base_model"] == ["org/base"] and b"a place on a disk" not in data


def test_a_template_that_nobody_filled_in_is_said_to_be_one(tmp_path: Path) -> None:
    folder = model_folders.write(tmp_path / "release", "peft")
    kept = model_folders.write(tmp_path / "out/model", "peft") / "README.md"
    card.write(tmp_path, config(), folder, version=None)
    assert "leaves open" not in (folder / "README.md").read_text()
    kept.write_text("---\nlibrary_name: peft\n---\n# Model\n\n[More Information Needed]\n\n[More Information Needed]\n")
    card.write(tmp_path, config(), folder, version=None)
    assert "- What the text above leaves open: it says [More Information Needed] 2 times." in (
        (folder / "README.md").read_text()
    )
