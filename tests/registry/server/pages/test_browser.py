"""Every page in a browser: all links lead somewhere, nobody else is asked, and no console has a complaint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

from tests.registry.server.pages.conftest import Pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(os.environ.get("PAGES_SHOTS", ""))
OF_THE_BROWSER = re.compile(r"https?://([a-z0-9.-]+\.)?(google|googleapis|gvt1)\.com/")
"""Whom Chromium asks by itself, whatever it shows."""
NEVER_FOLLOWED = re.compile(r"/resolve/|/sign-in$|format=json")


def links(text: str, base: str) -> set[str]:
    """Where a page leads on this server, and what it loads."""
    found = re.findall(r'(?:href|src)="([^"]*)"', text)
    return {urldefrag(urljoin(base, unescape(each)))[0] for each in found}


def test_every_link_of_every_page_leads_somewhere(pages: Pages) -> None:
    here, waiting, met = pages.hub.url, [f"{pages.hub.url}/"], set()
    while waiting:
        address = waiting.pop()
        if address in met or not address.startswith(here + "/") or NEVER_FOLLOWED.search(address):
            continue
        met.add(address)
        status, headers, text = pages.get(address)
        assert status == 200, address
        if headers["content-type"].startswith("text/html"):
            policy, scripts = headers["content-security-policy"], text.count("<script")
            assert "'none'" in policy and "unsafe" not in policy
            assert scripts == ("script-src 'self'" in policy) == ("/check/" in address)
            outside = {each for each in re.findall(r'(?:src|action)="([^"]*)"', text) if "//" in each}
            assert outside == set(), address
            waiting += links(text, address)
    paths = {address.removeprefix(here).split("?")[0] for address in met}
    assert paths >= {"/", "/datasets", "/org/model", "/org/model/tree/v1.0.0", "/org/model/verification/v1.0.0",
                     "/org/model/check/v1.0.0", "/org/model/data/v1.0.0", "/org/model/audits/v1.0.1",
                     "/org/model/lineage/v1.0.1", "/org/model/history", "/org/model/history.atom", "/org/model/compare",
                     "/org/hostile", "/signer", "/org"}  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize(
    "path",
    ["/", "/org/model/tree/v1.0.0", "/org/model/verification/v1.0.0", "/org/model/lineage/v1.0.1", "/org/hostile"],
)
def test_a_browser_has_nothing_to_complain_of(pages: Pages, path: str, tmp_path: Path) -> None:
    """Headless Chromium, in which every host but this server's is unknown."""
    assert CHROMIUM is not None
    shots = SHOTS if os.environ.get("PAGES_SHOTS") else tmp_path
    shot, log = shots / f"{path.strip('/').replace('/', '-') or 'models'}.png", tmp_path / "net.json"
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         f"--user-data-dir={tmp_path / 'profile'}", "--disable-background-networking", "--disable-component-update",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr", "--v=0",
         f"--log-net-log={log}", f"--screenshot={shot}", "--window-size=390,1600", pages.hub.url + path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and shot.stat().st_size > 5_000, done.stderr
    assert [line for line in done.stderr.splitlines() if ":CONSOLE" in line] == []
    asked = set(re.findall(r'"url":"(https?://[^"]*)"', log.read_text(errors="replace")))
    assert any(address.startswith(pages.hub.url) for address in asked)
    assert [
        address for address in asked if not address.startswith(pages.hub.url) and not OF_THE_BROWSER.match(address)
    ] == []
