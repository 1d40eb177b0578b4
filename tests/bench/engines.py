"""Building a corpus and its tokens by each engine, and by datatrove and Ray Data: bytes, throughput and memory.

GLASSHOUSE_BENCH_MB=200 .ray/bin/python -m tests.bench engines (`make bench` makes that environment)

Each is timed from the start of its process to its end. Clusters of Ray run before, for ours as for Ray Data. What ours
does beyond what the peers do, tests/bench/_peers/common.py says; and it does it in two stages, each of which starts its
workers anew. The number of tokens is compared with the peers', and the bytes of ours among one another. What dies is
killed with SIGKILL once a part of the shards is finished.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from registry.manifest import Manifest
from registry.records.tokens import Tokens
from tests import ray_nodes
from tests.bench._paired import BIN, Command, Took, processor
from tests.pipelines.small_project import params

MEGABYTES = int(os.environ.get("GLASSHOUSE_BENCH_MB", 200))
ROUNDS = int(os.environ.get("GLASSHOUSE_BENCH_ROUNDS", 1))
WORKERS = 2
STORE = 512 << 20
"""Bytes of memory for shards, of all nodes of a cluster together."""
ONLY = os.environ.get("GLASSHOUSE_BENCH_ENGINES", "")
"""Which engines, by their labels, parted by semicolons; none: all of them."""
LEARNED_FROM = 2
"""Files of text that the tokenizer is learned from."""
PER_FILE = 4 << 20
AGAIN = 0.04
"""The share of texts that are the last one again; half of those with a word more."""
PYTHON = Path(".ray/bin/python")
OURS: Sequence[tuple[str, str, Callable[[Any], None] | None]] = (
    ("one process", "local", None),
    ("two processes", "local", None),
    ("one node of Ray", "ray", None),
    ("two nodes of Ray", "ray", None),
    ("two nodes of Ray, a worker killed", "ray", ray_nodes.kill_a_worker),
    ("two nodes of Ray, a node killed", "ray", ray_nodes.kill_a_node),
)
"""What each is called, its engine, and what is killed."""
STAGES = """
import os, sys
os.chdir(sys.argv[1])
from pipelines import encode, stage
from pipelines.corpus import build
def both():
    build.main()
    encode.main()
stage.run(both)
"""


def main() -> None:
    """Run this benchmark by the Python that has ray."""
    if not PYTHON.is_file():
        raise SystemExit("no environment has ray: make bench, or make .ray/.ready")
    if BIN.resolve() != PYTHON.parent.resolve():
        os.spawnv(os.P_WAIT, PYTHON, [str(PYTHON), "-m", "tests.bench", "engines"])
        return
    with tempfile.TemporaryDirectory(prefix="gb") as name:
        folder = Path(name)
        texts, size = _texts(folder / "texts")
        files = len(list(texts.iterdir()))
        print(f"{size / 1e6:.0f} MB of text in {files} files; {os.cpu_count()} cores of {processor()}")
        first = _project(folder / "first", sorted(texts.iterdir())[:LEARNED_FROM], {"kind": "local"})
        _made(first, "from pipelines import tokenizer; build.main(); tokenizer.main()")
        for number in range(ROUNDS):
            _round(folder / str(number), texts, first, size)


def _round(folder: Path, texts: Path, first: Path, size: int) -> None:
    """Run all engines once, one after the other."""
    folder.mkdir()
    times: dict[str, Took] = {}
    bytes_of: list[object] = []
    wanted: set[int] = set()
    for label, kind, kill in OURS:
        if not _wanted(label):
            continue
        with ExitStack() as stack:
            engine = {"kind": kind}
            if kind == "ray":
                nodes = stack.enter_context(_cluster(2 if label.startswith("two") else 1))
                engine["address"] = nodes.address
            project = _project(folder / label.replace(" ", "-"), texts.iterdir(), engine)
            (project / "build").mkdir()
            (project / "build/tokenizer").symlink_to(first / "build/tokenizer")
            if kill:
                stack.enter_context(_killer(kill, nodes, project / "build/corpus"))
            os.environ["GLASSHOUSE_PROCESSES"] = "1" if label == "one process" else str(WORKERS)
            times[label] = Command([PYTHON.absolute(), "-c", STAGES, project]).took()
        bytes_of.append([Manifest.of_directory(project / f"build/{stage}").entries for stage in ("corpus", "tokens")])
        _tell(label, times[label], size, "same bytes" if bytes_of[-1] == bytes_of[0] else "OTHER BYTES")
        splits = Tokens.read(project / "build/tokens/tokens.json").splits
        wanted.add(splits.train.tokens + splits.validation.tokens)
    peers: dict[str, Took] = {}
    for label in filter(_wanted, ("datatrove", "Ray Data")):
        out = folder / label.replace(" ", "-")
        module = f"tests.bench._peers.{label.lower().replace(' ', '_')}_stage"
        words = (texts, first / "params.yaml", first / "build/tokenizer/tokenizer.json", out, WORKERS)
        with ExitStack() as stack:
            if label == "Ray Data":
                os.environ["RAY_ADDRESS"] = stack.enter_context(_cluster(1)).address
                stack.callback(os.environ.pop, "RAY_ADDRESS")
            peers[label] = Command([PYTHON.absolute(), "-m", module, *words], did=lambda _: True).took()
        found = sum(_tokens(path) for path in sorted(out.glob("*.parquet")))
        _tell(label, peers[label], size, "same tokens" if {found} == wanted else f"OTHER TOKENS: {found}, not {wanted}")
    best = min((took.wall for took in peers.values()), default=float("nan"))
    for label, took in times.items():
        print(f"{label}: {best / took.wall:.2f} of the throughput of the better peer")


def _wanted(label: str) -> bool:
    return not ONLY or label in ONLY.split(";")


def _cluster(nodes: int) -> AbstractContextManager[Any]:
    """A cluster that has WORKERS cores, on so many nodes."""
    return ray_nodes.cluster(nodes, WORKERS // nodes, STORE // nodes)


def _killer(kill: Callable[[Any], None], nodes: Any, out: Path) -> ExitStack:
    """Kills, beside what is measured, once a quarter of the corpus is finished."""

    def wait_and_kill() -> None:
        ray_nodes.wait_for_shards(out, MEGABYTES // 4)
        kill(nodes)

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    stack = ExitStack()
    stack.callback(thread.join)
    return stack


def _texts(folder: Path) -> tuple[Path, int]:
    """Files of JSON lines, and how many bytes of text: paragraphs of the packages at hand, drawn by chance."""
    folder.mkdir()
    drawn, pieces = random.Random(7), list[str]()
    for path in sorted(Path(pq.__file__).parents[1].glob("[a-t]*/**/*.py"))[:4000]:
        pieces += [piece for piece in path.read_text("utf-8", errors="ignore").split("\n\n") if 20 < len(piece) < 4000]
    size = number = 0
    last = ""
    while size < MEGABYTES * 1_000_000:
        written = 0
        with (folder / f"{number:05d}.jsonl").open("w", encoding="utf-8") as stream:
            while written < PER_FILE:
                match drawn.random():
                    case chance if last and chance < AGAIN:
                        text = last if chance < AGAIN / 2 else f"{last} {number}"
                    case _:
                        last = text = "\n\n".join(drawn.choices(pieces, k=drawn.randint(2, 20)))
                stream.write(json.dumps({"text": text}) + "\n")
                written += len(text.encode())
        size, number = size + written, number + 1
    return folder, size


def _project(root: Path, texts: Iterable[Path], engine: dict[str, str]) -> Path:
    """A project that reads these files."""
    root.mkdir()
    (root / "texts").mkdir()
    for path in texts:
        os.link(path, root / "texts" / path.name)
    source = {"kind": "rows", "name": "texts", "include": ["texts/*"], "license": "CC0-1.0", "url": "https://a.example"}
    corpus = {
        "sources": [source], "validation_fraction": 0.01, "quality": {"min_words": 5}, "scrub": ["emails"],
        "near_duplicates": {},
        "filters": {"min_bytes": 10, "max_bytes": 1_000_000, "licenses": ["CC0-1.0", "MIT", "Apache-2.0"]},
    }  # fmt: skip
    tokenizer = {"vocabulary": 8192, "sample_bytes": 4_000_000}
    said = params(corpus=corpus, engine=engine, tokenizer=tokenizer, encode={"shard_tokens": 1 << 21})
    (root / "params.yaml").write_text(json.dumps(said))
    return root


def _made(project: Path, what: str) -> None:
    code = f"import os, sys; os.chdir(sys.argv[1]); from pipelines.corpus import build; {what}"
    Command([sys.executable, "-c", code, project]).took()


def _tokens(path: Path) -> int:
    """How many tokens a peer wrote to the file."""
    return sum(map(len, pq.read_table(path, columns=["tokens"]).column("tokens").to_pylist()))


def _tell(label: str, took: Took, size: int, more: str) -> None:
    rate = f"{took.wall:7.1f} s {size / took.wall / 1e6:6.2f} MB/s"
    print(f"{label:<34}{rate}   largest process {took.peak / 1e6:5.0f} MB   {more}", flush=True)
