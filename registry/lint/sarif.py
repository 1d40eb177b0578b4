"""Findings as a SARIF log, which code hosts show beside the code.

Sources: OASIS SARIF 2.1.0, sections 3.13 to 3.27; of what GitHub's code scanning asks for beyond it, "SARIF support for
code scanning" in its documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from registry.digest import sha256_bytes
from registry.lint.rules import TITLES, Finding, Level

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
BASE = "REPOSITORY"
MAX_LOCATIONS = 10
"""Places of one result: GitHub reads no more, and shows the first."""
MAX_RESULTS = 5_000
"""Results of one run: GitHub shows no more. It refuses a log of more than 25,000, or of more than 10 MB when packed."""
SEVERITIES = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "recommendation"}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is told of a rule."""

    level: Level
    """How much a finding matters, as a rule."""
    about: str
    """What it looks for, and why."""
    mend: str
    """What to do about a finding."""


RULES = {
    "GH101": _Rule(
        Level.ERROR,
        "Two or more steps of one series serve byte-identical weights, so one of them is not what its name says: "
        "studies over the series measure the same model twice.",
        "Upload the right checkpoint to each branch, or remove those whose checkpoint is lost, and say so in the card.",
    ),
    "GH102": _Rule(
        Level.ERROR,
        "Step 0, which ought to be the weights before training, serves the weights of a later step.",
        "Upload the initial weights to that branch, or remove it.",
    ),
    "GH103": _Rule(
        Level.ERROR,
        "The spacing of the series promises steps that are not there, between others or before the first.",
        "Upload the missing checkpoints, or name in the card the steps that are lost.",
    ),
    "GH104": _Rule(
        Level.ERROR,
        "The main branch serves an earlier step than the last, or weights of its shape that are not those of any step.",
        "Upload the last step to main, or say in the card where the weights of main come from.",
    ),
    "GH105": _Rule(
        Level.ERROR,
        "A shard of the weights is byte-identical with one of another step while the other shards differ: the model is "
        "put together from two steps.",
        "Upload every shard of the step again, from one checkpoint.",
    ),
    "GH106": _Rule(
        Level.ERROR,
        "Steps lack the optimizer state that other steps have, or no step has any: training cannot be taken up there.",
        "Upload the optimizer state beside the weights of each step.",
    ),
    "GH107": _Rule(
        Level.ERROR,
        "Shards that an index, or the numbers in their names, promise are not there: the model does not load.",
        "Upload the missing shards, or the index that belongs to those that are there.",
    ),
    "GH108": _Rule(
        Level.ERROR,
        "A tokenizer file differs between the steps or from main, so the same text becomes other tokens.",
        "Upload the tokenizer of the training to every branch.",
    ),
    "GH109": _Rule(
        Level.WARNING,
        "Pickles run code when they are loaded; an error where there are no safetensors to load instead.",
        "Save the weights with safetensors, and remove the pickles.",
    ),
    "GH110": _Rule(
        Level.ERROR,
        "The card names no licence, or its metadata cannot be read: nobody knows what they may do with the model.",
        "Begin README.md with a metadata block that has a `license`.",
    ),
    "GH111": _Rule(
        Level.WARNING,
        "The card names no data set, and no manifest of the data stands beside it.",
        "List the data under `datasets` in the metadata of README.md, or publish a data manifest.",
    ),
    "GH112": _Rule(
        Level.ERROR,
        "The licence that the card names is not the one whose text stands in the licence file.",
        "Correct the one that is wrong.",
    ),
    "GH113": _Rule(
        Level.WARNING,
        "A safetensors file has several metadata keys, whose order its writer draws at random: saved again, the same "
        "weights have another hash.",
        "Save the file with one metadata key, `format`.",
    ),
    "GH114": _Rule(
        Level.ERROR,
        "A file is called .safetensors and is not one: a truncated upload, or another format under that name.",
        "Upload the file again from the original.",
    ),
    "GH115": _Rule(
        Level.ERROR,
        "The branch of a step serves no weights, while other steps or main do.",
        "Upload the checkpoint to that branch, or remove the branch, and say so in the card.",
    ),
    "GH116": _Rule(
        Level.ERROR,
        "A configuration or a chat template at a few steps is another than at the rest, so the weights become another "
        "model, or are asked otherwise. Who wrote the file, and by which version, does not count.",
        "Upload the file of the training to every branch.",
    ),
    "GH117": _Rule(
        Level.ERROR,
        "A file holds three lines that name the large file in place of it: it was committed without Git LFS.",
        "Upload the file itself: `git lfs install`, or the Hub's own client.",
    ),
    "GH118": _Rule(
        Level.ERROR,
        "One step changes weights by a small part of their spread, and the weights of step 1 are unlike those of step "
        "0: that is of another seed, or of another model.",
        "Upload the initial weights of this training to the branch of step 0, or remove the branch.",
    ),
    "GH119": _Rule(
        Level.WARNING,
        "A file of weights was looked into, and is not known to be harmless: it names types or functions that are not "
        "on a fixed list, or is not of its format.",
        "Save the weights with safetensors, or with types of scikit-learn alone.",
    ),
}


def log(address: str, findings: tuple[Finding, ...], version: str) -> dict[str, Any]:
    """The log of one run. address: of the repository on its Hub, to which all places are relative.

    The gravest MAX_RESULTS findings are told; that there were more is noted.
    """
    numbers = sorted(TITLES)
    gravest = sorted(findings, key=lambda finding: list(Level).index(finding.level))[:MAX_RESULTS]
    notes = [] if len(gravest) == len(findings) else [_note(len(gravest), len(findings))]
    run = {
        "tool": {
            "driver": {
                "name": "glasshouse audit lint",
                "version": version,
                "semanticVersion": version,
                "rules": [_rule(number) for number in numbers],
            }
        },
        "automationDetails": {"id": f"glasshouse-lint/{address.partition('://')[2]}/"},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "originalUriBaseIds": {BASE: {"uri": f"{address}/", "description": {"text": "The repository on its Hub."}}},
        "results": [_result(finding, numbers.index(finding.rule)) for finding in gravest],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(number: str) -> dict[str, Any]:
    title, rule = TITLES[number], RULES[number]
    return {
        "id": number,
        "name": title,
        "shortDescription": {"text": title},
        "fullDescription": {"text": rule.about},
        "help": {"text": f"{rule.about} {rule.mend}", "markdown": f"{rule.about}\n\n**To mend it:** {rule.mend}"},
        "defaultConfiguration": {"level": str(rule.level)},
        "properties": {
            "tags": ["model-release"], "precision": "high", "problem.severity": SEVERITIES[rule.level],
        },
    }  # fmt: skip


def _result(finding: Finding, index: int) -> dict[str, Any]:
    mark = _fingerprint(finding)
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": str(finding.level),
        "message": {"text": finding.message},
        "locations": [_location(name, finding.path) for name in finding.where[:MAX_LOCATIONS]],
        # The second is the one name that GitHub knows; there, a number after the colon tells equal lines apart.
        "partialFingerprints": {"finding/v1": mark, "primaryLocationLineHash": f"{mark[:16]}:1"},
    }


def _location(name: str, path: str) -> dict[str, Any]:
    """A file, or the tree, of one branch or tag. Code hosts want a line and columns: there are none, so the first."""
    uri = f"blob/{quote(name, safe='')}/{quote(path)}" if path else f"tree/{quote(name, safe='')}"
    first = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": BASE}, "region": first}}


def _note(told: int, found: int) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": f"{found} findings; the {told} gravest are in this log."}}


def _fingerprint(finding: Finding) -> str:
    """What stays the same of a finding that is still there at the next run."""
    return sha256_bytes("\0".join((finding.rule, finding.path, *finding.where)).encode())
