"""The site, built once for all tests that look at it, and a browser to look with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.browser import NAMES, Browser


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds of docs/ as it is."""
    root = tmp_path_factory.mktemp("site")
    for beside in ("registry", "tests"):
        (root / beside).symlink_to(ROOT / beside)
    docs = root / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("site", ".cache"))
    program = Path(sys.executable).with_name("zensical")
    done = subprocess.run(
        (program, "build", "--strict", "--config-file", docs / "zensical.toml"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return docs / "site"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; where there is none, tests that need it are skipped, in CI they fail."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium: apt-get install chromium")
    with Browser.start(program) as found:
        yield found
