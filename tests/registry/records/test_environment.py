"""registry.records.environment: every version is read for ever, and none is taken for another."""

from pathlib import Path
from typing import Any

import pytest

from registry import canonical
from registry.errors import InputError
from registry.records.environment import Environment

GOLDENS = Path(__file__).parent / "goldens"


def golden(version: str) -> dict[str, Any]:
    return dict(canonical.read(GOLDENS / f"environment-{version}.json"))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_version_is_read(version: str) -> None:
    record = Environment.read(GOLDENS / f"environment-{version}.json")
    assert record.schema_ == f"glasshouse.environment/{version}"
    assert record.profile.blas_core == "Haswell"
    assert (record.shape is None) == (version == "v1")
    assert Environment.from_bytes(record.to_bytes(), name="again") == record


def test_v2_names_the_builds_and_the_shape() -> None:
    record = Environment.read(GOLDENS / "environment-v2.json")
    assert record.software.builds is not None and record.software.builds.keys() == {"numpy", "torch"}
    assert record.shape is not None and record.shape.micro_batch_rows == 2
    assert "Haswell" in str(record.software.blas_config)
    assert record.profile.settings["operations"] == "known"


@pytest.mark.parametrize("part", ["shape", "builds", "blasConfig"])
def test_what_belongs_to_v2_has_to_be_there_and_only_there(part: str) -> None:
    value = golden("v2")
    where = value if part == "shape" else value["software"]
    kept = where.pop(part)
    with pytest.raises(InputError, match="v2"):
        Environment.from_json(value, name="environment.json")
    old = golden("v1")
    (old if part == "shape" else old["software"])[part] = kept
    with pytest.raises(InputError, match="v2"):
        Environment.from_json(old, name="environment.json")
