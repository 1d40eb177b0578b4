"""pipelines.engine: shards worked on here, by several processes, or kept from before a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import params
from pipelines.corpus import build, shards
from pipelines.corpus.documents import Document
from pipelines.corpus.rules import RuledDocument, Rules
from pipelines.engine import rows
from pipelines.engine.choice import started
from pipelines.engine.cluster import PIECE, PIECES, cut
from pipelines.engine.kept import KeptAnswers
from pipelines.engine.local import Alone, Processes
from pipelines.engine.work import TASKS, Answer, answers
from pipelines.params import EngineSettings
from registry import variables
from registry.errors import DigestMismatch, InputError, Malformed, Unavailable
from registry.manifest import Manifest
from registry.records import data_manifest
from tests.pipelines.small_project import params as small_params
from tests.pipelines.small_project import write_project

LOCAL = EngineSettings()


@dataclass(frozen=True)
class Reversed:
    """Turns a shard round; some shards do something else."""

    digest: str = "0" * 64

    def __call__(self, shard: bytes) -> bytes:
        match shard:
            case b"refuse":
                raise DigestMismatch("a.txt", signed="1", found="2")
            case b"die":
                os.kill(os.getpid(), signal.SIGKILL)
        return shard[::-1]


SHARDS = [f"shard {number}".encode() for number in range(20)]
TURNED = [shard[::-1] for shard in SHARDS]


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, PIECE * PIECES, PIECE * PIECES + 1, 2 * PIECE * PIECES])
def test_a_shard_is_cut_into_as_many_pieces_whatever_its_size(size: int) -> None:
    data = os.urandom(size)
    pieces = cut(data)
    assert len(pieces) == PIECES and b"".join(pieces) == data
    assert size > PIECE * PIECES or max(map(len, pieces)) <= PIECE < 100 << 10


@pytest.mark.parametrize("count", ["1", "3"])
def test_answers_come_in_the_order_of_the_shards(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_PROCESSES", count)
    with started(LOCAL, Reversed()) as engine:
        assert isinstance(engine, Alone if count == "1" else Processes)
        assert list(answers(engine, SHARDS)) == TURNED
        with pytest.raises(DigestMismatch, match="signed as sha256:1") as refused:
            list(answers(engine, [*SHARDS, b"refuse"]))
        assert "fetch the release again" in refused.value.mend


def test_a_process_that_is_killed_is_told_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    with Processes.started(Reversed(), 2) as engine, pytest.raises(Unavailable, match="killed"):  # noqa: SIM117
        with KeptAnswers.beside(tmp_path / "out", "about") as kept:
            list(answers(engine, [*SHARDS, b"die", *SHARDS], kept))
    counting = Counting()
    with KeptAnswers.beside(tmp_path / "out", "about") as kept:
        assert list(answers(counting, SHARDS, kept)) == TURNED
    assert len(counting.begun) <= len(SHARDS) / 2
    assert not list(tmp_path.iterdir())


def test_an_audit_reads_no_answer_that_a_source_brings_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptAnswers(tmp_path, "about")
    kept.write(kept.place(SHARDS[0]), b"forged")
    assert list(answers(Counting(), SHARDS[:1], kept)) == [b"forged"]
    monkeypatch.setenv(variables.REHASH, "1")
    assert list(answers(Counting(), SHARDS[:1], kept)) == TURNED[:1]


class Counting:
    """An engine that remembers what it was given, and how many answers it owed at once."""

    width = 2

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.given = self.owed = 0

    def begin(self, shard: bytes) -> Answer:
        self.begun.append(shard)
        self.owed = max(self.owed, len(self.begun) - self.given)

        def answer() -> bytes:
            self.given += 1
            return shard[::-1]

        return answer


def test_no_more_shards_are_under_way_than_the_engine_is_wide() -> None:
    engine = Counting()
    taken = iter(answers(engine, iter(SHARDS * 10)))
    assert next(taken) == TURNED[0]
    assert len(engine.begun) == TASKS * engine.width + 1
    assert list(taken) == (TURNED * 10)[1:]
    assert engine.owed == TASKS * engine.width + 1


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("harm", [flip, lambda data: data[:-1], lambda data: b"", lambda data: data[:31]])
def test_an_answer_that_is_not_as_it_was_kept_is_made_again(harm: Any, tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path / "kept", "about")
    list(answers(Counting(), SHARDS, kept))
    place = kept.place(SHARDS[3])
    place.write_bytes(harm(place.read_bytes()))
    kept.place(SHARDS[5]).unlink()
    counting = Counting()
    assert list(answers(counting, SHARDS, kept)) == TURNED
    assert counting.begun == [SHARDS[3], SHARDS[5]]
    other = Counting()
    list(answers(other, SHARDS, KeptAnswers(tmp_path / "kept", "other work")))
    assert other.begun == SHARDS


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
DOCUMENTS = st.lists(
    st.builds(
        Document,
        path=NAMES,
        license=NAMES,
        size=st.integers(0, 1 << 40),
        sha256=NAMES,
        data=st.none() | st.binary(max_size=50),
        origin=st.none() | NAMES,
    ),
    max_size=5,
)


@given(documents=DOCUMENTS)
def test_documents_come_out_of_a_shard_as_they_went_in(documents: list[Document]) -> None:
    shard = shards.packed(documents)
    assert shards.unpacked(shard) == documents
    assert shards.packed(documents) == shard
    looked = [RuledDocument(document, "MIT", "none", "size") for document in documents]
    assert [found.document.data for found in shards.answered(shards.answer(looked))] == [None] * len(documents)


@given(data=st.binary(max_size=200), cut=st.integers(0, 400), bit=st.integers(0, 10_000))
def test_other_bytes_are_no_shard(data: bytes, cut: int, bit: int) -> None:
    whole = bytearray(shards.packed([Document("a", "MIT", 1, "0" * 64, b"a")]))
    turned = bytearray(whole)
    turned[bit % len(turned)] ^= 1 << bit % 8
    for other in (data, bytes(whole[:cut]), bytes(turned)):
        try:
            columns = rows.read(other, shards.DOCUMENT)
        except Malformed:
            continue
        assert [column.type for column in columns] == [field.type for field in shards.DOCUMENT]


def test_a_table_of_other_columns_and_text_that_is_not_unicode_are_refused() -> None:
    other = pa.schema([("a", pa.int64())])
    with pytest.raises(Malformed, match="its columns are a"):
        rows.read(rows.written([(1,)], other), shards.DOCUMENT)
    with pytest.raises(InputError, match="not Unicode"):
        shards.packed([Document("a", "MIT", 1, "0" * 64, b"a", origin="\ud800")])


RULES = {"quality": {"min_words": 3}, "scrub": ["emails"], "near_duplicates": {"words": 2}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose rules are shared out in shards of a few documents."""
    monkeypatch.setattr(shards, "DOCUMENTS", 3)
    monkeypatch.setenv("GLASSHOUSE_PROCESSES", "1")
    yield write_project(tmp_path / "project", corpus={**small_params()["corpus"], **RULES})


def write(root: Path, out: str) -> Manifest:
    build.write(params.load(root / "params.yaml"), root, root / out)
    return Manifest.of_directory(root / out)


def test_a_build_that_was_stopped_goes_on_and_ends_in_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = write(project, "one")
    look, looked = Rules.look, list[str]()

    def stopping(rules: Rules, document: Document) -> RuledDocument:
        looked.append(document.path)
        if len(looked) == 20:
            raise KeyboardInterrupt
        return look(rules, document)

    monkeypatch.setattr(Rules, "look", stopping)
    with pytest.raises(KeyboardInterrupt):
        write(project, "two")
    assert (project / ".two.shards").is_dir() and not (project / "two").exists()
    assert write(project, "two").entries == undisturbed.entries
    assert not (project / ".two.shards").exists()
    assert looked[20:] == [f"texts/{number:03d}.txt" for number in range(18, 40)]


def test_a_document_that_changed_after_a_stop_is_looked_at_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(_: Path, rows: Iterator[object], *__: object) -> None:
        list(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(data_manifest, "write", stopping)
        write(project, "two")
    assert (project / ".two.shards").is_dir()
    (project / "texts/000.txt").write_text("Another text, which nobody has seen before.\n")
    assert write(project, "two").entries == write(project, "three").entries


def test_an_engine_is_chosen_in_params_and_changes_no_byte(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = write(project, "one")
    settings = params.load(project / "params.yaml")
    on_ray = settings.model_copy(update={"engine": EngineSettings(kind="ray", address="nowhere.example:6379")})
    monkeypatch.setenv("GLASSHOUSE_ENGINE", "local")
    build.write(on_ray, project, project / "two")
    assert Manifest.of_directory(project / "two").entries == undisturbed.entries
    monkeypatch.setenv("GLASSHOUSE_ENGINE", "cloud")
    with pytest.raises(InputError, match="GLASSHOUSE_ENGINE"):
        build.write(on_ray, project, project / "three")


@pytest.mark.parametrize(
    "given",
    [{"kind": "local", "address": "a:1"}, {"address": "a:1"}, {"kind": "ray", "address": "ray://a"}, {"kind": "dask"}],
)
def test_an_engine_that_there_is_not_is_bad_input(given: dict[str, str], tmp_path: Path) -> None:
    root = write_project(tmp_path / "project", engine=given)
    with pytest.raises(InputError, match="engine"):
        params.load(root / "params.yaml")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unavailable, match="the extra 'ray'") as absent, started(EngineSettings(kind="ray"), Reversed()):
        pass
    assert absent.value.mend == "pip install 'glasshouse[ray]'"


def test_a_process_that_works_on_shards_loads_no_pandas_and_can_all_the_same() -> None:
    code = (
        "import sys, pyarrow as pa; from pipelines.engine import rows; rows.without_pandas();"
        "data = rows.written([(1, 'a')], pa.schema([('n', pa.int64()), ('t', pa.string())]));"
        "print('pandas' in sys.modules, len(pa.array([1, None, 2])));"
        "frame = pa.table({'n': [1, 2]}).to_pandas();"
        "print(type(frame).__name__, len(pa.array(frame['n'])), pa.Table.from_pandas(frame).num_rows)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "3", "DataFrame", "2", "2"]
