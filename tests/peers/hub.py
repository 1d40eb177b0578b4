"""huggingface_hub's own tests against `glasshouse serve` on loopback.

The checkout is copied, not changed: in the copy its staging endpoint, users and tokens become ours. Tests that need the
public Hub's own content are skipped. hub_known.json says which failures are known, of which kind, and why: scope,
design, wording (not ours to mend), expected (a user of models and data sets would miss it).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.peers import hub_plugin
from tests.peers.tally import Tally

FILES = [
    "test_cache_layout", "test_cli", "test_cli_discussions", "test_cli_errors", "test_cli_framework", "test_cli_output",
    "test_commit_api", "test_commit_scheduler", "test_copy_files", "test_eval_results", "test_file_download",
    "test_hf_api", "test_hf_file_system", "test_hub_mixin", "test_lfs", "test_local_folder", "test_repocard",
    "test_snapshot_download", "test_tree_cache", "test_upload_large_folder", "test_upload_pipeline",
    "test_verification", "test_xet_upload",
]  # fmt: skip
KNOWN = {
    row["match"]: f"{row['kind']}: {row['why']}"
    for row in json.loads((Path(__file__).parent / "hub_known.json").read_bytes())
}
ENDPOINT = "https://hub-ci.huggingface.co"
SECONDS = 90
"""For one test."""


def run(checkout: Path, python: Path, tally: Tally, files: list[str] | None = None) -> None:
    """Run the tests of the library in `checkout` by `python`, which has what they need."""
    with tempfile.TemporaryDirectory(prefix="hub-peers-") as name:
        scratch = Path(name)
        out, log = scratch / "out.jsonl", scratch / "access.log"
        options = ("--rate", "2000", "--access-log", str(log))
        with HubInstance.start(scratch / "hub", xet=True, options=options) as server:
            home = _copy(checkout, scratch / "checkout", server)
            environment = {name: value for name, value in os.environ.items() if "HF_" not in name}
            environment |= {
                "PYTHONPATH": os.pathsep.join((str(home / "src"), str(home))),
                "PEERS_OUT": str(out), "PEERS_LOG": str(log), "HF_HOME": str(scratch / "hf"),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HUGGINGFACE_CO_STAGING": "1", "NO_PROXY": "127.0.0.1",
            }  # fmt: skip
            for file in files or FILES:
                command = [str(python), "-m", "pytest", "-p", "tests.peers_plugin", "--rootdir=..", "-c"]
                command += ["../pyproject.toml", "-o", "addopts=", "-p", "no:cacheprovider", "-q", "--tb=no"]
                command += ["--timeout", str(SECONDS), f"{file}.py"]
                done = subprocess.run(
                    command, cwd=home / "tests", env=environment, capture_output=True, text=True, check=False
                )
                print(f"{file}: {(done.stdout.strip().splitlines() or [done.stderr[-500:]])[-1]}", flush=True)
        for test, outcome, words in outcomes(out):
            tally.tell(outcome == "passed", test, words)


def outcomes(path: Path) -> Iterator[tuple[str, str, str]]:
    """(test, outcome, words) of each that was not skipped; one that failed at its end has failed."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    found: dict[str, dict[str, Any]] = {}
    for row in (row for row in rows if row["when"] != "asked"):
        if found.get(row["id"], {}).get("outcome") != "failed":
            found[row["id"]] = row
    asked = {row["id"] for row in rows if row["when"] == "asked" and row["requests"]}
    passed = [test for test, row in found.items() if row["outcome"] == "passed"]
    skipped = [row for row in found.values() if row["outcome"] == "skipped"]
    theirs = sum(hub_plugin.NOT_OURS in row["words"] for row in skipped)
    print(f"{len(asked.intersection(passed))} of {len(passed)} that passed asked the server; {theirs} not applicable")
    yield from ((test, row["outcome"], row["words"]) for test, row in found.items() if row["outcome"] != "skipped")


def _copy(checkout: Path, into: Path, server: HubInstance) -> Path:
    """The library in `into`, with our server, users and tokens in the place of its staging ones."""
    for part in ("src", "tests"):
        shutil.copytree(checkout / part, into / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(checkout / "pyproject.toml", into)
    shutil.copy(Path(hub_plugin.__file__), into / "tests" / "peers_plugin.py")
    users = {
        "USER": server.user("dummyuser", Role.ADMIN),
        "OTHER": server.user("otheruser", Role.WRITE),
        "ENTERPRISE": server.user("enterpriseadmin", Role.ADMIN, "EnterpriseOrgPrivate"),
    }
    constants = {
        "USER": "dummyuser", "FULL_NAME": "dummyuser", "TOKEN": users["USER"], "OTHER_USER": "otheruser",
        "OTHER_TOKEN": users["OTHER"], "ENTERPRISE_USER": "enterpriseadmin", "ENTERPRISE_TOKEN": users["ENTERPRISE"],
        "ENDPOINT_STAGING": server.url,
    }  # fmt: skip
    with _edited(into / "tests" / "testing_constants.py") as text:
        for name, value in constants.items():
            text[0] = re.sub(rf"(?m)^{name} = .*$", f'{name} = "{value}"', text[0])
    for path in ("src/huggingface_hub/constants.py", "tests/test_hf_api.py", "tests/test_xet_upload.py"):
        with _edited(into / path) as text:
            text[0] = text[0].replace(f'"{ENDPOINT}', f'"{server.url}')
    with _edited(into / "src" / "huggingface_hub" / "repocard.py") as text:  # it asks the public Hub, whatever is set
        text[0] = text[0].replace('"https://huggingface.co/api/validate-yaml"', f'"{server.url}/api/validate-yaml"')
    return into


@contextmanager
def _edited(path: Path) -> Iterator[list[str]]:
    """The text of a file, alone in a list; what it is at the end is written."""
    text = [path.read_text()]
    yield text
    path.write_text(text[0])
