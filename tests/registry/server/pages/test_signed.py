"""What signed records say: verification by this server, lineage, history, comparison, signers, badges."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import api
from registry.openness.badge import drawn
from registry.report import Verdict
from registry.server.pages import data as data_page
from registry.server.pages import marks, training
from registry.server.pages.checking import KeptReport
from tests.registry.server.asking import ask
from tests.registry.server.pages.conftest import Pages, write

ATOM = "{http://www.w3.org/2005/Atom}"


def verified(pages: Pages, path: str, token: str = "") -> Any:
    """The page's JSON, after this server has verified the release anew."""
    before = pages.json(path, token)["report"]
    status, headers, _ = ask(pages.hub, "POST", path, b"", token=token)
    assert (status, headers["location"]) == (303, path)
    deadline = time.monotonic() + 60
    while (found := pages.json(path, token))["pending"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found["report"] is not None and (before is None or not found["pending"])
    return found


def test_a_release_is_verified_with_the_code_of_the_command(pages: Pages) -> None:
    path = "/org/model/verification/v1.0.1"
    assert "Verify it now" in pages.get(path)[2] or "Verify it again" in pages.get(path)[2]
    found = verified(pages, path)
    report = found["report"]
    assert (report["found"], report["verdict"]) == ("PASS", "UNKNOWN")  # nobody named who must have signed
    assert report["current"] and not report["signerExpected"]
    assert [step["name"] for step in report["steps"]] == [
        "bounds", "place", "bytes", "signatures", "complete", "lineage", "policy", "status"
    ]  # fmt: skip
    assert all(step["verdict"] == "PASS" and step["seconds"] >= 0 and step["checks"] for step in report["steps"])
    assert found["marks"][-1]["word"] == "holds"  # nobody named the signer: it is not called verified
    text = pages.get(path)[2]
    assert "judged by the signer that the release itself shows" in text and "Is there no gap back to the data?" in text
    assert str(pages.hub.root) not in text and "/.release-" not in text


def test_a_release_that_was_taken_back_fails_at_its_status(pages: Pages) -> None:
    report = verified(pages, "/org/model/verification/v1.0.0")["report"]
    assert report["verdict"] == "FAIL"
    assert [step["name"] for step in report["steps"] if step["verdict"] == "FAIL"] == ["status"]
    assert "It does not hold." in pages.get("/org/model/verification/v1.0.0")[2]


def test_the_operator_names_who_must_have_signed(pages: Pages, tmp_path: Path) -> None:
    from tests.registry.attest.conftest import write_key

    policy = pages.hub.root / "trust" / "org.yaml"
    policy.parent.mkdir(exist_ok=True)
    path = "/org/model/verification/v1.0.1"
    verified(pages, path)
    try:
        policy.write_bytes(api.Policy(signers=(api.PublicKey(pem=pages.key),)).to_bytes())
        assert pages.json(path)["report"]["current"] is False  # it was judged by another policy
        found = verified(pages, path)
        assert found["report"]["verdict"] == "PASS" and found["report"]["signerExpected"]
        assert found["signature"]["verdict"] == "PASS" and found["marks"][-1]["word"] == "verified"
        assert [mark["word"] for mark in pages.json("/models?q=org/model")["items"][0]["marks"]] == ["verified"]
        assert 'v1.0.1: verified"' in pages.get("/org/model/badge.svg", "*/*")[2]
        other = api.KeySigner(write_key(tmp_path / "other.pem")).public_key
        policy.write_bytes(api.Policy(signers=(other,)).to_bytes())
        assert verified(pages, path)["report"]["verdict"] == "FAIL"
        assert pages.json("/models?q=org/model")["items"][0]["marks"][-1]["word"] == "fails"
    finally:
        policy.unlink()


def test_who_may_not_read_a_repository_has_nothing_verified_there(pages: Pages) -> None:
    for path in (
        "/org/secret/verification/main",
        "/org/secret/lineage/main",
        "/org/secret/history",
        "/org/secret/badge.svg",
    ):
        assert pages.get(path)[0] == 404
    assert ask(pages.hub, "POST", "/org/secret/verification/main", b"", token="")[0] == 404
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert ask(pages.hub, "POST", "/org/model/verification/v1.0.0", b"", crossing, token="")[0] == 403


def test_a_lineage_is_drawn_and_each_box_leads_to_its_digest(pages: Pages) -> None:
    found = pages.json("/org/model/lineage/v1.0.1")
    text = pages.get("/org/model/lineage/v1.0.1")[2]
    weights = next(node for node in found["graph"]["nodes"] if node["kind"] == "weights")
    assert weights["digest"] in text and found["graph"]["root"] == "release:org/model@v1.0.1"
    boxes = re.findall(r'<a href="#(thing-\d+)"><g ', text)
    assert len(boxes) > 5 and all(f'<li id="{box}">' in text for box in boxes)
    assert "<style" not in text and ' style="' not in text
    status, headers, picture = pages.get("/org/model/lineage/v1.0.1/picture.svg", "*/*")
    assert status == 200 and headers["content-type"] == "image/svg+xml" and ElementTree.fromstring(picture) is not None


def test_a_training_is_shown(pages: Pages) -> None:
    found = pages.json("/org/model/training/v1.0.1")
    assert found["loss"] == [[step, 9 - step] for step in range(9)] and found["gaps"] == []
    assert found["figures"]["bitsPerByte"] == 2.5
    text = pages.get("/org/model/training/v1.0.1")[2]
    assert "<polyline points=" in text and ' style="' not in text


def test_data_is_shown_by_source_and_by_licence(pages: Pages) -> None:
    data = pages.json("/org/model/data/v1.0.1")["data"]
    counts = {name: each["documents"] for name, each in data["splits"].items()}
    assert (data["documents"], counts, data["used"]["documents"]) == (40, {"train": 30, "validation": 10}, 40)
    assert [(part["name"], part["percent"]) for part in data["sources"]] == [("files:texts", 100.0)]
    assert sum(part["percent"] for part in data["licenses"]) == pytest.approx(100, abs=0.2)
    text = pages.get("/org/model/data/v1.0.1")[2]
    assert 'class="part0"' in text and "files:texts: 100.0 percent" in text and ' style="' not in text


@given(st.lists(st.integers(0, 10**15), max_size=40))
def test_a_picture_of_any_parts_is_as_wide_as_it_says(sizes: list[int]) -> None:
    parts = [{"name": str(size), "bytes": size} for size in sorted(sizes, reverse=True)]
    drawn = data_page.picture(parts, sum(sizes))
    assert len(drawn) <= data_page.COLOURS + 1 and (drawn != []) == (sum(sizes) > 0)
    assert sum(each["wide"] for each in drawn) == pytest.approx(data_page.WIDE if drawn else 0, abs=0.1)


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(0.0, 1.0), (0.0, 1.0)], [(-1e14, 1e14), (1e14, -1e14)]])
def test_any_losses_are_drawn_within_the_picture(points: training.Points) -> None:
    drawn = training.curve(points)
    assert (drawn is None) == (len(points) < 2)
    for pair in drawn["line"].split() if drawn else ():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= training.WIDE and 0 <= y <= training.HIGH


def test_a_history_is_told_newest_first_and_as_a_feed(pages: Pages) -> None:
    events = pages.json("/org/model/history")["events"]
    assert {(event["what"], event["tag"]) for event in events} == {
        ("release", "v1.0.0"), ("release", "v1.0.1"), ("status", "v1.0.0")
    }  # fmt: skip
    assert events[0]["what"] == "status" and "yanked" in events[0]["words"]
    assert all(event["holds"] and event["verdict"] == "UNKNOWN" for event in events)  # nobody named whose word counts
    assert [event["what"] for event in pages.json("/org/model/history?what=status")["events"]] == ["status"]
    status, headers, text = pages.get("/org/model/history.atom", "*/*")
    assert (status, headers["content-type"]) == (200, "application/atom+xml")
    feed = ElementTree.fromstring(text)
    titles = [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")]
    assert len(titles) == 3 and titles[0] == "v1.0.0 status: yanked: trained on <b>its own</b> test set; go to v1.0.1"
    assert len({entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")}) == 3
    assert "trained on &lt;b&gt;its own" in pages.get("/org/model/history")[2]


def test_two_releases_are_compared(pages: Pages) -> None:
    found = pages.json("/org/model/compare")
    assert (found["before"], found["after"]) == ("v1.0.0", "v1.0.1")
    changed = {(row["part"], row["subject"]): (row["before"], row["after"]) for row in found["differences"]}
    assert changed["params", "train.steps"] == ("8", "9") and ("weights", "model.safetensors") in changed
    back = pages.json("/org/model/compare?before=v1.0.1&after=v1.0.0")["differences"]
    assert {(row["part"], row["subject"]): (row["after"], row["before"]) for row in back} == changed
    assert "<del>8</del>" in pages.get("/org/model/compare")[2]
    assert "They do not differ" in pages.get("/org/model/compare?before=v1.0.1&after=v1.0.1")[2]
    for query in ("?before=v1.0.0", "?before=v9.0.0&after=v1.0.0", "?before=status&after=v1.0.0", "?before=..&after=x"):
        assert pages.get(f"/org/model/compare{query}")[0] == 404


def test_a_signer_has_a_page_of_every_release(pages: Pages) -> None:
    name = pages.json("/org/model")["signerName"]
    address = f"/signer?name={quote(name)}"
    assert f'href="/signer?name={quote(name, safe="").replace("%20", "+")}"' in pages.get("/org/model")[2]
    (model,) = pages.json(address)["items"]
    assert (model["id"], [each["tag"] for each in model["signed"]], model["others"]) == (
        "org/model", ["v1.0.1", "v1.0.0"], []
    )  # fmt: skip
    assert 'href="/org/model/tree/v1.0.0"' in pages.get(address)[2]
    assert [pages.get(path)[0] for path in ("/signer", "/signer?name=nobody", f"/signer?name={'x' * 2000}")] == [
        404
    ] * 3


def test_a_badge_says_what_is_known(pages: Pages) -> None:
    status, headers, text = pages.get("/org/hostile/badge.svg", "*/*")
    assert (status, headers["content-type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(text).get("aria-label") == "glasshouse: not a signed release"
    assert "v1.0.1: " in pages.get("/org/model/badge.svg", "*/*")[2]


def test_a_badge_escapes_what_it_shows() -> None:
    picture = drawn('"><script>', marks.FAILS.word, marks.FAILS.tone)
    assert "<script" not in picture and ElementTree.fromstring(picture) is not None


REPORT = KeptReport("key", "2026-01-01", True, "somebody", Verdict.PASS, (), ())


@pytest.mark.parametrize(
    ("holds", "named", "verdict", "word"),
    [(True, True, Verdict.PASS, "verified"), (True, False, Verdict.PASS, "holds"), (True, True, Verdict.FAIL, "fails"),
     (False, True, Verdict.FAIL, "fails"), (True, True, Verdict.UNKNOWN, "checked in part"),
     (True, True, None, "signed"), (False, True, None, "signature unproven"),
     (False, False, Verdict.PASS, "signature unproven")],
)  # fmt: skip
def test_only_what_holds_by_an_expected_signer_is_called_verified(
    holds: bool, named: bool, verdict: Verdict | None, word: str
) -> None:
    from dataclasses import replace

    report = replace(REPORT, verdict=verdict) if verdict is not None else None
    assert marks.signature_of(holds, named, report).word == word


def test_a_file_that_is_not_as_signed_is_told(pages: Pages) -> None:
    """Somebody who may write pushes a release whose card is another one."""
    from tests.registry.server.pages.conftest import files_of

    folder = next(path for path in pages.hub.root.parent.iterdir() if path.name == "1.0.0")
    files = {**files_of(folder), "README.md": b"# Another card\n"}
    write(pages.hub.root, "org/model", files, branch="changed")
    found = verified(pages, "/org/model/verification/changed")
    failed = [check for check in found["report"]["checks"] if check["verdict"] == "FAIL"]
    assert {check["subject"] for check in failed} >= {"README.md"} and found["marks"][-1]["word"] == "fails"
