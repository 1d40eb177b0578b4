"""Each document is valid to the tool of those whose format it is."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from registry import canonical
from registry.openness.documents import cyclonedx
from registry.records import layout
from registry.records.release_record import ReleaseRecord


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_the_bill_of_materials_is_cyclonedx(release: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (release / layout.BOM).read_text()
    strict = JsonStrictValidator(SchemaVersion.V1_7)
    assert strict.validate_str(text) is None
    assert strict.validate_str(text.replace('"SHA-256"', '"SHA-257"')) is not None
    bom, record = json.loads(text), ReleaseRecord.read(release / layout.RECORD)
    refs = [part["bom-ref"] for part in bom["components"]]
    assert len(set(refs)) == len(refs) and bom["dependencies"][0] == {"ref": "model", "dependsOn": refs}
    model = bom["metadata"]["component"]
    assert {part["name"]: part["hashes"][0]["content"] for part in model["components"]} == {
        file.path: file.sha256 for file in record.weights
    }
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": "data"}]
    summary = canonical.read(release / layout.DATA_SUMMARY)
    data = next(part for part in bom["components"] if part["bom-ref"] == "data")
    assert [source["name"] for source in data["components"]] == [source["id"] for source in summary["sources"]]


def test_the_other_one_is_spdx(release: Path, tmp_path: Path) -> None:
    import spdx_python_model

    model, elements = spdx_python_model.load(release / layout.SPDX)
    model.JSONLDSerializer().write(elements, io.BytesIO())  # raises where something that is required is not there
    assert elements.missing_ids == set()
    kinds = Counter(type(element).__name__ for element in elements.foreach())
    bases = (release / layout.BASE).is_file()
    assert (kinds["ai_AIPackage"], kinds["dataset_DatasetPackage"], kinds["SpdxDocument"]) == (1 + bases, 1, 1)
    (tmp_path / "wrong.json").write_bytes((release / layout.SPDX).read_bytes().replace(b"trainedOn", b"seenBy"))
    with pytest.raises(ValueError, match="seenBy"):
        spdx_python_model.load(tmp_path / "wrong.json")


@pytest.mark.filterwarnings("ignore")
def test_the_data_set_is_croissant_and_its_rows_are_read(release: Path) -> None:
    import mlcroissant

    data = mlcroissant.Dataset(jsonld=str(release / layout.CROISSANT))
    issues = data.metadata.ctx.issues
    assert (list(issues.errors), list(issues.warnings)) == ([], [])
    rows = list(data.records(record_set="rows"))
    summary = canonical.read(release / layout.DATA_SUMMARY)
    assert len(rows) == summary["rows"] and {row["rows/use"] for row in rows} >= {b"train", b"validation"}
    assert data.metadata.conforms_to == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert data.metadata.data_preprocessing_protocol[0].startswith(f"{summary['rows']} documents met")


def test_what_is_known_of_a_source_stands_in_each_document(tabled: Path) -> None:
    words = "rebuildable: what made it makes it anew"
    (source,) = next(part for part in read(tabled / layout.BOM)["components"] if part["type"] == "data")["components"]
    assert {"name": "glasshouse:status", "value": "rebuildable"} in source["properties"]
    assert [element["comment"] for element in read(tabled / layout.SPDX)["@graph"] if "comment" in element] == [words]
    (origin,) = read(tabled / layout.CROISSANT)["isBasedOn"]
    assert origin["creativeWorkStatus"] == "rebuildable"
    assert words in (tabled / layout.TRAINING_PAGE).read_text()
    card = (tabled / layout.CARD).read_text()
    assert "| Status |" in card and "| rebuildable |" in card and "How licences are known: 40 declared." in card
    assert "Languages found: en in 40." in card
    assert "[`data-manifest.parquet`](provenance/data-manifest.parquet)" in card


def test_packages_are_those_of_the_lock(trained: Path) -> None:
    bom = read(trained / layout.BOM)
    pinned = {part["purl"] for part in bom["components"] if part["type"] == "library"}
    lock = (trained / layout.REQUIREMENTS).read_text()
    lines = [line.split()[0] for line in lock.splitlines() if line and line[0].isalnum()]
    assert pinned == {f"pkg:pypi/{line.replace('==', '@').replace('+', '%2B')}" for line in lines} and len(lines) > 100


def test_every_record_behind_a_document_is_cited(release: Path) -> None:
    cited = {name for name, _ in cyclonedx.said(read(release / layout.BOM)) if name.startswith("record:")}
    rows = layout.data_rows([path.relative_to(release).as_posix() for path in release.rglob("*")])
    assert cited >= {f"record:{path}" for path in (layout.RECORD, rows, layout.PARAMS, layout.REQUIREMENTS)}
