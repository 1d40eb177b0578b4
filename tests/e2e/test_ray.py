"""The stages of data on Ray: one node, two nodes, and what dies half-way. The bytes are those of one process."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.corpus import OUT as CORPUS
from pipelines.encode import OUT as TOKENS
from registry.manifest import Entry, Manifest
from tests import ray_nodes
from tests.pipelines.small_project import params

pytestmark = pytest.mark.ray

SHARDS = 60
ENCODE = {"shard_tokens": 1 << 20}
"""A file of tokens is kept in mind until the stage ends, so there are few."""
STAGES = """
import pipelines.encode as encode
from pipelines import stage, tokenizer
from pipelines.corpus import build, parquet, shards
shards.BYTES, encode.FEW, parquet.GROUP_BYTES = 1 << 16, 0, 1 << 16
stage.run({}.main)
"""
"""Shards so small that a small corpus has many."""
PEAKS = """
from pathlib import Path
import pipelines.encode as encode
from pipelines import stage
from pipelines.corpus import build, met, parquet, shards
encode.FEW, met.CACHE = 0, 1 << 10
shards.BYTES = parquet.GROUP_BYTES = 1 << 18
def both():
    build.main()
    encode.main()
stage.run(both)
print(Path("/proc/self/status").read_text())
"""
"""Says what the process had of memory at most. A few shards are under way, so they are small."""
MEGABYTES = 6
"""Text of the smaller of two corpora whose memory is compared."""
GROWTH = 9
"""Megabytes that the one that is four times as large may take more: half of what it has more."""


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of text: sources of the packages at hand, cut into pieces, each of which has something of the next."""
    place = tmp_path_factory.mktemp("texts") / "rows.jsonl"
    size = 0
    with place.open("w", encoding="utf-8") as stream:
        for path in sorted(Path(pytest.__file__).parents[1].glob("[p-s]*/*.py")):
            text = path.read_text(encoding="utf-8", errors="ignore")
            for start in range(0, min(len(text), 40_000), 4_000):
                size += stream.write(json.dumps({"text": text[start : start + 5_000]}) + "\n")
            if size > SHARDS << 16:
                return place
    raise AssertionError(f"the packages at hand have {size} bytes of text")


class Project:
    """A project with those texts, and an engine of its own."""

    def __init__(self, root: Path, texts: Path, engine: dict[str, str]) -> None:
        self.root = root
        root.mkdir()
        os.link(texts, root / "rows.jsonl")
        source = {
            "kind": "rows",
            "name": "rows",
            "include": ["rows.jsonl"],
            "license": "MIT",
            "url": "https://a.example",
        }
        corpus = {
            "sources": [source],
            "filters": {"min_bytes": 10, "max_bytes": 100_000, "licenses": ["MIT", "Apache-2.0"]},
            "validation_fraction": 0.1,
            "quality": {"min_words": 5},
            "scrub": ["emails", "secrets"],
            "near_duplicates": {"words": 3},
        }
        (root / "params.yaml").write_text(json.dumps(params(corpus=corpus, engine=engine, encode=ENCODE)))

    def start(self, stage: str, code: str = STAGES, **variables: str) -> subprocess.Popen[str]:
        """A process that runs the stage."""
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
        command = [sys.executable, "-c", code.format(stage)]
        return subprocess.Popen(
            command, cwd=self.root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, stage: str, **variables: str) -> None:
        """Run the stage to its end."""
        ended(self.start(stage, **variables))

    def bytes(self, out: Path) -> tuple[Entry, ...]:
        """What the stage wrote."""
        return Manifest.of_directory(self.root / out).entries


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What the process said, once it has ended so."""
    with process:
        said, _ = process.communicate(timeout=ray_nodes.PATIENCE)
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def undisturbed(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built by one process."""
    project = Project(tmp_path_factory.mktemp("one") / "project", texts, {})
    for stage in ("build", "tokenizer", "encode"):
        project.run(stage, GLASSHOUSE_PROCESSES="1")
    return project


def test_two_processes_and_one_node_of_ray_write_the_same_bytes(
    undisturbed: Project, texts: Path, tmp_path: Path
) -> None:
    for kind in ("local", "ray"):
        project = Project(tmp_path / kind, texts, {"kind": kind})
        project.run("build", GLASSHOUSE_PROCESSES="2")
        assert project.bytes(CORPUS) == undisturbed.bytes(CORPUS)


@pytest.mark.parametrize(
    "kill", [None, ray_nodes.kill_a_worker, ray_nodes.kill_a_node], ids=["nobody dies", "a worker", "a node"]
)
def test_two_nodes_of_ray_write_the_same_bytes(
    kill: Callable[[Any], None] | None, undisturbed: Project, texts: Path, tmp_path: Path
) -> None:
    with ray_nodes.two_nodes() as nodes:
        project = Project(tmp_path / "project", texts, {"kind": "ray", "address": nodes.address})
        process = project.start("build")
        if kill is not None:
            ray_nodes.wait_for_shards(project.root / CORPUS, SHARDS // 6)
            assert process.poll() is None
            kill(nodes)
        ended(process)
        assert project.bytes(CORPUS) == undisturbed.bytes(CORPUS)
        if kill is None:
            (project.root / "build/tokenizer").symlink_to(undisturbed.root / "build/tokenizer")
            project.run("encode")
            assert project.bytes(TOKENS) == undisturbed.bytes(TOKENS)
    assert not list((project.root / CORPUS).parent.glob(".*")), "what was kept goes in the end"


def test_a_driver_that_is_killed_leaves_what_was_finished(undisturbed: Project, texts: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", texts, {"kind": "ray"})
    with project.start("build") as process:
        ray_nodes.wait_for_shards(project.root / CORPUS, SHARDS // 6)
        process.kill()
    assert not (project.root / CORPUS).exists()
    project.run("build")
    assert project.bytes(CORPUS) == undisturbed.bytes(CORPUS)


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_memory_does_not_grow_with_the_corpus(kind: str, undisturbed: Project, tmp_path: Path) -> None:
    peaks = []
    for times in (1, 4):
        project = Project(
            tmp_path / str(times), rows_of(tmp_path / f"{times}.jsonl", times * MEGABYTES), {"kind": kind}
        )
        (project.root / "build").mkdir()
        (project.root / "build/tokenizer").symlink_to(undisturbed.root / "build/tokenizer")
        said = ended(project.start("", PEAKS, GLASSHOUSE_PROCESSES="2"))
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", said)
        peaks.append(int(peak) / 1000)
    assert peaks[1] < peaks[0] + GROWTH, peaks


def rows_of(place: Path, megabytes: int) -> Path:
    """Rows of text, each of about a kilobyte, no two alike."""
    chance, size = random.Random(megabytes), 0
    with place.open("w", encoding="utf-8") as stream:
        while size < megabytes * 1_000_000:
            words = (f"{chance.getrandbits(20):05x}" for _ in range(170))
            size += stream.write(json.dumps({"text": " ".join(words)}) + "\n")
    return place


def test_a_cluster_that_is_not_there_is_told_at_once(texts: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", texts, {"kind": "ray", "address": "127.0.0.1:9"})
    said = ended(project.start("build"), code=3)
    assert "does not answer" in said and "ray start --head" in said and "Traceback" not in said
