"""Pages for everybody: by keyboard alone, and without a serious violation that axe-core finds, in light and in dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.server.access.accounts import Accounts
from tests.conftest import ROOT
from tests.docs.browser import Browser
from tests.docs.conftest import browser
from tests.registry.server.pages.conftest import Pages, write

__all__ = ["browser"]
AXE = ROOT / ".axe/node_modules/axe-core/axe.min.js"
PATHS = (
    "/", "/datasets", "/?q=nothing-at-all", "/org", "/org/model/tree/v1.0.0", "/org/model/tree/v1.0.1", "/org/hostile",
    "/org/model/verification/v1.0.1", "/org/model/lineage/v1.0.1", "/org/model/training/v1.0.1",
    "/org/model/data/v1.0.1", "/org/model/audits/v1.0.1", "/org/model/check/v1.0.1", "/org/model/history",
    "/org/model/compare", "/datasets/org/texts", "/org/nothing", "/sign-in",
)  # fmt: skip
SIGNED_IN = ("/settings", "/settings/organisations/org", "/other/gated", "/models")
"""What is looked at by somebody who has signed in."""
FOCUSED = """(() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    return {href: one.getAttribute("href"), tag: one.tagName, outline: style.outlineStyle + " " + style.outlineWidth,
            seen: box.width > 0 && box.height > 0 && box.right > 0};
})()"""
RUN = """axe.run().then(found => found.violations.map(
    each => [each.impact, each.id, each.nodes.map(node => node.html).slice(0, 3)]))"""
NAMED = "[...document.querySelectorAll('.top a, .tabs a, footer a')].map(each => each.getAttribute('href'))"


@pytest.mark.axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_serious_violation(pages: Pages, browser: Browser, width: int, dark: bool) -> None:
    signer = pages.json("/org/model")["signerName"]
    browser.size(width, 900, phone=width < 500)
    browser.dark(dark)
    write(pages.hub.root, "other/gated", {"README.md": b"# Behind a gate\n"})
    (pages.hub.root / "repos/models/other/gated.git/gated").write_bytes(b"manual")
    found: list[Any] = []
    for path in (*PATHS, f"/signer?name={signer}", *SIGNED_IN):
        if path == SIGNED_IN[0]:
            browser.remember(pages.hub.url, "glasshouse", Accounts.of(pages.hub.root).sessions.open("member"))
        browser.open(pages.hub.url + path)
        assert path not in SIGNED_IN or browser.value("document.querySelector('.reader').innerText").startswith(
            "member"
        )
        browser.value(AXE.read_text() + "; 1")
        violations = browser.value(RUN)
        found += [(path, *each) for each in violations if each[0] in ("serious", "critical")]
    assert found == []


@pytest.mark.parametrize("path", ["/", "/org/model/tree/v1.0.1", "/org/model/history"])
def test_the_keyboard_alone_reaches_every_link_and_shows_where_it_is(pages: Pages, browser: Browser, path: str) -> None:
    browser.size(1280, 900)
    browser.open(pages.hub.url + path)
    wanted, met = set(browser.value(NAMED)), []
    for _ in range(120):
        browser.press("Tab")
        met.append(browser.value(FOCUSED))
        if met[-1]["tag"] == "BODY":
            break
    assert met[0]["href"] == "#main" and wanted <= {each["href"] for each in met}
    unseen = [each for each in met if each["tag"] != "BODY" and (not each["seen"] or each["outline"] != "solid 3px")]
    assert unseen == []


def test_enter_follows_the_link_that_the_keyboard_is_at(pages: Pages, browser: Browser, tmp_path: Path) -> None:
    browser.size(1280, 900)
    browser.open(f"{pages.hub.url}/org/model/tree/v1.0.1")
    for _ in range(30):
        browser.press("Tab")
        if browser.value(FOCUSED)["href"] == "/org/model/lineage/v1.0.1":
            break
    browser.press("Enter")
    browser.value("new Promise(done => setTimeout(done, 300))")
    for _ in range(50):
        if browser.value("location.pathname") == "/org/model/lineage/v1.0.1":
            break
    assert browser.value("document.querySelector('.tabs [aria-current]').textContent") == "Lineage"
