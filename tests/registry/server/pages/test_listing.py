"""The lists: what is in them, who sees what, and how they are searched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import canonical
from registry.records import layout
from registry.server.pages.index import ListIndex
from registry.server.pages.table import pages_of
from registry.server.state import Hub
from registry.server.still.walking import answer
from registry.server.store.facts import front_of
from registry.server.store.index import Wanted
from tests.hub_instance import HubInstance
from tests.registry.server.pages.conftest import Pages, write


def ids(found: dict[str, list[dict[str, str]]]) -> list[str]:
    return [row["id"] for row in found["items"]]


@pytest.mark.parametrize("path", ["/", "/models", "/org"])
def test_models_are_listed_with_what_their_release_says(pages: Pages, path: str) -> None:
    found = pages.json(f"{path}?sort=name")
    assert ids(found) == ["org/hostile", "org/model"]
    hostile, model = found["items"]
    assert (model["license"], model["task"], model["release"]["tag"]) == ("Apache-2.0", "text-generation", "v1.0.1")
    assert model["versions"] == ["v1.0.1", "v1.0.0"] and model["release"]["signatureHolds"]
    assert [mark["word"] for mark in hostile["marks"]] == ["not a signed release"]
    status, headers, text = pages.get(path)
    assert status == 200 and 'href="/org/model"' in text and "script-src" not in headers["content-security-policy"]


def test_data_sets_have_a_list_of_their_own(pages: Pages) -> None:
    assert ids(pages.json("/datasets")) == ["org/texts"]
    assert 'href="/datasets/org/texts"' in pages.get("/datasets")[2]


@pytest.mark.parametrize(
    ("query", "found"),
    [("q=MODEL", ["org/model"]), ("q=org+image", ["org/hostile"]), ("license=mit", ["org/hostile"]), ("q=nothing", []),
     ("task=text-generation", ["org/model"]), ("license=mit&task=text-generation", []), ("page=99", []),
     ("openness=II", []),
     ("sort=large", ["org/model", "org/hostile"]), ("page=x&sort=x&q=model", ["org/model"])],
)  # fmt: skip
def test_a_list_is_searched_filtered_and_sorted(pages: Pages, query: str, found: list[str]) -> None:
    assert ids(pages.json(f"/models?{query}")) == found
    assert pages.get(f"/models?{query}")[0] == 200


def test_models_are_filtered_by_how_open_they_say_they_are(pages: Pages, tmp_path: Path) -> None:
    record = {"schema": "glasshouse.openness/v1", "framework": "MOF 1.0", "class": "II", "components": [], "osaid": {}}
    shutil.copytree(pages.hub.root / "repos", tmp_path / "hub" / "repos")
    for name, data in (("org/open", canonical.dumps(record)), ("org/odd", b'{"class": "IV"}'), ("org/bad", b"{")):
        write(tmp_path / "hub", name, {layout.OPENNESS: data})
    hub = Hub.open(tmp_path / "hub")
    assert [each.short for each in hub.find(None, Wanted("models", openness="II"))] == ["open"]
    text = bytes(answer(hub, pages_of(hub), "/models?openness=II").body).decode()
    assert "openness=II" in text and ">II Open Tooling 1<" in text and "org/</span>open" in text
    assert "org/</span>odd" not in text


def test_an_index_that_is_gone_is_made_anew_and_the_pages_are_the_same(pages: Pages, tmp_path: Path) -> None:
    """Another server begins with what is the store, and with nothing else."""
    for folder in ("repos", "blobs"):
        shutil.copytree(pages.hub.root / folder, tmp_path / folder)
    addresses = [f"{path}{form}" for form in ("", "format=json") for path in (
        "/models?", "/models?q=model&sort=name&", "/datasets?", "/org?", "/org/model?", "/org/model/tree/v1.0.0?",
        "/org/model/history?", "/org/model/badge.svg?", "/org/model/lineage/v1.0.1?", "/org/model/data?", "/signer?",
    )]  # fmt: skip
    with HubInstance.start(tmp_path) as hub:
        again = Pages(hub, pages.key, pages.reader)
        for address in addresses:
            before, after = pages.get(address), again.get(address)
            assert before[0] == after[0] and before[2] == after[2], address


def test_a_search_comes_back_escaped(pages: Pages) -> None:
    text = pages.get("/models?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")[2]
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_private_repository_is_seen_by_those_who_may_read_it_alone(pages: Pages) -> None:
    assert "org/secret" in ids(pages.json("/models", pages.reader))
    for path in ("/org/secret", "/org/secret/tree/main", "/org/secret/blob/main/README.md"):
        assert pages.get(path)[0] == 404
        assert "secret plan" not in pages.get(path)[2]
    assert "secret plan" in pages.get("/org/secret", token=pages.reader)[2]
    assert pages.get("/", token="no-such-token")[0] == 401


def test_a_browser_signs_in_with_a_token(pages: Pages) -> None:
    status, headers, _ = pages.get("/sign-in/token")
    assert status == 401 and headers["www-authenticate"].startswith("Basic ")
    status, headers, _ = pages.get("/sign-in/token", token=pages.reader)
    assert (status, headers["location"]) == (303, "/")


def test_what_is_nowhere_is_a_page_for_people_and_json_for_programs(pages: Pages) -> None:
    assert "There is nothing here" in pages.get("/org/nothing")[2]
    status, headers, text = pages.get("/org/nothing", "*/*")
    assert (status, headers["x-error-code"]) == (404, "RepoNotFound") and text.startswith('{"error"')
    assert [
        pages.get(path)[0] for path in ("/nobody", "/api/x", "/models/org/model/tree/none", "/datasets/org/model")
    ] == [404] * 4


def test_the_protocol_wins_where_clients_ask(pages: Pages) -> None:
    assert pages.get("/org/model/resolve/v1.0.0/LICENSE")[2] == "Apache License 2.0\n"
    assert "git-upload-pack" in pages.get("/org/model.git/info/refs?service=git-upload-pack")[2]
    assert pages.json("/api/models/org/model")["id"] == "org/model"


def test_a_row_is_kept_until_a_ref_changes(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import registry.server.pages.index as module

    hub = Hub.open(tmp_path_factory.mktemp("index"))
    write(hub.root, "org/model", {"README.md": b"---\nlicense: mit\n---\n"})
    index = ListIndex(hub.root, hub.large_of)
    (seen,) = hub.find(None, Wanted("models"))
    repo = seen.repository
    monkeypatch.setattr(module, "SETTLED", -1.0)
    first = index.row(repo)
    assert first.tags == {} and index.row(repo) is first
    made = write(hub.root, "org/model", {"README.md": b"---\nlicense: apache-2.0\n---\n"}, tag="v1.0.0")
    assert index.row(repo).tags == {"v1.0.0": made}
    monkeypatch.setattr(module, "SETTLED", 60.0)  # what has only just been written is read again each time
    write(hub.root, "org/model", {"README.md": b"---\nlicense: bsd\n---\n"}, branch="deep/er/branch")
    assert index.row(repo) is not index.row(repo)


@pytest.mark.parametrize(
    "card", [b"", b"# no front", b"---\n- a\n---\n", b"---\n{: bad\n---\n", b"---\nx: " + b"a" * 70_000 + b"\n---\n"]
)
def test_a_card_without_readable_facts_has_none(card: bytes) -> None:
    assert front_of(card) == {}
