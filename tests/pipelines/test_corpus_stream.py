"""A corpus that is streamed from a Hub goes on from where it was killed, and comes out the same, in little memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from hypothesis import given
from hypothesis import strategies as st

from pipelines.corpus import streaming
from pipelines.corpus.documents import Document
from pipelines.corpus.streaming import KeptStream, Position
from tests.hub_instance import HubInstance
from tests.pipelines.small_project import WORDS, params

FILES, EACH = 6, 50
# VmHWM is of this program alone; ru_maxrss begins with what its parent had.
BUILD = """
import os, re, signal, sys
from pathlib import Path
from pipelines import params
from pipelines.corpus import build, streaming
from pipelines.corpus.hub import HubReader
streaming.DOCUMENTS, dies = 20, int(sys.argv[2])
every = HubReader.documents
def documents(self, max_bytes):
    for number, document in enumerate(every(self, max_bytes)):
        if number == dies:
            os.kill(os.getpid(), signal.SIGKILL)
        yield document
HubReader.documents = documents
build.write(params.load(), Path(), Path(sys.argv[1]))
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
NEVER = -1


@dataclass(frozen=True)
class Streamed:
    """A project whose corpus is a data set on a Hub."""

    root: Path
    hub: HubInstance
    variables: dict[str, str]

    def build(self, out: str, dies: int = NEVER, code: int = 0) -> str:
        """Build the corpus in `out`, by a process that kills itself at document `dies`; what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", BUILD, out, str(dies)], cwd=self.root, env=self.variables, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def asked(self) -> list[str]:
        """The files of data that were asked for until now, in order."""
        lines = map(json.loads, (self.root / "access.log").read_text().splitlines())
        return [each["path"].rpartition("/")[2] for each in lines if each["path"].endswith(".jsonl")]


def streamed(root: Path, texts: dict[str, list[str]]) -> Iterator[Streamed]:
    root.mkdir()
    with (
        HubInstance.start(root / "hub", options=("--access-log", str(root / "access.log"))) as hub,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        (data := root / "data").mkdir()
        for name, rows in texts.items():
            (data / name).write_text("".join(f"{json.dumps({'text': text})}\n" for text in rows))
        api = HfApi(endpoint=hub.url, token=hub.token)
        api.create_repo("glasshouse/texts", repo_type="dataset")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the library's, of its own calls
            commit = api.upload_folder(repo_id="glasshouse/texts", repo_type="dataset", folder_path=data).oid
        source = {"kind": "huggingface", "dataset": "glasshouse/texts", "commit": commit, "license": "MIT"}
        said = params()
        said["corpus"]["sources"] = [source]
        (root / "params.yaml").write_text(json.dumps(said))
        variables = {
            **os.environ, **hub.environment(root / "huggingface"), "HF_HUB_OFFLINE": "0", "no_proxy": "127.0.0.1",
        }  # fmt: skip
        yield Streamed(root, hub, variables)


def text(number: int) -> str:
    return f"Text {number}: " + " ".join(WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(60))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamed]:
    texts = {f"train-{n}.jsonl": [text(n * EACH + m) for m in range(EACH)] for n in range(FILES)}
    yield from streamed(tmp_path_factory.mktemp("stream") / "project", texts)


@pytest.mark.slow
def test_a_killed_corpus_goes_on_and_comes_out_the_same(small: Streamed) -> None:
    """Killed in the third of six files, and then in the fifth. What was read before the one before is not asked for."""
    small.build("whole")
    kept = small.root / ".corpus.stream"
    small.build("corpus", dies=130, code=-signal.SIGKILL)
    assert not (small.root / "corpus").exists() and len([*kept.glob("*/*")]) == 130 // 20
    small.build("corpus", dies=230, code=-signal.SIGKILL)
    before = len(small.asked())
    small.build("corpus")
    assert set(small.asked()[before:]) == {f"train-{number}.jsonl" for number in (0, 3, 4, 5)}
    assert not kept.exists()
    names = sorted(path.name for path in (small.root / "whole").iterdir())
    assert names == sorted(path.name for path in (small.root / "corpus").iterdir())
    assert {"data-manifest.json", "data-manifest.jsonl", "documents.parquet"} <= set(names)
    for name in names:
        assert (small.root / "whole" / name).read_bytes() == (small.root / "corpus" / name).read_bytes()


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Three times the text takes no more memory than a part, and what stays of each document."""
    peaks = []
    for number, files in enumerate((5, 15)):
        long = {f"train-{n:02d}.jsonl": [text(n * 1000 + m) * 20 for m in range(1000)] for n in range(files)}
        for project in streamed(tmp_path / f"project-{number}", long):
            peaks.append(int(project.build("corpus").split()[-1]) << 10)
    tell(f"bytes of memory at most, of 35 and of 105 MB of text: {peaks}")
    assert peaks[1] - peaks[0] < 40 << 20, peaks  # of 70 MB more


@given(st.lists(st.text(max_size=30), max_size=40), st.integers(0, 40), st.booleans())
def test_wherever_it_is_killed_the_documents_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], dies: int, damaged: bool
) -> None:
    every = [Document.of_text(f"train/{number:012d}", "MIT", each) for number, each in enumerate(texts)]
    stream, begun = KeptStream(tmp_path_factory.mktemp("kept"), "these"), list[int]()

    def begin(position: Position) -> tuple[Iterator[Document], object]:
        begun.append(position.rows)
        assert position.state == (position.rows or None)  # what stands for the library's state
        given = iter(range(position.rows, len(every)))
        last = [position.rows]

        def documents() -> Iterator[Document]:
            for number in given:
                last[0] = number + 1
                yield every[number]

        return documents(), lambda: last[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "DOCUMENTS", 7)
        first = stream.documents("train", begin)  # type: ignore[arg-type]
        for _ in range(min(dies, len(every))):
            next(first)
        del first  # as a process that ends leaves it
        if damaged and stream._kept is not None:
            for path in stream._kept._folder.glob("*/*"):
                path.write_bytes(b"?" + path.read_bytes()[1:])
        assert list(stream.documents("train", begin)) == every  # type: ignore[arg-type]
        again = len(begun)
        assert list(stream.documents("train", begin)) == every and len(begun) == again  # type: ignore[arg-type]
        assert list(KeptStream(None, "these").documents("train", begin)) == every  # type: ignore[arg-type]
