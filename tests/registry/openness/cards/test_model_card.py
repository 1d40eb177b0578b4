"""The card's metadata, as the Hub's own parser reads it and as we check it before it is signed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from registry.formats.known import Safety, identify
from registry.hub import licence_names, metadata
from registry.manifest import Entry
from registry.openness.cards import data_set, gguf_card, model_card
from registry.openness.cards.model_card import About
from registry.openness.told import NamedSigner
from registry.records import data_manifest, layout
from tests import synthetic_release
from tests.registry.openness.test_energy import CSV as CODECARBON
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
    licence = licence_names.fields("Apache-2.0 OR MIT")
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


def test_energy_is_told_where_it_was_recorded_and_how(tmp_path: Path, release: Path) -> None:
    synthetic_release.write(tmp_path, extra={layout.EMISSIONS: CODECARBON.encode()})
    card = (tmp_path / layout.CARD).read_text()
    assert "## Energy\n\nBy codecarbon 3.3.2, of the share of the machine that the process used" in card
    assert "| Energy | 0.0024 kWh, in 2 runs that took 2 minutes |" in card and "| of it GPU |" not in card
    assert "| CO2e | 1 g, by the electricity of Germany |" in card and "The energy that it took" not in card
    bom, spdx = (json.loads((tmp_path / path).read_text()) for path in (layout.BOM, layout.SPDX))
    assert {"name": "glasshouse:energy", "value": "0.0024 kWh"} in bom["metadata"]["component"]["properties"]
    (model,) = (element for element in spdx["@graph"] if element["type"] == "ai_AIPackage")
    (row,) = model["ai_energyConsumption"]["ai_trainingEnergyConsumption"]
    assert (row["ai_energyQuantity"], row["ai_energyUnit"]) == (0.0024, "kilowattHour")
    without = model_card.render(release, ABOUT, version="1.0.0")
    assert "## Energy" not in without and "- The energy that it took." in without


def test_the_command_that_verifies_names_the_signer_where_one_is_known(release: Path) -> None:
    signer = NamedSigner(identity="me@example.org", issuer="https://issuer.example")
    named = model_card.render(release, replace(ABOUT, signer=signer), version="1.0.0")
    assert (
        "glasshouse verify hf://glasshouse/synthetic@v1.0.0 \\\n"
        "  --identity me@example.org --issuer https://issuer.example\n```\n\nThis page names its own signer."
    ) in named
    assert "pip install glasshouse\nglasshouse verify hf://glasshouse/synthetic@v1.0.0 --policy policy.yaml\n" in (
        model_card.render(release, ABOUT, version="1.0.0")
    )


def test_what_the_data_is_made_of_is_drawn_and_each_document_is_linked(release: Path) -> None:
    card = model_card.render(release, ABOUT, version="1.0.0")
    assert "| MIT | 20 | 135 B | ██████████ 50.0 % |" in card
    assert "| files:texts | each its own | 40 | 270 B | ████████████████████ 100.0 % |" in card
    for path in set(layout.DOCUMENTS) - {layout.TRAINING_SUMMARY}:
        assert f"]({path})\n" in card
