"""registry.records.tokens: the law of tokens.json, and files that break it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.records import tokens
from registry.records.tokens import INDEX_ROW, Tokens

CONTENT = {
    "train-00000.bin": b"\1\0\2\0\0\0",
    "train-00001.bin": b"\3\0\0\0",
    "train.index": INDEX_ROW.pack(3, b"a" * 32) + INDEX_ROW.pack(5, b"b" * 32),
    "validation-00000.bin": b"\4\0\0\0",
    "validation.index": INDEX_ROW.pack(2, b"c" * 32),
}
SAID: dict[str, Any] = {
    "schema": "glasshouse.tokens/v1",
    "dataManifest": {"root": "1" * 64, "sha256": "2" * 64},
    "tokenizer": {"sha256": "3" * 64},
    "dtype": "uint16",
    "vocabulary": 10,
    "splits": {
        "train": {"tokens": 5, "documents": 2, "bytes": 9},
        "validation": {"tokens": 2, "documents": 1, "bytes": 4},
    },
    "files": [{"path": path, "sha256": sha256_bytes(data), "size": len(data)} for path, data in CONTENT.items()],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, data in CONTENT.items():
        (tmp_path / path).write_bytes(data)
    return tmp_path


def record(**changed: Any) -> Tokens:
    return Tokens.from_json({**SAID, **changed}, name=tokens.NAME)


def test_what_is_written_is_read_back_and_holds(folder: Path) -> None:
    (folder / tokens.NAME).write_bytes(record().to_bytes())
    read = Tokens.read(folder / tokens.NAME)
    assert read == record()
    assert read.as_json() == SAID
    tokens.verify(read, folder)


def test_the_index_leads_back_to_documents(folder: Path) -> None:
    assert list(tokens.iter_index(folder / "train.index")) == [(3, b"a".hex() * 32), (5, b"b".hex() * 32)]


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "uint8"},
        {"vocabulary": 70_000},
        {"files": SAID["files"][1:]},
        {"files": SAID["files"][::-1]},
        {"files": [*SAID["files"], SAID["files"][0]]},
        {"files": [{**SAID["files"][0], "path": "../train-00000.bin"}, *SAID["files"][1:]]},
        {"files": [{**SAID["files"][0], "size": 8}, *SAID["files"][1:]]},
        {"splits": {**SAID["splits"], "train": {"tokens": 5, "documents": 3, "bytes": 9}}},
        {"schema": "glasshouse.tokens/v2"},
    ],
)
def test_a_record_that_breaks_its_law_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        record(**changed)


@pytest.mark.parametrize("path", sorted(CONTENT))
def test_a_file_that_differs_is_named(folder: Path, path: str) -> None:
    data = bytearray(CONTENT[path])
    data[-1] ^= 1
    (folder / path).write_bytes(data)
    with pytest.raises(DigestMismatch, match=path):
        tokens.verify(record(), folder)
    (folder / path).write_bytes(data + b"\0")
    with pytest.raises(VerificationError, match=path):
        tokens.verify(record(), folder)
    (folder / path).unlink()
    with pytest.raises(InputError, match=path):
        tokens.verify(record(), folder)


def test_only_the_splits_asked_for_are_checked(folder: Path) -> None:
    (folder / "validation.index").unlink()
    tokens.verify(record(), folder, "train")


@pytest.mark.parametrize("ends", [(5, 3), (3, 3), (0, 5), (-1, 5), (3, 6)])
def test_an_index_that_breaks_its_law_is_refused_though_its_digest_fits(folder: Path, ends: tuple[int, int]) -> None:
    data = b"".join(INDEX_ROW.pack(end, b"a" * 32) for end in ends)
    (folder / "train.index").write_bytes(data)
    files = [
        {**file, "sha256": sha256_bytes(data)} if file["path"] == "train.index" else file for file in SAID["files"]
    ]
    with pytest.raises(VerificationError, match="index"):
        tokens.verify(record(files=files), folder)


def test_a_split_that_is_none_is_bad_input() -> None:
    with pytest.raises(InputError, match="there is no split 'test'"):
        record().splits.named("test")


@given(st.binary(max_size=200))
def test_a_hostile_index_raises_our_error_and_no_other(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("index") / "train.index"
    path.write_bytes(data)
    try:
        assert len(list(tokens.iter_index(path))) * INDEX_ROW.size == len(data)
    except VerificationError as error:
        assert error.mend


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.sampled_from(sorted(SAID)), JSON)
def test_a_hostile_record_raises_our_error_and_no_other(key: str, value: object) -> None:
    try:
        assert record(**{key: value}).as_json()[key] == value
    except InputError as error:
        assert error.mend
