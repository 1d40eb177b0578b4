"""pipelines.search and glasshouse data search: planted passages are found, absent ones are not, nothing is believed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import encode, params, search, tokenizer
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import build, parquet
from pipelines.search import write_part
from registry.attest.localkey import KeySigner
from registry.attest.verifier import Trust
from registry.catalog import entry, searching, shelves, training_data
from registry.catalog.entry import Whom
from registry.catalog.searching import PassageIndex, Presence
from registry.catalog.training_data import TrainingData
from registry.cli import main
from registry.digest import sha256_file
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.manifest import Manifest
from registry.records import layout, search_index
from registry.records.search_index import SearchIndex
from tests import synthetic_release
from tests.pipelines.small_project import write_project
from tests.registry.attest.conftest import write_key
from tests.registry.catalog.conftest import signed

__all__ = ["signed"]
COUNT = 200


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data stages have run, with a passage planted in each of its documents."""
    root = write_project(tmp_path_factory.mktemp("search") / "project", documents=300)
    for number, path in enumerate(sorted((root / "texts").iterdir())):
        text = path.read_text()
        cut = random.Random(number).randrange(len(text))
        path.write_text(f"{text[:cut]}{planted(number)}{text[cut:]}", encoding="utf-8")
    settings = params.load(root / "params.yaml")
    build.write(settings, root, root / CORPUS)
    tokenizer.save(tokenizer.train(settings, root / CORPUS / parquet.NAME), root / tokenizer.OUT)
    encode.write(root / CORPUS, root / tokenizer.OUT / tokenizer.NAME, root / encode.OUT, 1 << 20)
    search.write(root / CORPUS, root / encode.OUT, root / search.OUT, 20_000)
    return root


def planted(number: int) -> str:
    return f"planté {number * 7919} \N{SNOWMAN} at {number}"


def test_each_planted_passage_is_found_in_its_document_and_no_absent_one(project: Path) -> None:
    index = SearchIndex.read(project / search.OUT / search_index.NAME)
    assert index.parts > 3
    texts = {text.sha256: text.text for text in parquet.read(project / CORPUS / parquet.NAME) if text.use == "train"}
    there = [planted(n) for n in range(300) if any(f"{planted(n)}" in text for text in texts.values())][:COUNT]
    absent = [f"planté {n * 7919} \N{SNOWMAN} at {n + 1000}" for n in range(COUNT)]
    assert len(there) == COUNT
    found = search_index.find(index, project / search.OUT, [*there, *absent], 10_000)
    for passage, each in zip(there, found[:COUNT], strict=True):
        where = {(sha, place) for sha, text in texts.items() for place in places(text.encode(), passage.encode())}
        assert {(one.sha256, one.offset) for one in each.some} == where and each.count == len(where) >= 1
    assert [each.count for each in found[COUNT:]] == [0] * COUNT


def places(text: bytes, passage: bytes) -> list[int]:
    return [place for place in range(len(text)) if text.startswith(passage, place)]


def test_the_same_texts_give_the_same_bytes(project: Path, tmp_path: Path) -> None:
    search.write(project / CORPUS, project / encode.OUT, tmp_path / "again", 20_000)
    assert Manifest.of_directory(tmp_path / "again") == Manifest.of_directory(project / search.OUT)


def made(folder: Path, texts: list[str], part: int = 40, tokens: str = "0" * 64) -> SearchIndex:
    """An index of these texts."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = enumerate(search.parts_of([text.encode() for text in texts], part))
    files = sorted((file for number, each in parts for file in write_part(folder, number, each)), key=lambda f: f.path)
    index = SearchIndex(tokens=tokens, documents=len(texts), files=tuple(files))
    (folder / search_index.NAME).write_bytes(index.to_bytes())
    return index


WORDS = st.text(alphabet="ab\0é", max_size=8)


@given(st.lists(st.text(alphabet="ab\0é", max_size=30), min_size=1, max_size=6), WORDS.filter(bool))
def test_every_occurrence_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], passage: str
) -> None:
    folder = tmp_path_factory.mktemp("index")
    (found,) = search_index.find(made(folder, texts), folder, [passage], 1000)
    data = [text.encode() for text in texts]
    assert found.count == len(found.some) == sum(len(places(text, passage.encode())) for text in data)


@given(st.binary(min_size=4, max_size=64), st.integers(0, 60))
def test_a_hostile_index_raises_our_error_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("index")
    index = made(folder, ["some text", "and more of it"])
    for name in ("suffixes-00000.bin", "text-00000.bin", "documents-00000.index"):
        data = bytearray((folder / name).read_bytes())
        data[place : place + len(junk)] = junk[: max(0, len(data) - place)]
        (folder / name).write_bytes(data)
        try:
            (found,) = search_index.find(index, folder, ["text"], 10)
            assert found.count >= 0
        except (InputError, VerificationError) as error:
            assert error.mend


@pytest.mark.parametrize("passage", ["", "\udcff", "x" * ((1 << 20) + 1)])
def test_what_is_no_passage_is_bad_input(tmp_path: Path, passage: str) -> None:
    index = made(tmp_path, ["some text"])
    with pytest.raises(InputError, match="passage"):
        search_index.find(index, tmp_path, [passage], 10)


TRAINED = [f"text {n}" for n in range(synthetic_release.DOCUMENTS) if n % 4]


@pytest.fixture
def asked(signed: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[TrainingData, PassageIndex]]:
    """Reads an index of `texts` beside a release that signs it, or does not."""

    def read(
        texts: list[str], *, signs: bool, quick: bool = False, spoil: str = ""
    ) -> tuple[TrainingData, PassageIndex]:
        plain = signed("plain")
        made(tmp_path / "index", texts, tokens=sha256_file(plain / layout.TOKENS))
        extra = {layout.SEARCH: (tmp_path / "index" / search_index.NAME).read_bytes()} if signs else {}
        folder = signed("model", extra=extra)
        if spoil:
            there = tmp_path / "index" / spoil
            there.write_bytes(there.read_bytes()[::-1])
        release = entry.read(shelves.find(str(folder), endpoint=None), Whom(Trust()))
        with training_data.read(release) as data:
            return data, searching.read(data, tmp_path / "index", quick=quick)

    return read


def presence(found: tuple[TrainingData, PassageIndex], passage: str) -> Presence:
    (told,) = searching.search(*found, [passage], 5)
    assert all(passage in f"text {int(row.path[6:9])}" for row, _ in told.places)
    return told.presence


@pytest.mark.parametrize(
    ("signs", "quick", "absent"),
    [(True, False, Presence.ABSENT), (True, True, Presence.UNKNOWN), (False, False, Presence.UNKNOWN)],
)
def test_absent_is_said_by_a_signed_index_alone(
    asked: Callable[..., tuple[TrainingData, PassageIndex]], signs: bool, quick: bool, absent: Presence
) -> None:
    found = asked(TRAINED, signs=signs, quick=quick)
    assert presence(found, "text 13") is Presence.FOUND
    assert presence(found, "text 12") is absent  # it is of the validation split


@pytest.mark.parametrize(
    ("more", "code", "last"),
    [
        (["--key", "public.pem"], 0, "ABSENT"), (["--key", "public.pem", "--quick"], 3, "UNKNOWN"),
        (["--key", "stranger.pem"], 1, "ABSENT"), ([], 3, "ABSENT"),
    ],
)  # fmt: skip
def test_the_command_answers_a_person_and_a_program(
    asked: Callable[..., tuple[TrainingData, PassageIndex]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], more: list[str], code: int, last: str,
) -> None:  # fmt: skip
    """From the index that a stage wrote, beside the release that signs it, to the exit code."""
    asked(TRAINED, signs=True)
    write_key(tmp_path / "other.pem")
    for name, key in (("public", "model"), ("stranger", "other")):
        (tmp_path / f"{name}.pem").write_text(KeySigner(tmp_path / f"{key}.pem").public_key.pem)
    monkeypatch.chdir(tmp_path)

    def run(*further: str) -> str:
        words = ["data", "search", "model", "text 13", "text 12", "--index", "index", *more, *further]
        monkeypatch.setattr("sys.argv", ["glasshouse", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert int(ended.value.code or 0) == code
        return capsys.readouterr().out

    lines = run().splitlines()
    assert lines[0] == "FOUND, 1 times: text 13" and lines[1].startswith("  files:texts/texts/013.txt (sha256:")
    assert lines[2:] == [f"{last}, 0 times: text 12"]
    told = json.loads(run("--json"))
    assert [each["presence"] for each in told["passages"]] == ["FOUND", last]
    assert told["passages"][0]["documents"][0]["path"] == "texts/013.txt"


def test_an_index_of_other_documents_is_seen(asked: Callable[..., tuple[TrainingData, PassageIndex]]) -> None:
    data, index = asked([*TRAINED[1:], "text 400"], signs=False)
    with pytest.raises(VerificationError, match="not among those"):
        searching.search(data, index, ["text 400"], 5)


@pytest.mark.parametrize("spoil", ["suffixes-00001.bin", "text-00001.bin", "documents-00001.index"])
def test_a_signed_index_whose_files_are_others_is_seen(
    asked: Callable[..., tuple[TrainingData, PassageIndex]], spoil: str
) -> None:
    with pytest.raises(DigestMismatch, match=spoil):
        asked(TRAINED, signs=True, spoil=spoil)


def test_the_stage_says_what_it_made(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        search.main()
    assert "documents in 1 parts" in capsys.readouterr().out
    assert json.loads((project / search.OUT / search_index.NAME).read_bytes())["schema"] == "glasshouse.search/v1"
