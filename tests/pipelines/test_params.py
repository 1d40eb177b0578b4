"""pipelines.params: what params.yaml may say."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipelines import params
from pipelines.params import Corpus, Encode, Filters, Source, Tokenizer, Train
from registry.errors import InputError
from tests.pipelines.small_project import TRAIN, write_project

ROOT = Path(__file__).parents[2]
INSTALLED = {"kind": "installed", "package": "Some_Package", "version": "1.0"}
HUB = {"kind": "huggingface", "dataset": "a/b", "commit": "0" * 40, "license": "MIT"}


def test_the_project_s_own_params_hold() -> None:
    loaded = params.load(ROOT / "params.yaml")
    assert loaded.corpus.sources[0].kind == "installed"
    with pytest.raises(ValueError, match="frozen"):
        loaded.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"seed": 7', '"seed": -1', "seed"),
        ('"seed": 7', '"seed": yes', "seed"),
        ('"seed": 7', '"seed": "7"', "seed"),
        ('"seed": 7', '"seed": 7, "sped": 1', "sped"),
        ('"seed": 7', '"seed": 7, "seed": 8', "twice"),
        ('"validation_fraction": 0.25', '"validation_fraction": 1.0', "corpus.validation_fraction"),
        ('"validation_fraction": 0.25', '"validation_fraction": .nan', "params.yaml: not a JSON value: nan"),
        ('"vocabulary": 300', '"vocabulary": 256', "tokenizer.vocabulary"),
        ('"kind": "files"', '"kind": "download"', "corpus.sources.0"),
        ('"texts/*.txt"', '"/etc/*"', "corpus.sources.0.files.include.0"),
        (
            "}]",
            '}, {"kind": "files", "name": "texts", "include": ["a"], "license": "MIT", "url": "http://a"}]',
            "twice",
        ),
    ],
)
def test_what_breaks_a_bound_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    path = write_project(tmp_path) / "params.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.load(path)
    assert named in caught.value.message
    assert caught.value.mend


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        params.load(tmp_path / "params.yaml")


def test_sources_are_named_by_where_they_come_from() -> None:
    source: TypeAdapter[params.Installed | params.Files | params.RowFiles | params.HuggingFace] = TypeAdapter(Source)
    assert source.validate_json(json.dumps(INSTALLED)).id == "pkg:pypi/some-package@1.0"
    assert source.validate_json(json.dumps(HUB)).id == f"hf://datasets/a/b@{'0' * 40}"
    assert source.validate_json(json.dumps({**HUB, "config": "en"})).id == f"hf://datasets/a/b@{'0' * 40}#en"


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "main"},
        {"commit": "0" * 39},
        {"dataset": "a/b/c"},
        {"dataset": "../b"},
        {"license": None},
        {"license_column": "license"},
        {"splits": []},
        {"limit": 0},
    ],
)
def test_a_hub_source_that_is_not_pinned_or_licensed_is_refused(change: dict[str, Any]) -> None:
    source: TypeAdapter[object] = TypeAdapter(Source)
    with pytest.raises(ValueError, match="validation error"):
        source.validate_json(json.dumps({**HUB, **change}))


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Filters, {"min_bytes": 3, "max_bytes": 2, "licenses": ["MIT"]}),
        (Filters, {"min_bytes": 1, "max_bytes": 2, "licenses": []}),
        (Corpus, {"sources": [], "filters": {}, "validation_fraction": 0.1}),
        (Tokenizer, {"vocabulary": 300, "sample_bytes": 0}),
        (Encode, {"shard_tokens": 1}),
        (Train, {**TRAIN, "weights": "bfloat16"}),
        (Train, {**TRAIN, "compile": True}),
        (Train, {**TRAIN, "profile": "native", "compile": True, "weights": "bfloat16"}),
        (Train, {**TRAIN, "profile": "native", "compile": True, "sharding": "fsdp"}),
        (Train, {**TRAIN, "profile": "native", "compile": True, "activations": "recomputed"}),
        (Train, {**TRAIN, "launch": {"least_nodes": 2, "most_nodes": 1}}),
    ],
)
def test_sections_that_make_no_sense_are_refused(model: type[params.Section], value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate_json(json.dumps(value))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_hostile_bytes_raise_our_error_and_no_other(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(data)
    with pytest.raises(InputError):
        params.load(tmp_path / "params.yaml")


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["seed", "corpus", "tokenizer", "encode"]), JSON)
def test_hostile_sections_raise_our_error_and_no_other(tmp_path: Path, section: str, value: object) -> None:
    (tmp_path / "params.yaml").write_text(json.dumps({"seed": 1, section: value}), encoding="utf-8")
    with pytest.raises(InputError):
        params.load(tmp_path / "params.yaml")
