"""What docs/ tells people to type exists: each glasshouse command, each of its options; the workflow is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.registry.cli.words import check

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "reference")
_COMMAND = re.compile(r"^(?: {4}|\$ |.*- run: |\s*)(glasshouse [a-z].*)$")


def typed(page: Path) -> Iterator[str]:
    """Each command that a page shows, in blocks of code, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", page.read_text())
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif (fenced or line.startswith("    ")) and (found := _COMMAND.match(line)):
            yield found[1].split(" > ")[0].split(" | ")[0].split("  #")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_command_shown_exists(page: Path) -> None:
    for line in typed(page):
        check(line)
    for line in re.findall(r"`(glasshouse [^`]+)`", " ".join(page.read_text().split())):
        check(line)


def test_commands_are_found_in_the_pages() -> None:
    shown = [line for page in PAGES for line in typed(page)]
    assert len(shown) > 30 and any(line.startswith("glasshouse release cut --checkpoints") for line in shown)
    with pytest.raises(AssertionError, match="no command"):
        check("glasshouse release shred")
    with pytest.raises(AssertionError, match="no option"):
        check("glasshouse release cut --quickly")


def test_the_workflow_asks_for_an_identity_and_holds_no_secret() -> None:
    page = (DOCS / "how-to" / "ci.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    workflow = yaml.safe_load(blocks[0])
    for block in blocks[1:]:
        assert all("run" in step or "uses" in step for step in yaml.safe_load(block))
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"} and workflow["permissions"] == {
        "contents": "read"
    }
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", job["env"]["HF_OIDC_RESOURCE"]) and "environment" in job
    assert "secrets." not in blocks[0] and "HF_TOKEN" not in blocks[0]
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert all("${{" not in run for run in runs)  # what is typed in reaches a shell as a variable only
    assert any(run.startswith("glasshouse release cut") for run in runs) and "dvc repro" in runs
