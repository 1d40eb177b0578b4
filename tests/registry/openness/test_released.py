"""How open a release is, by its own records: what is there, what is licensed, and what nobody can get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import canonical
from registry.errors import Malformed, Refused, Unavailable, VerificationError
from registry.files import write_atomic
from registry.manifest import Manifest
from registry.openness import released, statement
from registry.openness.assessment import Assessment
from registry.openness.released import ReleaseFiles
from registry.records import layout
from registry.records.openness_record import OpennessRecord
from registry.records.release_record import ReleaseRecord, StatedLicences
from registry.release import open_record
from registry.release.config import ReleaseConfig
from tests import synthetic_release

STATED = StatedLicences(code="Apache-2.0", data="CC0-1.0", documents="CC-BY-4.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release that states the licences of everything."""
    synthetic_release.write(tmp_path / "release", opened=STATED)
    return tmp_path / "release"


def files(folder: Path) -> ReleaseFiles:
    """Its files, measured."""
    return ReleaseFiles.at(folder, {entry.path: entry.sha256 for entry in Manifest.of_directory(folder).entries})


def changed(folder: Path, path: str, change: Callable[[Any], object]) -> Assessment:
    """What the release shows, once its record at `path` was changed."""
    value = canonical.parse((folder / path).read_bytes(), name=path)
    change(value)
    write_atomic(folder / path, canonical.dumps(value))
    return released.assess(files(folder))


def states(found: Assessment, *names: str) -> list[str]:
    return [found.by_name[name].state for name in names]


CODE = ("training-code", "inference-code", "evaluation-code", "supporting-libraries", "data-preprocessing-code")


def test_a_release_with_everything_but_a_paper_is_open_tooling(folder: Path) -> None:
    found = released.assess(files(folder))
    assert found.reached == found.at_most == "II"
    assert [one.component.name for one in found.lacking] == ["model-parameters-intermediate", "research-paper"]
    assert set(states(found, *CODE)) == {"open"}
    (code, licence) = found.by_name["training-code"].files
    assert (code.path, code.at, licence.path, licence.at) == ("pipelines/train.py", "source", "LICENSE", "release")
    assert all(file.sha256 for one in found.judged for file in one.files)
    assert set(found.osaid.values()) == {"open"}


def test_a_release_of_before_states_no_licences_and_nothing_is_guessed(tmp_path: Path) -> None:
    synthetic_release.write(tmp_path)
    found = released.assess(files(tmp_path))
    assert found.reached is None
    assert states(found, "model-architecture", "model-card", "evaluation-results") == ["unknown"] * 3
    assert "states no licence" in found.by_name["model-card"].why
    assert states(found, "model-parameters-final") == ["conditional"]


def test_code_counts_only_where_others_can_fetch_it(folder: Path) -> None:
    unpushed = changed(folder, layout.RECORD, lambda record: record["source"].update(pushed=False))
    assert set(states(unpushed, *CODE)) == {"unknown"} and (unpushed.reached, unpushed.at_most) == ("III", "II")
    nowhere = changed(folder, layout.RECORD, lambda record: record["source"].update(remote=None, pushed=True))
    assert set(states(nowhere, *CODE)) == {"missing"} and nowhere.at_most == "III"
    assert "nobody else can fetch" in nowhere.by_name["training-code"].why


@pytest.mark.parametrize(
    ("licence", "state"), [("Apache-2.0", "conditional"), ("CC0-1.0", "open"), ("LicenseRef-mine", "missing")]
)
def test_weights_count_by_their_licence(folder: Path, licence: str, state: str) -> None:
    found = changed(folder, layout.RECORD, lambda record: record.update(license=licence))
    assert states(found, "model-parameters-final") == [state]


def test_a_text_of_another_licence_leaves_it_unknown(folder: Path) -> None:
    write_atomic(folder / layout.LICENSE, b"Permission is hereby granted, free of charge, to any person")
    found = released.assess(files(folder))
    assert states(found, "model-parameters-final", "training-code") == ["unknown", "unknown"]
    assert "is the text of mit" in found.by_name["training-code"].why


def withdraw(summary: dict[str, Any]) -> None:
    """The source cannot be had any more."""
    summary["schema"] = "glasshouse.data-manifest/v2"
    summary["sources"][0]["status"] = "withdrawn"


def restore(summary: dict[str, Any]) -> None:
    """It is of the project's own files."""
    summary["schema"] = "glasshouse.data-manifest/v1"
    del summary["sources"][0]["status"]
    summary["sources"][0]["kind"] = "files"


def test_data_counts_only_where_others_can_get_it_and_all_of_it_is_open(folder: Path) -> None:
    def licence(name: str) -> Callable[[Any], None]:
        return lambda summary: summary["licenses"].update({name: summary["licenses"].pop("MIT")})

    gone = changed(folder, layout.DATA_SUMMARY, withdraw)
    assert states(gone, "datasets") == ["missing"] and "files:texts is withdrawn" in gone.by_name["datasets"].why
    alone = changed(folder, layout.DATA_SUMMARY, restore)
    assert states(alone, "datasets") == ["missing"]
    row = {"repo": "datasets/glasshouse/texts", "content": "5" * 64, "files": 4, "size": 9}
    beside = changed(folder, layout.RECORD, lambda record: record.update(companions=[row]))
    assert states(beside, "datasets", "evaluation-data") == ["conditional", "conditional"]
    closed = changed(folder, layout.DATA_SUMMARY, licence("CC-BY-NC-4.0"))
    assert states(closed, "datasets") == ["missing"] and "CC-BY-NC-4.0" in closed.by_name["datasets"].why
    untold = changed(folder, layout.DATA_SUMMARY, lambda s: s["licenses"].update(NOASSERTION={"documents": 3, "bytes": 1}))  # fmt: skip # noqa: E501
    assert "3 documents have no known licence" in untold.by_name["datasets"].why


def test_code_is_told_by_what_stages_read_and_wrote(folder: Path) -> None:
    """A stage that only copies the weights and the figures is neither training nor evaluation."""

    def copying(stages: Any) -> None:
        by_name = {row["run"]["stage"]: row for row in stages["stages"]}
        wrote = [out | {"path": f"copy/{out['path']}"} for out in by_name["train"]["run"]["outs"]]
        wrote += [out | {"path": f"copy/{out['path']}"} for out in by_name["evaluate@all"]["run"]["outs"]]
        reads = [*by_name["train"]["run"]["outs"], *by_name["evaluate@all"]["run"]["outs"]]
        run = by_name["train"]["run"] | {"stage": "zip", "outs": wrote, "deps": reads}
        stages["stages"].append({"evidence": "ran", "committed": [], "run": run})

    found = changed(folder, layout.STAGES, copying)
    assert found.record == released.assess(files(folder)).record
    assert not any("zip" in one.why for one in found.judged)


def test_records_that_are_none_are_malformed_and_no_record_is_unknown(folder: Path) -> None:
    (folder / layout.STAGES).write_bytes(b"{}")
    with pytest.raises(Malformed):
        released.assess(files(folder))
    (folder / layout.RECORD).unlink()
    with pytest.raises(Unavailable):
        released.assess(files(folder))


def test_the_record_holds_where_it_is_what_the_files_show(folder: Path) -> None:
    assert statement.check_record(files(folder)).startswith("class II (Open Tooling)")
    path = folder / layout.OPENNESS
    honest = OpennessRecord.read(path)
    components = [one.model_copy(update={"state": "open"}) for one in honest.components]
    for lie, told in (
        (honest.model_copy(update={"reached": "I"}), "it says class I"),
        (honest.model_copy(update={"reached": None}), "it says no class"),
        (honest.model_copy(update={"components": tuple(components)}), "model-parameters-final is said to be open"),
        (honest.model_copy(update={"components": ()}), "said to be nothing"),
        (honest.model_copy(update={"osaid": {}}), "do not agree"),
    ):
        write_atomic(path, lie.to_bytes())
        with pytest.raises(VerificationError, match=told):
            statement.check_record(files(folder))


@pytest.mark.parametrize(("declared", "refused"), [(None, False), ("III", False), ("II", False), ("I", True)])
def test_a_project_that_declares_more_than_it_shows_is_refused(folder: Path, declared: Any, refused: bool) -> None:
    config = ReleaseConfig(repo="glasshouse/synthetic", license="Apache-2.0", model="build/model", openness=declared)
    record = ReleaseRecord.read(folder / layout.RECORD)
    (folder / layout.OPENNESS).unlink()
    if not refused:
        open_record.write(config, folder, record)
        assert OpennessRecord.read(folder / layout.OPENNESS).reached == "II"
        return
    with pytest.raises(Refused, match="declares openness: I, and the release shows class II") as told:
        open_record.write(config, folder, record)
    assert "research-paper: the release has no provenance/paper.pdf" in told.value.message
    assert not (folder / layout.OPENNESS).exists()


def test_reports_are_written_only_where_their_records_are_there(folder: Path) -> None:
    config = ReleaseConfig(repo="glasshouse/synthetic", license="Apache-2.0", model="build/model")
    record = ReleaseRecord.read(folder / layout.RECORD)
    report = (folder / layout.TECHNICAL_REPORT).read_text()
    assert "2.5000" in report and "`seed` | 7" in report and record.weights[0].sha256 in report
    (folder / layout.TECHNICAL_REPORT).write_text("by hand")
    open_record.write(config, folder, record)
    assert (folder / layout.TECHNICAL_REPORT).read_text() == "by hand"
    for path in (layout.TECHNICAL_REPORT, layout.EVALUATION):
        (folder / path).unlink()
    assert open_record.write(config, folder, record).by_name["technical-report"].state == "missing"
    assert not (folder / layout.TECHNICAL_REPORT).exists()


def test_a_licence_that_no_record_can_hold_is_malformed(folder: Path) -> None:
    found = changed(folder, layout.RECORD, lambda record: record.update(license="MIT " * 1000))
    with pytest.raises(Malformed):
        _ = found.record


def test_a_release_that_lists_its_directories_apart_is_as_open(folder: Path) -> None:
    before = released.assess(files(folder)).by_name
    synthetic_release.list_apart(folder)
    after = released.assess(files(folder)).by_name
    assert [after[name] for name in CODE] == [before[name] for name in CODE]
    for part in folder.glob(f"{layout.LISTINGS}/*/*"):
        part.unlink()
    assert states(released.assess(files(folder)), "inference-code") == ["missing"]  # nothing says that it read weights
