"""A training on two nodes: network namespaces with addresses of their own, joined by a cable. `make nodes`.

The nodes share the folder of the training, as two machines would over NFS; nothing else.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry.manifest import Manifest, compare
from tests.conftest import ROOT
from tests.pipelines import small_project

pytestmark = pytest.mark.nodes

STEPS = 240
REFUSED = 2
LAUNCH = {"processes": 1, "least_nodes": 1, "most_nodes": 2, "restarts": 3, "patience": 10}
QUICK = "join_timeout=120,last_call_timeout=3,keep_alive_interval=1,keep_alive_max_attempt=3"
"""torchrun waits half a minute for a node that may still come; here, less."""


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


@dataclass
class Node:
    """A network namespace, and what runs in it."""

    name: str
    address: str
    root: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def train(self, meeting: str) -> subprocess.Popen[str]:
        variables = {**environment(), "GLASSHOUSE_MEETING": meeting, "PET_RDZV_CONF": QUICK}
        command = ["ip", "netns", "exec", self.name, sys.executable, "-m", "pipelines.train"]
        started = subprocess.Popen(command, cwd=self.root, env=variables, stderr=subprocess.PIPE, text=True)
        self.processes.append(started)
        return started

    def die(self, *, silently: bool) -> None:
        """Kill all that runs here, with -9. Silently: the cable is cut before, and the others hear of nothing."""
        if silently:
            ip("-n", self.name, "link", "set", "eth0", "down")
        for pid in ip("netns", "pids", self.name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def plug_in(self) -> None:
        ip("-n", self.name, "link", "set", "eth0", "up")


def environment() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GLASSHOUSE_", "PET_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "GLASSHOUSE_TRACKING": "off"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with its tokens, and what one process trained."""
    root = tmp_path_factory.mktemp("nodes") / "project"
    train = {**small_project.TRAIN, "steps": STEPS, "checkpoint_every": 10, "validate_every": 50}
    small_project.write_project(root, train=train)
    shutil.copyfile(ROOT / "requirements.lock", root / "requirements.lock")
    for stage in ("corpus", "tokenizer", "encode", "train"):
        variables = {**environment(), "GLASSHOUSE_PROCESSES": "1"}
        subprocess.run([sys.executable, "-m", f"pipelines.{stage}"], cwd=root, env=variables, check=True)
    (root / "params.yaml").write_text(
        json.dumps(small_project.params(train={**train, "launch": LAUNCH})), encoding="utf-8"
    )
    shutil.move(root / "build/train", root / "alone")
    return root


@pytest.fixture
def nodes(project: Path, tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes with a folder of the project that they share."""
    if shutil.which("ip") is None or os.geteuid():
        pytest.skip("two nodes need the command ip (Debian: iproute2), and root to make network namespaces")
    root = tmp_path / "shared"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("alone"))
    made = [Node(f"glasshouse-{os.getpid()}-{side}", f"10.203.77.{side}", root) for side in (1, 2)]
    try:
        for node in made:
            ip("netns", "add", node.name)
    except subprocess.CalledProcessError as problem:
        pytest.skip(f"this machine makes no network namespaces: {problem.stderr}")
    try:
        ends = [word for node in made for word in ("netns", node.name)]
        ip("link", "add", "eth0", *ends[:2], "type", "veth", "peer", "name", "eth0", *ends[2:])
        for node in made:
            ip("-n", node.name, "address", "add", f"{node.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", node.name, "link", "set", device, "up")
        yield made
    finally:
        for node in made:
            node.die(silently=False)
            for process in node.processes:
                with process:
                    process.kill()
            ip("netns", "delete", node.name)


def lines(root: Path) -> int:
    path = root / "build/train/metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def wait_for(root: Path, steps: int, *processes: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while lines(root) < steps:
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{lines(root)} steps"
        time.sleep(0.02)


def same_as_alone(project: Path, root: Path) -> None:
    assert not compare(Manifest.of_directory(project / "alone"), Manifest.of_directory(root / "build/train"))


@pytest.mark.parametrize("silently", [False, True])
def test_a_node_that_is_killed_is_done_without(project: Path, nodes: list[Node], silently: bool) -> None:
    """The other one begins anew at the last whole checkpoint, alone, and ends in the bytes of one process."""
    first, second = nodes
    meeting = f"{first.address}:29400"
    keeper, other = first.train(meeting), second.train(meeting)
    wait_for(first.root, 30, keeper, other)
    second.die(silently=silently)
    before = lines(first.root)
    said = keeper.communicate(timeout=240)[1]
    assert keeper.returncode == 0, said
    assert 30 <= before < STEPS, "it was killed while it trained"
    same_as_alone(project, first.root)


def test_when_the_node_where_they_meet_is_killed_a_new_start_goes_on(project: Path, nodes: list[Node]) -> None:
    first, second = nodes
    keeper, other = first.train(f"{first.address}:29400"), second.train(f"{first.address}:29400")
    wait_for(first.root, 30, keeper, other)
    first.die(silently=False)
    said = other.communicate(timeout=240)[1]
    assert other.returncode == 3, f"what cannot go on is no result: {said}"
    assert "Traceback" not in said.rsplit("mend:", 1)[0][-500:]
    stood = json.loads((first.root / "build/train/checkpoints.json").read_bytes())["entries"]
    assert len(stood) > 2
    again = second.train(f"{second.address}:29401"), first.train(f"{second.address}:29401")
    for process in again:
        said = process.communicate(timeout=240)[1]
        assert process.returncode == 0, said
    same_as_alone(project, first.root)


def test_nodes_that_share_no_folder_are_told(project: Path, nodes: list[Node], tmp_path: Path) -> None:
    first, second = nodes
    shutil.copytree(first.root, tmp_path / "own")
    second.root = tmp_path / "own"
    both = [node.train(f"{first.address}:29400") for node in nodes]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert {process.returncode for process in both} == {REFUSED}, said
    assert all("share one build/train" in words for words in said), said


def test_a_node_of_another_recipe_is_refused_and_clears_nothing(
    project: Path, nodes: list[Node], tmp_path: Path
) -> None:
    first, second = nodes
    shutil.copytree(project / "alone", first.root / "build/train")
    second.root = tmp_path / "other"
    shutil.copytree(project, second.root, ignore=shutil.ignore_patterns("alone"))
    (second.root / "build/train").symlink_to(first.root / "build/train")
    settings = json.loads((second.root / "params.yaml").read_bytes())
    (second.root / "params.yaml").write_text(json.dumps(settings | {"seed": settings["seed"] + 1}))
    both = [node.train(f"{second.address}:29400") for node in nodes]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert {process.returncode for process in both} == {REFUSED}, said
    assert all("by another recipe" in words for words in said), said
    same_as_alone(project, first.root)
