"""Loaded by pytest in the library's own checkout: what each test came to, and how often it asked the server.

Imports nothing of ours: it runs in the library's environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

NOT_OURS = "needs the public Hub's own content"


def requests() -> int:
    """How many lines the server's access log has."""
    try:
        return Path(os.environ["PEERS_LOG"]).read_bytes().count(b"\n")
    except OSError:
        return 0


def note(row: dict[str, Any]) -> None:
    """Append one line to what came out."""
    with Path(os.environ["PEERS_OUT"]).open("a") as out:
        out.write(json.dumps(row) + "\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what a server of ours cannot have."""
    for item in items:
        if item.get_closest_marker("production") is not None or "api_prod" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=NOT_OURS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note how often the server was asked."""
    before = requests()
    result = yield
    note({"id": item.nodeid, "when": "asked", "requests": requests() - before})
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what came out."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        words = f"{type(call.excinfo.value).__name__}: {call.excinfo.value}" if call.excinfo else ""
        told = str(report.longrepr)[:300] if report.skipped else words
        note({"id": report.nodeid, "when": report.when, "outcome": report.outcome, "words": told[:1500]})
    return report
