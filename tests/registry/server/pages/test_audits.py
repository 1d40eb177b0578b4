"""Who built a release anew: the page, the mark in lists, and the badge; no server is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from registry import api, canonical
from registry.attest.policy import Policy
from registry.attest.predicates import Rebuild, Rebuilt
from registry.attest.verifier import Trust
from registry.catalog import entry
from registry.catalog.entry import ReleaseEntry, Whom
from registry.catalog.shelves import find_all
from registry.server.pages.table import pages_of
from registry.server.state import Hub
from registry.server.still.filling import fill
from registry.server.still.walking import answer
from tests import synthetic_release
from tests.registry.attest.conftest import write_key
from tests.registry.server.pages.conftest import write

PAGE = "/org/model/audits/v1.0.0"


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, api.KeySigner]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: api.KeySigner(write_key(folder / f"{name}.pem")) for name in ("maker", "first", "second", "stranger")}


@pytest.fixture
def released(tmp_path: Path, signers: dict[str, api.KeySigner]) -> ReleaseEntry:
    synthetic_release.write(tmp_path / "releases" / "1", repo="org/model", version="1.0.0")
    api.sign(tmp_path / "releases" / "1", signers["maker"])
    (shelf,) = find_all(str(tmp_path / "releases"), endpoint=None)
    return entry.read(shelf, Whom(Trust()))


def said(released: ReleaseEntry, verdict: Any, signer: api.KeySigner, machine: str = "x86-64") -> bytes:
    """A signed rebuild of the release."""
    outputs = tuple(Rebuilt(path=path, verdict=verdict, sha256=released.listed[path] if verdict == "BITWISE" else None)
                    for path in released.release.weights)  # fmt: skip
    rebuilt = Rebuild(
        verdict=verdict, reason="as it came", profile="portable", machine=machine, environment="fresh", walled=True,
        started_at="2026-01-01T00:00:00Z", finished_at="2026-01-02T00:00:00Z",
        source=released.release.source.commit, outputs=outputs,
    )  # fmt: skip
    return signer.sign(rebuilt.about([released.subject]))


def pages(tmp_path: Path, released: ReleaseEntry, audits: dict[str, bytes], policy: Policy | None) -> Hub:
    """A server's folder with the release and these audits."""
    hub = Hub.open(tmp_path / "hub")
    fill(hub.repositories, [released])
    if policy is not None:
        (hub.root / "trust").mkdir()
        (hub.root / "trust" / "org.yaml").write_bytes(canonical.dumps(policy.as_json()))
    write(hub.root, "org/model", {f"v1.0.0/{name}.sigstore.json": data for name, data in audits.items()},
          branch="audits")  # fmt: skip
    return hub


def told(hub: Hub, routes: list[Route], address: str) -> str:
    """What a page says."""
    return bytes(answer(hub, routes, address).body).decode()


def policy(signers: dict[str, api.KeySigner]) -> Policy:
    auditors = [{"kind": "key", "pem": signers[name].public_key.pem} for name in ("first", "second")]
    maker = {"kind": "key", "pem": signers["maker"].public_key.pem}
    return Policy.of({"signers": [maker], "rebuilders": {"atLeast": 1, "signers": auditors}}, name="x")


def test_rebuilds_count_by_whom_the_operator_names(
    tmp_path: Path, released: ReleaseEntry, signers: dict[str, api.KeySigner]
) -> None:
    audits = {name: said(released, "BITWISE", signers[name], f"machine of {name}")
              for name in ("first", "second", "stranger", "maker")}  # fmt: skip
    hub = pages(tmp_path, released, audits, policy(signers))
    routes = pages_of(hub)
    shown = json.loads(told(hub, routes, f"{PAGE}?format=json"))
    by_machine = {each["machine"]: each["byWhomIsExpected"] for each in shown["audits"]}
    assert by_machine == {"machine of first": True, "machine of second": True, "machine of stranger": False,
                          "machine of maker": False}  # fmt: skip
    assert shown["rebuilt"]["word"] == "rebuilt 2 times"
    text = told(hub, routes, PAGE)
    assert "machine of first" in text and text.count("Not by an auditor whom") == 2
    for path in ("/", "/org/model/badge.svg"):
        assert "rebuilt 2 times" in told(hub, routes, path) or path.endswith("svg")
    listed = json.loads(told(hub, routes, "/?format=json"))["items"][0]
    assert [mark["word"] for mark in listed["marks"]] == ["signed", "rebuilt 2 times"]
    assert listed["release"]["rebuilt"] == 2


def test_one_rebuild_that_differs_is_said_everywhere(
    tmp_path: Path, released: ReleaseEntry, signers: dict[str, api.KeySigner]
) -> None:
    audits = {"1": said(released, "BITWISE", signers["first"]), "2": said(released, "DIFFERENT", signers["second"])}
    hub = pages(tmp_path, released, audits, policy(signers))
    routes = pages_of(hub)
    assert json.loads(told(hub, routes, f"{PAGE}?format=json"))["rebuilt"]["word"] == "rebuild differs"
    assert "rebuild differs" in told(hub, routes, "/org/model/badge.svg")
    assert "rebuild differs" in told(hub, routes, "/")


def test_where_nobody_is_named_no_rebuild_counts(
    tmp_path: Path, released: ReleaseEntry, signers: dict[str, api.KeySigner]
) -> None:
    hub = pages(tmp_path, released, {"1": said(released, "BITWISE", signers["first"])}, None)
    routes = pages_of(hub)
    shown = json.loads(told(hub, routes, f"{PAGE}?format=json"))
    assert shown["rebuilt"] is None and [each["byWhomIsExpected"] for each in shown["audits"]] == [False]
    assert "rebuilt" not in told(hub, routes, "/")
