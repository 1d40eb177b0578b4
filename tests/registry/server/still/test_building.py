"""A site of releases: every link of every page leads to a file, in a browser, below any address and from the disk."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import api
from registry.records import layout
from registry.server.still.places import file_of, link, settled
from tests import synthetic_release
from tests.docs.browser import Browser
from tests.registry.attest.conftest import write_key
from tests.registry.cli.test_command import run
from tests.registry.server.pages.conftest import Pages

LINKS = """[...document.querySelectorAll("a[href], link[href], [src]")].map(
    each => new URL(each.getAttribute("href") ?? each.getAttribute("src"), document.baseURI).href)"""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two signed releases of one model; and the key beside it."""
    folder = tmp_path_factory.mktemp("releases")
    signer = api.KeySigner(write_key(folder / "private.pem"))
    (folder / "public.pem").write_text(signer.public_key.pem)
    for version, seed in (("1.0.0", 0), ("1.0.1", 1)):
        release = folder / "releases" / version
        synthetic_release.write(release, repo="org/model", version=version, seed=seed,
                                extra={layout.PARAMS: b"seed: %d\n" % seed})  # fmt: skip
        api.sign(release, signer)
    return folder


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """The address of a plain file server over `folder`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def walk(browser: Browser, start: str) -> set[str]:
    """Every page that links lead to from `start`, each opened; nobody else is asked, and no console complains."""
    base, waiting, met = start.rpartition("/")[0], [start], set[str]()
    while waiting:
        address = waiting.pop()
        if address in met:
            continue
        met.add(address)
        if not address.endswith(".html"):
            continue
        browser.forget()
        browser.open(address)
        assert browser.complaints == [], address
        asked = [each for each in browser.requested if not each.startswith((base, "data:"))]
        assert asked == [], address
        found = {each.partition("#")[0] for each in browser.value(LINKS)}
        waiting += [each for each in found if each.startswith(base)]
        assert not any(each.startswith("file:") for each in found - {each for each in found if each.startswith(base)})
    return {each.removeprefix(base) for each in met}


def test_every_link_of_a_site_leads_somewhere_in_a_browser(releases: Path, browser: Browser, tmp_path: Path) -> None:
    """Of a folder of releases: below an address that nobody planned for, and as files of a disk."""
    site = tmp_path / "host" / "some" / "base"
    arguments = ("site", "build", str(releases / "releases"), "--key", str(releases / "public.pem"), "--output")
    said = run(*arguments, str(site), "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    written = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    listed = json.loads((site / "glasshouse-site.json").read_bytes())
    assert written == {*listed, "glasshouse-site.json"} and told["files"] == len(listed) and told["refused"] == []
    with hosted(tmp_path / "host") as address:
        met = walk(browser, f"{address}/some/base/index.html")
    assert {name.removeprefix("/") for name in met} == set(listed)
    for page in ("index.html", "org/model/index.html", "org/model/compare/index.html"):
        browser.forget()
        browser.open(f"file://{site}/{page}")
        assert browser.complaints == []
        assert all((Path(each.removeprefix("file://").partition("#")[0])).is_file() for each in browser.value(LINKS)
                   if each.startswith("file:"))  # fmt: skip
        assert browser.value("getComputedStyle(document.querySelector('.top')).display") is not None
    again = run(*arguments, str(tmp_path / "again"), "--json")
    assert again.returncode == 0
    assert (tmp_path / "again" / "glasshouse-site.json").read_bytes() == (site / "glasshouse-site.json").read_bytes()


def test_a_site_of_a_server_shows_what_anybody_may_see(pages: Pages, tmp_path: Path) -> None:
    said = run("site", "build", str(pages.hub.root), "--output", str(tmp_path / "site"), "--address",
               "https://models.example.org/", "--downloads", "https://hub.example.org", "--json")  # fmt: skip
    assert said.returncode == 0, said.stderr
    text = {path.relative_to(tmp_path / "site").as_posix(): path.read_text(errors="replace")
            for path in (tmp_path / "site").rglob("*") if path.is_file()}  # fmt: skip
    assert not any("secret plan" in each or "Sign in" in each for each in text.values())
    assert not any(name.startswith("org/secret") for name in text) and "datasets/org/texts/index.html" in text
    old = text["org/model/tree/v1.0.0/index.html"]
    assert "it was yanked" in old and 'href="../v1.0.1/index.html"' in old and "<form" not in old
    commit = json.loads(text["org/model/tree/v1.0.0/index.json"])["commit"]
    assert f'href="https://hub.example.org/org/model/resolve/{commit}/config.json"' in old
    assert 'href="https://models.example.org/org/model/tree/v1.0.1' not in old
    assert "<id>https://models.example.org/org/model/history</id>" in text["org/model/history.atom"]
    scripts = {name.split("/")[2] for name, each in text.items() if name.endswith(".html") and "<script" in each}
    assert scripts == {"check"}


def test_a_site_of_a_hub_is_what_its_pages_show_and_links_to_its_files(pages: Pages, tmp_path: Path) -> None:
    """By the Hub's own protocol, as somebody without a token: releases and what was said of them, nothing else."""
    site = tmp_path / "site"
    (tmp_path / "public.pem").write_text(pages.key)
    said = run("site", "build", "hf://org", "--endpoint", pages.hub.url, "--key", str(tmp_path / "public.pem"),
               "--output", str(site), "--json")  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["refused"] == []
    assert {path.name for path in (site / "org").iterdir() if path.is_dir()} == {"model"}
    for tag in ("v1.0.0", "v1.0.1"):
        there, built = (pages.json(f"/org/model/tree/{tag}"), json.loads((site / f"org/model/tree/{tag}/index.json")
                        .read_bytes()))  # fmt: skip
        for key in ("commit", "name", "content", "source", "record"):
            assert built[key] == there[key], key
        assert [file["sha256"] for file in built["files"] if file["signed"]] == [
            file["sha256"] for file in there["files"] if file["signed"]
        ]
        assert built["standing"]["word"] == there["standing"]["word"]
        assert built["signerExpected"] and built["signature"]["verdict"] == "PASS"
        text = (site / f"org/model/tree/{tag}/index.html").read_text()
        assert f'href="{pages.hub.url}/org/model/resolve/{there["commit"]}/LICENSE"' in text
    assert "it was yanked" in (site / "org/model/tree/v1.0.0/index.html").read_text()


def test_a_site_is_not_written_over_something_else(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("kept")
    arguments = ("site", "build", str(releases / "releases"), "--output")
    said = run(*arguments, str(tmp_path / "there"))
    assert said.returncode == 2 and (tmp_path / "there" / "mine").read_text() == "kept"
    planned = run(*arguments, str(tmp_path / "new"), "--dry-run", "--json")
    assert (
        planned.returncode == 0
        and json.loads(planned.stdout)["written"] is False
        and json.loads(planned.stdout)["pages"] > 10
    )
    assert not (tmp_path / "new").exists()


@given(st.text(), st.dictionaries(st.sampled_from(["name", "q", "page", "before"]), st.text(max_size=80)))
def test_any_address_becomes_a_file_below_the_site(path: str, query: dict[str, str]) -> None:
    from urllib.parse import quote, urlencode

    address = settled(f"/{quote(path)}?{urlencode(query)}")
    for page in (True, False):
        parts = file_of(address, page=page).split("/")
        assert not any(part in ("", ".", "..") or part.startswith(".") for part in parts[:-1])
    assert settled(address) == address
    assert link("a/b/index.html", "a/c.html", "x") == "../c.html#x"
