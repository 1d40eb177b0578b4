"""pipelines.encode and pipelines.tokens: from documents to token shards, and back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipelines import encode, params, tokenizer
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import build, parquet
from pipelines.tokens import TokenSplit
from registry.digest import sha256_file
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.manifest import Manifest
from registry.records import data_manifest, token_counts, tokens
from tests.pipelines.small_project import write_project

SHARD = 1000
"""Tokens to a shard: small enough that documents and windows cross borders."""
SPECIAL = "A text that says <|endoftext|> and goes on.\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data stages have run."""
    root = write_project(tmp_path_factory.mktemp("encode") / "project")
    (root / "texts/special.txt").write_text(SPECIAL)
    settings = params.load(root / "params.yaml")
    build.write(settings, root, root / CORPUS)
    tokenizer.save(tokenizer.train(settings, root / CORPUS / parquet.NAME), root / tokenizer.OUT)
    encode.write(root / CORPUS, root / tokenizer.OUT / tokenizer.NAME, root / encode.OUT, SHARD)
    return root


@pytest.fixture(scope="module")
def train(project: Path) -> TokenSplit:
    return TokenSplit.open(project / encode.OUT, "train")


def documents(project: Path, split: str) -> list[parquet.Text]:
    return [text for text in parquet.read(project / CORPUS / parquet.NAME) if text.use == split]


@pytest.mark.parametrize("split", tokens.SPLITS)
def test_tokens_decode_to_the_documents_each_with_its_end(project: Path, split: str) -> None:
    bpe = Tokenizer.from_file(str(project / tokenizer.OUT / tokenizer.NAME))
    opened = TokenSplit.open(project / encode.OUT, split)
    start = 0
    for document, end in zip(documents(project, split), opened.ends, strict=True):
        numbers = list(opened.slice(start, int(end) - start))
        assert bpe.decode(numbers[:-1], skip_special_tokens=False) == document.text
        assert numbers[-1] == bpe.token_to_id(tokenizer.END_OF_TEXT)
        assert numbers.count(numbers[-1]) == 1
        start = int(end)
    assert start == opened.count


def test_a_text_that_spells_the_end_is_text(project: Path) -> None:
    assert SPECIAL in {text.text for split in tokens.SPLITS for text in documents(project, split)}


def test_the_record_says_what_was_made_of_what(project: Path) -> None:
    out = project / encode.OUT
    record = tokens.Tokens.read(out / tokens.NAME)
    tokens.verify(record, out)
    summary = data_manifest.read_summary(project / CORPUS / data_manifest.SUMMARY)
    assert record.data_manifest.root == summary.root
    assert record.data_manifest.sha256 == sha256_file(project / CORPUS / data_manifest.SUMMARY)
    assert record.tokenizer.sha256 == sha256_file(project / tokenizer.OUT / tokenizer.NAME)
    assert (record.dtype, record.vocabulary) == ("uint16", 300)
    for split in tokens.SPLITS:
        sizes, counted = record.splits.named(split), getattr(summary.splits, split)
        assert (sizes.documents, sizes.size) == (counted.documents, counted.size)
    assert len(record.shards("train")) > 2
    assert {shard.size for shard in record.shards("train")[:-1]} == {2 * SHARD}
    assert {file.path for file in record.files} | {tokens.NAME, token_counts.NAME} == {
        path.name for path in out.iterdir()
    }


def test_the_index_lists_the_documents_of_the_manifest_in_its_order(project: Path) -> None:
    rows = list(data_manifest.iter_rows(project / CORPUS / data_manifest.ROWS))
    for split in tokens.SPLITS:
        index = [sha256 for _, sha256 in tokens.iter_index(project / encode.OUT / f"{split}.index")]
        assert index == [row.sha256 for row in rows if row.use == split]


@given(st.data())
def test_any_window_is_what_stands_there(train: TokenSplit, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, train.count))
    length = data.draw(st.integers(0, train.count - start))
    window = train.slice(start, length)
    assert window.dtype == np.int64
    assert np.array_equal(window, np.concatenate(train.shards)[start : start + length])


@given(st.data())
def test_any_token_leads_back_to_its_document(train: TokenSplit, project: Path, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, train.count - 1))
    ends = [int(end) for end in train.ends]
    number = next(number for number, end in enumerate(ends) if position < end)
    assert train.document_at(position) == documents(project, "train")[number].sha256


def test_tokens_outside_the_split_are_bad_input(train: TokenSplit) -> None:
    for start, length in ((-1, 1), (0, -1), (train.count, 1), (0, train.count + 1)):
        with pytest.raises(InputError):
            train.slice(start, length)
    for position in (-1, train.count):
        with pytest.raises(InputError):
            train.document_at(position)


def encoded(project: Path, out: Path, shard_tokens: int = SHARD) -> Path:
    encode.write(project / CORPUS, project / tokenizer.OUT / tokenizer.NAME, out, shard_tokens)
    return out


def test_shard_size_moves_borders_only(project: Path, tmp_path: Path, train: TokenSplit) -> None:
    one = TokenSplit.open(encoded(project, tmp_path / "one", 10**6), "train")
    assert len(one.shards) == 1
    assert np.array_equal(one.slice(0, one.count), train.slice(0, train.count))


@pytest.mark.parametrize("name", ["train-00001.bin", "train.index"])
def test_a_file_changed_since_is_not_opened(project: Path, tmp_path: Path, name: str) -> None:
    out = encoded(project, tmp_path / "out")
    data = bytearray((out / name).read_bytes())
    data[7] ^= 1
    (out / name).write_bytes(data)
    with pytest.raises(DigestMismatch, match=name):
        TokenSplit.open(out, "train")
    TokenSplit.open(out, "validation")
    (out / name).unlink()
    with pytest.raises(InputError, match=name):
        TokenSplit.open(out, "train")


@pytest.mark.parametrize("what", ["another text", "one less", "one more", "another split"])
def test_documents_that_are_not_the_manifest_s_are_refused(project: Path, tmp_path: Path, what: str) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in (data_manifest.ROWS, data_manifest.SUMMARY):
        (corpus / name).write_bytes((project / CORPUS / name).read_bytes())
    rows = [row for row in data_manifest.iter_rows(corpus / data_manifest.ROWS) if row.reason is None]
    texts = [text.text.encode() for text in parquet.read(project / CORPUS / parquet.NAME)]
    match what:
        case "another text":
            texts[3] += b"!"
        case "one less":
            rows.pop()
        case "one more":
            rows, texts = [*rows, rows[0]], [*texts, texts[0]]
        case "another split":
            rows[3] = rows[3].model_copy(update={"use": "validation" if rows[3].use == "train" else "train"})
    with parquet.Writer(corpus / parquet.NAME) as writer:
        for row, text in zip(rows, texts, strict=False):
            writer.add(row, text)
    with pytest.raises(VerificationError, match="data manifest"):
        encode.write(corpus, project / tokenizer.OUT / tokenizer.NAME, tmp_path / "out", SHARD)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}'])
def test_a_tokenizer_that_is_none_is_bad_input(project: Path, tmp_path: Path, content: bytes | None) -> None:
    shutil.copy(project / tokenizer.OUT / "tokenizer_config.json", tmp_path)
    if content is not None:
        (tmp_path / tokenizer.NAME).write_bytes(content)
    with pytest.raises(InputError, match=tokenizer.NAME):
        encode.write(project / CORPUS, tmp_path / tokenizer.NAME, tmp_path / "out", SHARD)


def test_stages_run_anywhere_give_the_same_bytes(tmp_path: Path) -> None:
    """Two places, two hash seeds, one thread and three: every file of every stage is the same."""
    made = []
    for number, threads in enumerate(("1", "3")):
        root = write_project(tmp_path / ("deeper/" * number) / "project")
        environment = {
            **os.environ, "PYTHONHASHSEED": str(number), "RAYON_NUM_THREADS": threads, "PYTHONPATH": str(Path.cwd()),
        }  # fmt: skip
        for stage in ("corpus", "tokenizer", "encode"):
            command = [sys.executable, "-m", f"pipelines.{stage}"]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
            assert done.stdout
            assert not done.stderr
        made.append(Manifest.of_directory(root / "build"))
    assert made[0] == made[1]
    assert len(made[0].entries) > 8


def test_a_stage_that_fails_says_why_and_with_which_code(tmp_path: Path) -> None:
    for stage in ("corpus", "tokenizer", "encode"):
        command = [sys.executable, "-m", f"pipelines.{stage}"]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 2
        assert "mend: " in done.stderr
        assert "Traceback" not in done.stderr
