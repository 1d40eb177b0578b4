"""The page of a release: its card, its files, how to verify it, and whether it still stands."""

from __future__ import annotations

from registry.digest import sha256_bytes
from tests.registry.server.pages.conftest import Pages, write


def test_the_newest_release_that_stands_is_shown_first(pages: Pages) -> None:
    found = pages.json("/org/model")
    assert (found["revision"], found["versions"]) == ("v1.0.1", ["v1.0.1", "v1.0.0"])
    assert found["name"] == "org/model@v1.0.1" and found["record"]["license"] == "Apache-2.0"
    assert found["signer"]["kind"] == "key" and not found["signerExpected"]
    listed = {file["path"]: file for file in found["files"]}
    assert listed["LICENSE"]["sha256"] == sha256_bytes(b"Apache License 2.0\n") and listed["LICENSE"]["size"] == 19
    text = pages.get("/org/model")[2]
    assert listed["model.safetensors"]["sha256"] in text and "hf://org/model@v1.0.1" in text
    assert "<h2>A synthetic model</h2>" in text and "was yanked" not in text


def test_a_release_that_was_taken_back_says_so_before_all_else(pages: Pages) -> None:
    found = pages.json("/org/model/tree/v1.0.0")
    assert found["standing"]["word"] == "yanked" and found["standing"]["verdict"] == "FAIL"
    assert found["marks"][0]["word"] == "yanked"
    text = pages.get("/org/model/tree/v1.0.0")[2]
    assert "it was yanked (high)" in text and 'href="/org/model/tree/v1.0.1">Go to v1.0.1' in text
    assert "trained on &lt;b&gt;its own&lt;/b&gt; test set" in text


def test_a_data_set_has_a_page(pages: Pages) -> None:
    text = pages.get("/datasets/org/texts")[2]
    assert "<h2>Texts</h2>" in text and "/datasets/org/texts/resolve/" in text


def test_a_file_is_found_where_people_look(pages: Pages) -> None:
    status, headers, _ = pages.get("/org/model/blob/v1.0.0/config.json")
    assert (status, headers["location"]) == (302, "/org/model/resolve/v1.0.0/config.json")


def test_a_hostile_card_is_shown_and_harmless(pages: Pages) -> None:
    status, headers, text = pages.get("/org/hostile")
    assert status == 200 and headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    shown = text[text.index('<section class="card"') : text.index("<aside ")]
    for bad in ("<script", "<svg", "<iframe", "<style", 'href="javascript', "href=\"data", "vbscript:x\"", 'src="http',
                'href="//', 'href="/org/secret', "</main>"):  # fmt: skip
        assert bad not in shown.lower()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and "{{ 7 * 7 }}" in shown
    assert shown.count("<a ") == 1  # of all its links, one leads to a place that a link may lead to
    assert 'href="https://good.example/?a=%22onclick=%22x"' in shown


def test_a_card_of_a_megabyte_of_nested_lists_is_shown_as_text(pages: Pages) -> None:
    nested = "".join("  " * (line % 500) + "- a\n" for line in range(2000)).encode()
    write(pages.hub.root, "org/long", {"README.md": nested * 3}, private=True)
    status, _, text = pages.get("/org/long", token=pages.reader)
    assert status == 200 and "It is shown as text." in text and len(text) < 200_000
