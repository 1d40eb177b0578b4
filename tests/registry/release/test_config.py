"""The `release` section of params.yaml."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.errors import InputError
from registry.release import config

GOOD: dict[str, Any] = {
    "repo": "org/model",
    "title": "A model",
    "license": "Apache-2.0",
    "languages": ["en", "code"],
    "model": "build/model",
    "provenance": ["build/a.json"],
    "intended_use": "To test.",
    "limits": "Many.",
}


def load(tmp_path: Path, section: object) -> config.ReleaseConfig:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"seed": 1, "release": section}))
    return config.load(tmp_path)


def test_a_good_section_is_read(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    assert (loaded.name, loaded.output, loaded.about.languages) == ("model", "build/release", ("en", "code"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"repo": "no-namespace"}, "release.repo"),
        ({"repo": "../evil"}, "release.repo"),
        ({"model": "../outside"}, "release.model"),
        ({"provenance": ["/etc/passwd"]}, "release.provenance"),
        ({"colour": "red"}, "release.colour"),
        ({"languages": ["English"]}, "release.languages"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        load(tmp_path, GOOD | change)


def test_a_missing_section_is_told_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1")
    with pytest.raises(InputError, match="no `release` section"):
        config.load(tmp_path)
