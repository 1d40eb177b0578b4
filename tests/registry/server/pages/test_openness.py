"""How open a release is, as JSON and as a badge; no server is started."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from registry import api, canonical
from registry.attest.policy import Policy
from registry.attest.verifier import Trust
from registry.catalog import entry
from registry.catalog.entry import ReleaseEntry, Whom
from registry.catalog.shelves import find_all
from registry.openness.framework import TITLES
from registry.records import layout
from registry.records.openness_record import OpennessRecord
from registry.server.pages.table import pages_of
from registry.server.state import Hub
from registry.server.still.filling import fill
from registry.server.still.walking import answer
from tests import synthetic_release
from tests.registry.attest.conftest import write_key
from tests.registry.catalog.test_openness import STATED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ReleaseEntry], api.KeySigner]:
    """A release that says how open it is, and one that does not."""
    folder = tmp_path_factory.mktemp("openness")
    signer = api.KeySigner(write_key(folder / "key.pem"))
    for name, opened in (("org/open", STATED), ("org/silent", None)):
        synthetic_release.write(folder / "releases" / name.rpartition("/")[2], repo=name, opened=opened)
        api.sign(folder / "releases" / name.rpartition("/")[2], signer)
    return [entry.read(shelf, Whom(Trust())) for shelf in find_all(str(folder / "releases"), endpoint=None)], signer


@pytest.mark.parametrize(
    ("named", "word"),
    [("maker", "{} {}"), ("nobody", "{} {}, signer not known"), ("stranger", "signature fails")],
)
def test_a_release_s_record_is_told_and_who_signed_it(
    tmp_path: Path, made: tuple[list[ReleaseEntry], api.KeySigner], named: str, word: str
) -> None:
    entries, signer = made
    hub = Hub.open(tmp_path / "hub")
    fill(hub.repositories, entries)
    if named != "nobody":
        other = signer if named == "maker" else api.KeySigner(write_key(tmp_path / "stranger.pem"))
        (hub.root / "trust").mkdir()
        policy = Policy.of({"signers": [{"kind": "key", "pem": other.public_key.pem}]}, name="x")
        (hub.root / "trust" / "org.yaml").write_bytes(canonical.dumps(policy.as_json()))
    routes = pages_of(hub)
    (record,) = [OpennessRecord.from_bytes(each.read(layout.OPENNESS), name="it") for each in entries
                 if layout.OPENNESS in each.listed]  # fmt: skip
    assert record.reached is not None
    for address in ("/org/open/openness", "/org/open/openness/v1.0.0"):
        told = json.loads(bytes(answer(hub, routes, address).body))
        assert told["openness"] == record.as_json() and told["revision"] == "v1.0.0"
        assert told["signature"]["verdict"] == {"maker": "PASS", "nobody": "UNKNOWN", "stranger": "FAIL"}[named]
    found = answer(hub, routes, "/org/open/openness.svg")
    assert found.headers["content-type"] == "image/svg+xml"
    picture = ElementTree.fromstring(bytes(found.body))
    title = word.format(record.reached, TITLES[record.reached])
    assert picture.attrib["aria-label"] == f"openness: {title}"
    for address in ("/org/silent/openness", "/org/silent/openness.svg"):
        missing = answer(hub, routes, address)
        assert missing.status_code == 404 and b"does not say how open it is" in bytes(missing.body)
