"""Each kind of model, made by its own library, is adopted, released, verified, loaded and rebuilt: `make kinds`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from registry.files import write_atomic
from tests.audited import WALLED
from tests.hub_instance import HubInstance
from tests.kinds import tried
from tests.kinds.adopted import PROGRAMS, Adopted, edited
from tests.kinds.projects import FIXTURES, Fixture
from tests.registry.attest.conftest import write_key

pytestmark = [pytest.mark.kinds, WALLED]

TELLS = ("library_name", "pipeline_tag", "base_model", "base_model_relation")
NEVER = ("make setup", "by hand", "--identity", "sha256sum", "None", "Undefined")
"""What no card says of these projects."""
UNRECORDED = {
    "weights <- provenance": "nobody recorded with which packages it was made",
    "stage train": "nobody measured what it read",
    "weights <- every stage <- its inputs": "nobody measured what train read",
}
"""What verification cannot check of a project with no lock of packages, whose stage is not recorded; and why."""
UNRECORDED_BASE = {
    "stage base": "nobody measured what it read",
    "weights <- every stage <- its inputs": "nobody measured what base, train read",
}
"""And of one whose first stage fetches a base."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A folder for the projects, and the variables of the Hub's clients."""
    folder = tmp_path_factory.mktemp("kinds")
    with HubInstance.start(tmp_path_factory.mktemp("hub"), organizations=("kinds",)) as hub:
        yield folder, hub.environment(folder / "huggingface")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; its public one stands beside it."""
    private = write_key(tmp_path_factory.mktemp("key") / "private.pem")
    public = private.with_name("public.pem")
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_it_is_adopted_released_verified_loaded_and_rebuilt(
    fixture: Fixture, world: tuple[Path, Mapping[str, str]], key: Path, tmp_path: Path
) -> None:
    pins, public = tried.pins(fixture), key.with_name("public.pem")
    written = tried.digests(fixture, tmp_path) if fixture.locked else pins
    project = Adopted.new(fixture, world[0], world[1], written, public)

    # What its author types. Nothing is edited by hand.
    words = ("--model", fixture.model, "--repo", fixture.repo, "--license", *fixture.license)
    diff = project.run("glasshouse", "init", *words)
    project.run("dvc", "repro")
    project.commit()
    project.run("glasshouse", "release", "cut", "--key", str(key))

    # Everything that a project like this can record is recorded.
    report = project.verified("1.0.0", public, code=0)
    assert report["verdict"] == "PASS" and {check["verdict"] for check in report["checks"]} == {"PASS"}
    record, (fields, card) = project.record("1.0.0"), project.card("1.0.0")
    assert record.kind == fixture.kind and len(record.weights) == fixture.weights
    assert {name: fields[name] for name in TELLS if name in fields} == fixture.says
    figure = _figure(card, fixture.figure)
    for never in NEVER:
        assert never not in card
    assert fixture.readme in card
    assert ("/plots/" in card) == (fixture.plots is not None)
    assert project.folder("1.0.0").joinpath(fixture.licence_file).is_file()
    assert "text of its licence" not in card

    # A stranger loads it, and builds it again: by the card's words, and by an audit.
    assert project.loaded("1.0.0", tmp_path / "loads") == pytest.approx(figure, rel=1e-4)
    rebuilt = project.rebuilt(card, tmp_path / "rebuilds")
    assert (rebuilt == {file.path: file.sha256 for file in record.weights}) == (not fixture.varies)
    environment = () if fixture.locked else ("--environment", "current", "--python", str(PROGRAMS / "python"))
    verdict = project.audited(public, tmp_path / "audits", int(bool(fixture.varies)), *environment)
    said = verdict["statement"]["predicate"]
    assert said["verdict"] == ("DIFFERENT" if fixture.varies else "BITWISE")
    assert (f"the first stage that departs is train: {fixture.model}" in said["reason"]) == bool(fixture.varies)
    assert {file.path for file in record.weights} <= {output["path"] for output in verdict["details"]["outputs"]}
    assert (fixture.base in verdict["details"].get("base", "")) and bool(fixture.base) == ("base" in verdict["details"])

    # Where less is recorded, that is unknown, and nothing else is.
    write_atomic(project.root / "dvc.yaml", fixture.stages().encode())
    project.run("git", "rm", "--quiet", "requirements.txt")
    project.run("dvc", "repro")
    project.commit()
    project.run("glasshouse", "release", "cut", "--key", str(key))
    report = project.verified("1.0.1", public, code=3)
    unknown = {check["subject"]: check["reason"] for check in report["checks"] if check["verdict"] != "PASS"}
    expected = UNRECORDED | (UNRECORDED_BASE if fixture.base else {})
    assert report["verdict"] == "UNKNOWN" and unknown.keys() == expected.keys()
    for subject, reason in expected.items():
        assert reason in unknown[subject]
    tried.keep(fixture, pins, edited(diff))


def _figure(card: str, name: str) -> float:
    """The figure that the card has under that name."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \| (\S+) \|$", card, re.MULTILINE)
    return float(found)
