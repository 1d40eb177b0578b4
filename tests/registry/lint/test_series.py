"""Lint over a real server: thirty checkpoints, clean and then with the faults of famous releases; no weight is read."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from safetensors.numpy import save

from registry.hub.client import HubClient
from registry.lint import reading, rules, sarif
from registry.lint.rules import Finding, Level
from tests.conftest import Released
from tests.hub_instance import HubInstance
from tests.registry.formats.test_skops import changed, made_as, scaled
from tests.registry.server.asking import ask, commit, put

REPO = "glasshouse/linted"
STEPS = tuple(range(0, 30_000, 1_000))
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
OPTIMIZER = "optimizer.safetensors"
INDEX = json.dumps({"metadata": {}, "weight_map": {"a": SHARDS[0], "b": SHARDS[1]}})
CARD = "---\nlicense: apache-2.0\ndatasets: [org/data]\n---\n# A model\n"
APACHE = "Apache License\nVersion 2.0, January 2004\n"
WEIGHT = 200_000
"""Bytes of each tensor: far more than all that lint may ask for."""
Files = dict[str, bytes | str]
"""{path: bytes of a large file, or the text of a small one}."""


def safetensors(name: str, metadata: Mapping[str, str] = {"format": "pt"}) -> bytes:
    head = {"__metadata__": dict(metadata), "w": {"dtype": "U8", "shape": [WEIGHT], "data_offsets": [0, WEIGHT]}}
    text = json.dumps(head).encode()
    data = hashlib.shake_128(name.encode()).digest(WEIGHT)
    return struct.pack("<Q", len(text)) + text + data


def tree(step: int) -> Files:
    """One clean checkpoint."""
    weights = {path: safetensors(f"{step} {path}") for path in (*SHARDS, OPTIMIZER)}
    config = json.dumps({"hidden_size": 8, "transformers_version": str(step)})
    return {**weights, "model.safetensors.index.json": INDEX, "tokenizer.json": "{}", "config.json": config}


def main_tree() -> Files:
    return {path: data for path, data in tree(STEPS[-1]).items() if path != OPTIMIZER} | {
        "README.md": CARD, "LICENSE": APACHE,
    }  # fmt: skip


class Shelf:
    """A repository, changed by as few requests as can be."""

    def __init__(self, hub: HubInstance, client: HubClient, scratch: Path) -> None:
        self._hub, self._client, self._scratch = hub, client, scratch
        client.repos.ensure(REPO)
        self._start = client.refs.head(REPO)

    def keep(self, files: list[bytes]) -> None:
        """Send large files, so that commits can name them."""
        for data in files:
            (self._scratch / f"{hashlib.sha256(data).hexdigest()}.bin").write_bytes(data)
        head = self._client.refs.ensure_branch(REPO, "shelf")
        self._client.trees.publish(REPO, self._scratch, "Kept", head, branch="shelf")
        self._client.connection.api.delete_branch(REPO, branch="shelf")

    def change(self, branch: str, files: Files, gone: tuple[str, ...] = ()) -> None:
        """One commit."""
        if branch != "main":
            body = {"startingPoint": self._start}
            ask(self._hub, "POST", f"/api/models/{REPO}/branch/{branch}", body)
        lines = [put(path, data) if isinstance(data, str) else large(path, data) for path, data in files.items()]
        lines += [{"key": "deletedFile", "value": {"path": path}} for path in gone]
        assert commit(self._hub, REPO, *lines, branch=branch)[0] == 200

    def lose(self, branch: str) -> None:
        self._client.connection.api.delete_branch(REPO, branch=branch)


def large(path: str, data: bytes) -> dict[str, Any]:
    oid = hashlib.sha256(data).hexdigest()
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}}


def sent(hub: HubInstance) -> int:
    """Bytes that the server has sent so far."""
    found = re.search(rb"^glasshouse_hub_sent_bytes_total ([0-9]+)$", ask(hub, "GET", "/metrics")[2], re.MULTILINE)
    assert found is not None
    return int(found[1])


def weights(step: int) -> Files:
    return {path: tree(step)[path] for path in SHARDS}


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 500000\n"


def trained(seed: int) -> bytes:
    """Weights of a matrix, as an initialisation by `seed` draws them; a step of training moves them a little."""
    generator = np.random.default_rng(seed // 10)
    drawn = generator.normal(0, 0.02, (64, 64)) + np.random.default_rng(seed).normal(0, 1e-4, (64, 64))
    return bytes(save({"w": drawn.astype(np.float32), "b": np.zeros(64, dtype=np.float32)}))


FAULTS: dict[str, Files] = {
    "step3000": weights(29_000), "step7000": weights(29_000),  # pythia 205
    "step0": weights(1_000),  # pythia 83
    "step5000": weights(4_000), "step6000": weights(4_000),  # OLMo 915
    "step9000": {SHARDS[1]: tree(8_000)[SHARDS[1]]},
    "step15000": {"tokenizer.json": '{"another": 1}'},
    "step17000": {SHARDS[0]: safetensors("17", {"format": "pt", "step": "17000"})},
    "step18000": {SHARDS[0]: b"\0" * 2000},
    "step19000": {SHARDS[0]: safetensors("19")[:-1000]},  # cog-comfyui 329
    "step20000": {"tokenizer.json": POINTER.encode()},  # transformers 27923
    "step21000": {"config.json": '{"hidden_size": 9, "transformers_version": "5"}'},  # open-instruct 1291
    "seed2-ckpt_000": {"model.safetensors": trained(1), OPTIMIZER: safetensors("seed2 0")},
    "seed2-ckpt_001": {"model.safetensors": trained(11), OPTIMIZER: safetensors("seed2 1")},  # pythia 203
    "seed3-ckpt_000": {"model.safetensors": trained(21), OPTIMIZER: safetensors("seed3 0")},
    "seed3-ckpt_001": {"model.safetensors": trained(22), OPTIMIZER: safetensors("seed3 1")},  # as it should be
    "main": {**weights(20_000), "pytorch_model.bin": b"\x80\x04." * 900, "model.skops": scaled(),
             "other.skops": changed(made_as("ObjectNode", "os", "system")),
             "README.md": "---\nlicense: mit\n---\n# A model\n"},
}  # fmt: skip
"""What is changed, by branch. Besides, pythia 202: two steps are not there; one has no optimizer, one lacks a shard."""


@pytest.fixture(scope="module")
def shelf(hub: HubInstance, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The clean series."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        shelf = Shelf(hub, HubClient(hub.url, hub.token), tmp_path_factory.mktemp("shelf"))
        trees = {f"step{step}": tree(step) for step in STEPS} | {"main": main_tree()}
        every = [*trees.values(), *FAULTS.values()]
        shelf.keep([data for files in every for data in files.values() if isinstance(data, bytes)])
        for branch, files in trees.items():
            shelf.change(branch, files)
        return shelf


@pytest.fixture
def client(hub: HubInstance, monkeypatch: pytest.MonkeyPatch) -> HubClient:
    """Anybody."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return HubClient(hub.url)


def test_clean_it_is_silent_and_faulty_each_fault_is_named(shelf: Shelf, hub: HubInstance, client: HubClient) -> None:
    before = sent(hub)
    read = reading.read(client, REPO)
    assert [step.step for step in read.steps] == list(STEPS) and rules.lint(read) == ()
    assert sent(hub) - before < 10 * WEIGHT  # of more than 90 files, each larger than WEIGHT

    for branch, files in FAULTS.items():
        shelf.change(branch, files)
    shelf.change("step13000", {}, gone=(OPTIMIZER,))
    shelf.change("step22000", {}, gone=(*SHARDS, "model.safetensors.index.json"))
    shelf.change("step14000", {}, gone=(SHARDS[1],))
    for step in (11_000, 12_000):
        shelf.lose(f"step{step}")
    before = sent(hub)
    findings = rules.lint(reading.read(client, REPO))
    assert sent(hub) - before < 10 * WEIGHT
    assert {finding.rule for finding in findings} == rules.TITLES.keys() - {"GH110"}  # the card can be read
    for rule, words in {
        "GH101": "identical weights at step3000, step7000, step29000",
        "GH102": "step 0 is a trained step: it serves the weights of step1000",
        "GH103": "lacks 2 of its steps: 11000, 12000",
        "GH104": "main serves the weights of step20000",
        "GH105": "step8000 and step9000 serve the same bytes",
        "GH106": "no optimizer state at step13000",
        "GH107": f"step14000 lacks {SHARDS[1]}",
        "GH108": "tokenizer.json at step15000, step20000 differs from that at 27 others",
        "GH109": "pickles at main: pytorch_model.bin",
        "GH111": "names no data",
        "GH112": "the card says mit, and LICENSE is the text of apache-2.0",
        "GH113": "2 metadata keys (format, step)",
        "GH114": "not a whole safetensors file: tensors end at byte",
        "GH115": "no weights at step22000",
        "GH116": "config.json at step21000 differs from that at 27 others: hidden_size",
        "GH117": "tokenizer.json at step20000 is a pointer of Git LFS",
        "GH118": "seed2-ckpt_001 does not come from seed2-ckpt_000: their weights correlate by",
        "GH119": "other.skops names what is not on the list of types that are known to be safe: os.system",
    }.items():
        assert any(words in finding.message for finding in findings if finding.rule == rule), (rule, findings)
    assert any("step4000, step5000, step6000" in finding.message for finding in findings)
    assert [f.path for f in findings if f.rule == "GH119"] == ["other.skops"]
    assert [f.where for f in findings if f.rule == "GH118"] == [("seed2-ckpt_000", "seed2-ckpt_001")]


TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
URI = {"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+$"}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {"type": "object", "required": ["uri"], "properties": {"uri": URI}},
                "region": {
                    "required": ["startLine", "startColumn", "endLine", "endColumn"],
                    "additionalProperties": {"type": "integer", "minimum": 1},
                },
            },
        }
    },
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "locations", "partialFingerprints"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
RUN = {
    "type": "object",
    "required": ["tool"],
    "additionalProperties": False,
    "properties": {
        "tool": {
            "type": "object",
            "required": ["driver"],
            "properties": {
                "driver": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "rules": {
                            "type": "array",
                            "uniqueItems": True,
                            "items": {
                                "required": ["id", "shortDescription", "fullDescription", "help"],
                                "properties": {"shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT},
                            },
                        }
                    },
                }
            },
        },
        "automationDetails": {"properties": {"id": {"type": "string", "pattern": "^[^ ]+/$"}}},
        "invocations": {
            "type": "array",
            "items": {
                "required": ["executionSuccessful"],
                "properties": {"toolExecutionNotifications": {"items": {"properties": {"message": TEXT}}}},
            },
        },
        "originalUriBaseIds": {"type": "object", "additionalProperties": {"properties": {"uri": URI}}},
        "results": {"type": "array", "items": RESULT},
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {"$schema": URI, "version": {"const": "2.1.0"}, "runs": {"type": "array", "items": RUN}},
}
"""What SARIF 2.1.0 says of the parts that we write, and what GitHub's code scanning requires besides."""


def check(log: dict[str, Any]) -> None:
    jsonschema_rs.validate(SARIF, log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert 1 <= len(result["locations"]) <= 10 and ":" in result["partialFingerprints"]["primaryLocationLineHash"]
        for location in result["locations"]:
            assert location["physicalLocation"]["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]


def test_a_log_of_hostile_names_is_sarif() -> None:
    finding = Finding("GH101", Level.ERROR, ("step 1 ü<>", "main"), 'a "b"\n%/c', "what was found")
    log = sarif.log("https://hub.example.org/org/model", (finding, finding), "1.0")
    check(log)
    first, second = log["runs"][0]["results"][0]["locations"]
    assert first["physicalLocation"]["artifactLocation"]["uri"] == "blob/step%201%20%C3%BC%3C%3E/a%20%22b%22%0A%25/c"
    assert second["physicalLocation"]["artifactLocation"]["uri"].startswith("blob/main/")
    assert len({result["partialFingerprints"]["finding/v1"] for result in log["runs"][0]["results"]}) == 1


def test_the_gravest_findings_are_told_where_there_are_more_than_a_code_host_takes() -> None:
    notes = [Finding("GH106", Level.NOTE, (f"step{n}",), "", "found") for n in range(sarif.MAX_RESULTS)]
    log = sarif.log(
        "https://hub.example.org/org/model", (*notes, Finding("GH107", Level.ERROR, ("main",), "", "x")), "1.0"
    )
    check(log)
    (run,) = log["runs"]
    assert len(run["results"]) == sarif.MAX_RESULTS and run["results"][0]["ruleId"] == "GH107"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("5001 findings")
    marks = {result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]}
    assert len(marks) == sarif.MAX_RESULTS
    assert len(json.dumps(log).encode()) < 10_000_000


def test_every_rule_says_what_it_is_and_how_to_mend_it() -> None:
    assert sarif.RULES.keys() == rules.TITLES.keys()
    assert all(1 <= len(title) <= 255 for title in rules.TITLES.values())


def test_the_command(released: Released, shelf: Shelf, tmp_path: Path) -> None:
    project = released.project
    reference = released.reference.partition("@")[0]
    done = project.run("glasshouse", "audit", "lint", reference, "--json", variables=released.hub)
    found = json.loads(done.stdout)["findings"]
    assert all(finding["level"] == "note" for finding in found), found
    log = tmp_path / "lint.sarif"
    words = ("glasshouse", "audit", "lint", f"hf://{REPO}", "--sarif", str(log))
    shelf.change("main", {"README.md": "# No metadata\n"})
    done = project.run(*words, check=False, variables=released.hub)
    assert done.returncode == 1 and "GH110" in done.stdout and "main and" in done.stdout
    check(json.loads(log.read_text()))
    assert {"GH110", "GH111"} <= {result["ruleId"] for result in json.loads(log.read_text())["runs"][0]["results"]}
    assert project.run("glasshouse", "audit", "lint", str(released.folder), check=False).returncode == 2
