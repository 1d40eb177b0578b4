"""A verification that is asked for: what it leaves where."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.attest.verifier import Verifier
from registry.errors import InputError
from registry.hub.reference import parse
from registry.report import Verdict
from registry.verification import request as requests
from registry.verification.case import Gathered
from registry.verification.fetch import Fetched
from registry.verification.request import Request
from registry.verification.tree import Tree


@pytest.mark.parametrize(("spoilt", "name"), [(False, "kept"), (True, "kept.failed")])
def test_what_fails_is_not_kept_under_the_name_that_was_asked_for(
    release: Path, verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: bool, name: str
) -> None:
    @contextmanager
    def fetched(reference: Any, *, into: Path, **_: Any) -> Iterator[Fetched]:
        shutil.copytree(release, into)
        if spoilt:
            (into / "evil.py").write_text("print('owned')\n")
        yield Fetched(Tree(into), "from a Hub")

    monkeypatch.setattr(requests, "fetched", fetched)
    monkeypatch.setattr(requests, "gather", lambda *_, **__: Gathered())
    asked = Request(parse("hf://glasshouse/synthetic@v1.0.0"), verifier)
    report = asked.verified(tmp_path / "kept")
    assert report.verdict is (Verdict.FAIL if spoilt else Verdict.PASS)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if spoilt:
        with pytest.raises(InputError, match="failed before"):
            asked.verified(tmp_path / "kept")
