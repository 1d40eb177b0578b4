"""The site as readers see it: on a phone and on a desk, from plain files, with no network at all."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from html import unescape
from itertools import product
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest

from tests.conftest import ROOT
from tests.docs.browser import Browser

SHOTS = ROOT / "build" / "screenshots"
"""What the pages looked like: look at them after a change of theirs."""
PHONE, DESK = (390, 844), (1280, 900)
SHOWN = ("index", "tutorials/demo", "how-to/verify", "reference/command", "architecture")
"""The pages whose screenshots are kept: one of each sort."""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOUR = "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).map(Number)"
"""Red, green and blue, each from 0 to 255."""
SEARCH = """new Promise((done) => {
  document.querySelector(".md-search__button").click();
  const look = setInterval(() => {
    const dialog = [...document.querySelectorAll("body > div")].find((part) => part.shadowRoot)?.shadowRoot;
    const field = dialog?.querySelector("input[role=combobox]");
    if (field && !field.value) {
      field.value = "Rekor";
      field.dispatchEvent(new Event("input", {bubbles: true}));
    }
    const found = [...(dialog?.querySelectorAll("a[role=option]") ?? [])];
    if (found.length) {
      clearInterval(look);
      done(found.map((link) => link.pathname));
    }
  }, 50);
})"""


def pages(site: Path) -> list[Path]:
    """Every page of the site, but the one for what is not there: that one is for a server."""
    return sorted(set(site.rglob("*.html")) - {site / "404.html"})


def test_every_page_of_docs_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    left_out = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text())["project"]["plugins"]["exclude"]["glob"]
    left_out += ["site/*", ".cache/*"]
    paths = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    written = {path.with_suffix("") for path in paths if not any(fnmatch(str(path), glob) for glob in left_out)}
    assert {path.relative_to(site).with_suffix("") for path in pages(site)} == written
    links = re.findall(r'href="([^"#]+)"[^>]*class="md-(?:nav|tabs)__link', (site / "index.html").read_text())
    assert {Path(link).with_suffix("") for link in links} >= written


def test_every_link_leads_to_a_file_of_the_site_and_to_a_heading_in_it(site: Path) -> None:
    """Zensical's --strict overlooks some of them, the navigation's among others."""
    names = {page: set(re.findall(r'\bid="([^"]+)"', page.read_text())) for page in pages(site)}
    broken = []
    for page in names:
        for link in re.findall(r'(?:href|src)="([^"]*)"', page.read_text()):
            place, _, heading = unquote(urljoin(page.as_uri(), unescape(link))).partition("#")
            if place.startswith(("http:", "https:", "mailto:", "data:")):
                continue
            target = Path(place.removeprefix("file://").partition("?")[0])
            if not target.is_file() or (heading and target in names and heading not in names[target]):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken


def test_no_page_asks_elsewhere_or_complains_or_is_wider_than_a_phone(site: Path, browser: Browser) -> None:
    browser.size(*PHONE, phone=True)
    browser.forget()
    wider = []
    for page in pages(site):
        browser.open(page.as_uri())
        if browser.value(WIDER) > 0:
            wider.append(page.name)
    assert not wider and not browser.complaints
    assert len(browser.requested) > len(pages(site))
    assert [url for url in browser.requested if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("page", SHOWN)
def test_a_page_is_light_and_dark_on_a_phone_and_on_a_desk(site: Path, browser: Browser, page: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.forget()
    for screen, dark in product((PHONE, DESK), (False, True)):
        browser.size(*screen, phone=screen == PHONE)
        browser.dark(dark)
        browser.open((site / f"{page}.html").as_uri())
        shade = f"{page.replace('/', '-')}-{screen[0]}-{'dark' if dark else 'light'}.png"
        (SHOTS / shade).write_bytes(browser.screenshot(3000))
        behind, letters = (sum(browser.value(COLOUR.format(name))) for name in ("backgroundColor", "color"))
        assert letters - behind > 300 if dark else behind - letters > 300
        assert browser.value(WIDER) <= 0
    assert not browser.complaints


def test_search_finds_a_word_where_there_is_no_network(site: Path, browser: Browser) -> None:
    browser.size(*DESK)
    browser.open((site / "index.html").as_uri())
    assert any(path.endswith("/how-to/sign.html") for path in browser.value(SEARCH))
