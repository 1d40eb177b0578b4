"""What the Hub would refuse or misread is refused here, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.hub import licence_names, metadata


def card(**fields: object) -> bytes:
    return b"---\n" + yaml.safe_dump({"license": "apache-2.0"} | fields).encode() + b"---\n# A model\n"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"language": ["en", "de", "zh-Hans", "code"], "datasets": ["org/data", "squad"], "tags": ["glasshouse"]},
        {"license": "other", "license_name": "our-terms", "license_link": "LICENSE"},
        {"license": ["apache-2.0", "mit"], "pipeline_tag": "text-generation", "library_name": "transformers"},
        {"base_model": "org/model", "base_model_relation": "quantized"},
        {"model-index": [{"name": "x"}], "whatever": 1},
    ],
)
def test_what_the_hub_understands(fields: dict[str, object]) -> None:
    metadata.check_card(card(**fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"license": "Apache-2.0"}, "knows no licence"),
        ({"license": "apache-2.0 or mit"}, "license: other"),
        ({"license": None}, "license"),
        ({"license": "other"}, "license_name"),
        ({"language": "English"}, "language"),
        ({"datasets": "org/data"}, "datasets"),
        ({"datasets": ["https://example.org/data"]}, "names no repository"),
        ({"base_model": "a/b/c"}, "names no repository"),
        ({"base_model_relation": "quantized"}, "base_model"),
        ({"base_model": "a/b", "base_model_relation": "child"}, "base_model_relation"),
        ({"pipeline_tag": "Text Generation"}, "pipeline_tag"),
        ({"tags": "one"}, "tags"),
    ],
)
def test_what_it_does_not_is_named(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        metadata.check_card(card(**fields))


def test_a_card_without_metadata_is_refused() -> None:
    for data in (b"# A model\n", b"", b"---\nlicense: mit\n", b"---\n- mit\n---\n"):
        with pytest.raises(InputError):
            metadata.check_card(data)


def test_results_are_those_that_the_library_writes() -> None:
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            dataset_id="cais/hle", task_id="default", value=20.9, dataset_revision="5" * 40, date="2025-01-15",
            source_url="https://example.org/log", source_name="Log", source_org="cais", notes="no-tools",
        ),
        EvalResultEntry(dataset_id="squad", task_id="plain", value=1),
    ]  # fmt: skip
    text = yaml.safe_dump(eval_result_entries_to_yaml(entries)).encode()
    first, second = metadata.check_results(text, name="hle.yaml")
    assert (first.dataset.id, first.value, second.value) == ("cais/hle", 20.9, 1)


@pytest.mark.parametrize(
    "row",
    [
        {}, {"dataset": {"id": "a/b"}, "value": 1}, {"dataset": {"id": "a/b", "task_id": "t"}},
        {"dataset": {"id": "a/b", "task_id": "t"}, "value": [1]},
        {"dataset": {"id": "a/b", "task_id": "t", "revision": "main"}, "value": 1},
        {"dataset": {"id": "a/b", "task_id": "t"}, "value": 1, "source": {"name": "x"}},
        {"dataset": {"id": "a/b", "task_id": "t"}, "value": 1, "date": "yesterday"},
        {"dataset": {"id": "a/b", "task_id": "t"}, "value": 1, "extra": 1},
    ],
)  # fmt: skip
def test_other_results_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(InputError):
        metadata.check_results(yaml.safe_dump([row]).encode(), name="x.yaml")


def test_a_folder_is_checked_whole(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(card())
    metadata.check(tmp_path)
    (tmp_path / ".eval_results").mkdir()
    (tmp_path / ".eval_results" / "x.yaml").write_text("- value: 1\n")
    with pytest.raises(InputError, match=r"x\.yaml"):
        metadata.check(tmp_path)
    (tmp_path / ".eval_results" / "x.yaml").rename(tmp_path / ".eval_results" / "x.txt")
    with pytest.raises(InputError, match="not a YAML file"):
        metadata.check(tmp_path)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (
        lambda: metadata.check_card(b"---\n" + data + b"\n---\n"),
        lambda: metadata.check_results(data, name="x"),
        lambda: metadata.look_at(b"---\n" + data + b"\n---\n"),
    ):
        try:
            read()
        except InputError:
            continue


@pytest.mark.parametrize(
    ("card", "errors", "warnings"),
    [
        (b"# A model\n", "", "empty or missing yaml metadata"), (b"---\nlicense: mit\n---\n", "", ""),
        (b"---\nlicense: [mit\n---\n", "README.md", ""), (b"---\n- mit\n---\n", "is not a map", ""),
        (b"---\nlicense: asdf\n---\n", '"license" must be one of [', ""),
        (b"---\nlicense: {a: 1}\n---\n", "license", ""),
        (b"---\nlicense: [mit, gpl]\n---\n", "", ""),
        (b"---\nmodel-index: foo\n---\n", '"model-index" must be an array', ""),
        (b"---\nmodel-index: []\n---\n", "", ""),
    ],
)  # fmt: skip
def test_a_card_is_looked_at_as_the_hub_does(card: bytes, errors: str, warnings: str) -> None:
    found = metadata.look_at(card)
    for told, expected in ((found.errors, errors), (found.warnings, warnings)):
        assert told == () if not expected else expected in told[0]


@pytest.mark.parametrize(
    ("spdx", "hub"),
    [
        ("Apache-2.0", "apache-2.0"), ("GPL-3.0-only", "gpl-3.0"), ("GPL-3.0-or-later", "gpl-3.0"),
        ("GPL-2.0+", "gpl-2.0"), ("AGPL-3.0-only", "agpl-3.0"), ("LGPL-2.1-or-later", "lgpl-2.1"),
        ("GFDL-1.3-only", "gfdl"), ("ODC-By-1.0", "odc-by"), ("ODbL-1.0", "odbl"), ("PDDL-1.0", "pddl"),
        ("LGPL-2.0-only", "other"), ("GPL-3.0-only WITH GCC-exception-3.1", "other"), ("MIT OR Apache-2.0", "other"),
    ],
)  # fmt: skip
def test_a_licence_is_spelt_as_the_hub_spells_it(spdx: str, hub: str) -> None:
    fields = licence_names.fields(spdx)
    assert fields["license"] == hub
    metadata.check_card(card(**fields))
