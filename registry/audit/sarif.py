"""Findings as a SARIF log, which code hosts show beside the code. Source: OASIS SARIF 2.1.0, sections 3.13 to 3.27."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from registry.audit.lint import TITLES, Finding
from registry.digest import sha256_bytes

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
BASE = "REPOSITORY"
MAX_LOCATIONS = 10


def log(address: str, findings: tuple[Finding, ...], version: str) -> dict[str, Any]:
    """The log of one run. address: of the repository on its Hub, to which all places are relative."""
    numbers = sorted(TITLES)
    rules = [{"id": number, "shortDescription": {"text": TITLES[number]}} for number in numbers]
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": numbers.index(finding.rule),
            "level": str(finding.level),
            "message": {"text": finding.message},
            "locations": [_location(name, finding.path) for name in finding.where[:MAX_LOCATIONS]],
            "partialFingerprints": {"finding/v1": _fingerprint(finding)},
        }
        for finding in findings
    ]
    run = {
        "tool": {"driver": {"name": "glasshouse audit lint", "version": version, "rules": rules}},
        "originalUriBaseIds": {BASE: {"uri": f"{address}/"}},
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _location(name: str, path: str) -> dict[str, Any]:
    """A file, or the tree, of one branch or tag. Code hosts want a line: there is none, so it is the first."""
    uri = f"blob/{quote(name, safe='')}/{quote(path)}" if path else f"tree/{quote(name, safe='')}"
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": BASE}, "region": {"startLine": 1}}}


def _fingerprint(finding: Finding) -> str:
    """What stays the same of a finding that is still there at the next run."""
    return sha256_bytes("\0".join((finding.rule, finding.path, *finding.where)).encode())
