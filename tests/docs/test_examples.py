"""The programs that the pages show: each does what its page says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from registry.errors import Unavailable, VerificationError
from registry.records import layout
from registry.report import Check
from registry.verification import s6_policy
from registry.verification.case import Case
from tests.conftest import ROOT
from tests.goldens.make_releases import goldens
from tests.registry.server.store import test_blobs as laws

EXTEND = ROOT / "docs" / "how-to" / "extend"
_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def run(page: Path) -> dict[str, Any]:
    """What the one program of `page` defines."""
    ((_, program),) = _BLOCK.findall(page.read_text())
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent(program), page.name, "exec"), names)
    return names


def test_the_blob_store_keeps_the_laws_of_every_store(tmp_path: Path) -> None:
    made = run(EXTEND / "blob-store.md")["MemoryBlobs"]
    laws.test_what_is_put_is_there_and_can_be_put_again(made("memory://"), tmp_path)
    laws.test_what_is_not_there_is_a_404(made("memory://"))
    laws.test_half_a_blob_is_never_seen(made("memory://"), tmp_path)


def test_the_rule_passes_fails_and_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    rule, cases = run(EXTEND / "verification-rule.md")["size_of_weights"], list[Case]()

    def checks(case: Case) -> tuple[Check, ...]:
        cases.append(case)
        return ()

    monkeypatch.setattr(s6_policy, "checks", checks)
    golden = next(golden for golden in goldens() if golden.name == "v1/key")
    with golden.unpacked() as root:
        golden.verified(root)
        (case,) = cases
        assert "the policy accepts 1000000" in rule(case, 1_000_000)
        with pytest.raises(VerificationError, match="the policy accepts 1"):
            rule(case, 1)
        case.altered[layout.WEIGHTS] = "it has other bytes"
        with pytest.raises(Unavailable, match=layout.WEIGHTS):
            rule(case, 1_000_000)


def test_every_program_that_a_how_to_shows_compiles() -> None:
    shown = [block for page in EXTEND.parent.rglob("*.md") for _, block in _BLOCK.findall(page.read_text())]
    assert len(shown) >= 2
    for block in shown:
        compile(textwrap.dedent(block), "a how-to", "exec")
