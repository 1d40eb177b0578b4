"""The card's metadata, as the Hub's own parser reads it and as we check it before it is signed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from registry.formats.known import Safety, identify
from registry.hub import metadata
from registry.manifest import Entry
from registry.openness.cards import data_set, gguf_card, model_card
from registry.openness.cards.model_card import About
from registry.records import data_manifest, layout
from tests import synthetic_release
from tests.synthetic_release import ABOUT


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, two of whose sources are configurations of one data set of the Hub."""
    folder = tmp_path_factory.mktemp("card") / "release"
    synthetic_release.write(folder)
    path = folder / layout.DATA_SUMMARY
    summary = json.loads(path.read_text())
    (source,) = summary["sources"]
    more = [
        {
            **source,
            "id": f"hf://datasets/org/texts@{'a' * 40}#{name}",
            "kind": "huggingface",
            "documents": 0,
            "bytes": 0,
        }
        for name in ("de", "en")
    ]
    path.write_text(json.dumps(summary | {"sources": [source, *more]}))
    return folder


def data(folder: Path, about: About) -> dict[str, Any]:
    """The metadata block, which the Hub's library and our check both take."""
    text = model_card.render(folder, about, version="1.0.0")
    metadata.check_card(text.encode())
    return dict(vars(ModelCard(text).data))


def test_data_sets_of_the_hub_are_named_without_being_told(release: Path) -> None:
    found = data(release, ABOUT)
    assert found["datasets"] == ["org/texts"]
    assert (found["license"], found["language"], found["pipeline_tag"]) == ("apache-2.0", ["en"], "text-generation")
    assert found["library_name"] == "transformers" and found["base_model"] is None


def test_what_the_maintainer_tells_joins_it(release: Path) -> None:
    licence = metadata.licence("Apache-2.0 OR MIT")
    found = data(release, replace(ABOUT, datasets=("org/own",), base_model=("org/base",), licence=licence))
    assert found["datasets"] == ["org/own", "org/texts"] and found["base_model"] == ["org/base"]
    assert (found["license"], found["license_name"]) == ("other", "apache-2.0-or-mit")


def test_the_same_records_give_the_same_bytes(release: Path) -> None:
    assert model_card.render(release, ABOUT, version=None) == model_card.render(release, ABOUT, version=None)


def test_norwegian_is_norwegian_in_each_card_to_readers_of_yaml_1_1(release: Path) -> None:
    about = replace(ABOUT, languages=("no", "en"))
    file, summary = Entry("a.gguf", 1, "0" * 64), data_manifest.read_summary(release / layout.DATA_SUMMARY)
    gguf = gguf_card.Gguf("org/gguf", about, "1.0.0", "c" * 40, (file,), (file,), None, None)
    texts = data_set.DataSet("org/data", about, "1.0.0", "2026-01-01T00:00:00Z", summary, (file,))
    for text in (
        model_card.render(release, about, "1.0.0"), gguf_card.render(gguf), data_set.card(texts, about.licence)
    ):  # fmt: skip
        data: Any = ModelCard(text).data
        assert data.language == ["no", "en"]
        assert metadata.check_card(text.encode()).language == ["no", "en"]


def test_a_sample_with_control_characters_leaves_the_card_a_text(tmp_path: Path) -> None:
    synthetic_release.write(tmp_path)
    path = tmp_path / layout.EVALUATION
    said = json.loads(path.read_text())
    said["sample"]["text"] = "glass\x00\x1b[2J\x9b```\nhouse"
    path.write_text(json.dumps(said))
    card = tmp_path / layout.CARD
    card.write_text(model_card.render(tmp_path, ABOUT, version="1.0.0"))
    assert "glass\N{REPLACEMENT CHARACTER}" in card.read_text() and "'''\nhouse" in card.read_text()
    assert identify(card).trust is Safety.KNOWN
