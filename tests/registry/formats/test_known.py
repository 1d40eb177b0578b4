"""registry.formats.known: a file is what it holds, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle  # noqa: TID251 - to make what is refused
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from registry.formats.known import FORMATS, Safety, identify
from tests.registry.formats.test_pickles import Evil

NAMES = (
    "weights.dat",
    "notes.txt",
    "model.safetensors",
    "config.json",
    "tokenizer.model",
    "data",
    "x.png",
    "model.bin",
)
EVIL = pickle.dumps(Evil(), 4)


def _npy(value: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


def _zip(*rows: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in rows:
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(name: str, data: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        row = tarfile.TarInfo(name)
        row.size = len(data)
        archive.addfile(row, io.BytesIO(data))
    return stream.getvalue()


DANGERS = {
    **{f"pickle {protocol}": pickle.dumps(Evil(), protocol) for protocol in range(6)},
    "a harmless pickle": pickle.dumps({"a": 1}, 2),
    "protocol 2 said to be 0": b"\x80\x00" + pickle.dumps(Evil(), 2)[2:],
    "protocol 2 said to be 1": b"\x80\x01" + pickle.dumps(Evil(), 2)[2:],
    "behind a POP": b"N0" + EVIL,
    "joblib gzip": gzip.compress(EVIL),
    "joblib zlib": zlib.compress(EVIL),
    "joblib zlib, fast": zlib.compress(EVIL, 1),
    "joblib xz": lzma.compress(EVIL),
    "joblib lzma": lzma.compress(EVIL, lzma.FORMAT_ALONE),
    "joblib bz2": bz2.compress(EVIL),
    "objects": _npy(np.array([Evil()], dtype=object)),
    "torch.save": _zip(("archive/data.pkl", EVIL)),
    "an empty archive": _zip(),
    "an archive behind a byte": b"x" + _zip(("data.pkl", EVIL)),
    "an archive behind a text": b"# A model\n" * 9 + _zip(("data.pkl", EVIL)),
    "torch.save, legacy, tar": _tar("pickle", EVIL),
    "tar of old": _tar("pickle", EVIL, tarfile.USTAR_FORMAT),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "HDF5 behind a block": b"text\n".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100),
}  # fmt: skip
UNKNOWN = {
    "ELF": b"\x7fELF" + bytes(60),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(60),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(60),
    "gzip of text": gzip.compress(b"text"),
    "random": os.urandom(8) + b"\x00\xff\x01" * 40,
    "UTF-16": "text".encode("utf-16"),
    "a GGUF of two bytes": b"GGUF\x03\x00",
    "a PNG's start, cut": b"\x89PNG",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", DANGERS)
def test_what_runs_code_is_a_danger_under_any_name(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(DANGERS[what])
    assert identify(tmp_path / name).trust is Safety.DANGER


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_of_no_known_format_is_never_known(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(UNKNOWN[what])
    found = identify(tmp_path / name)
    assert found.trust is Safety.UNKNOWN
    assert found.weights == name.endswith((".safetensors", ".bin"))


def _good(folder: Path) -> dict[str, bytes]:
    """One small file of each format, by the library that writes it."""
    import gguf
    from PIL import Image

    writer = gguf.GGUFWriter(folder / "made.gguf", "llama")
    writer.add_chat_template("{{ messages }}")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("w", np.ones((2, 3), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    pictures = {}
    for kind in ("png", "jpeg", "gif", "webp"):
        stream = io.BytesIO()
        Image.new("RGB", (4, 4)).save(stream, kind)
        pictures[f"a.{kind}"] = stream.getvalue()
    table = pa.table({"a": [1, 2]})
    rows, arrow = io.BytesIO(), io.BytesIO()
    pyarrow.parquet.write_table(table, rows)
    with pa.ipc.new_file(arrow, table.schema) as sink:
        sink.write_table(table)
    return {
        **pictures,
        "a.safetensors": save({"a": np.ones(2, dtype=np.float32)}),
        "a.gguf": (folder / "made.gguf").read_bytes(),
        "a.parquet": rows.getvalue(),
        "a.arrow": arrow.getvalue(),
        "a.npy": _npy(np.ones((3, 2), dtype=np.float16)),
        "a.json": b'{"a": 1}',
        "a.jsonl": b'{"a": 1}\n{"a": 2}\n',
        "LICENSE": "Apache License, © 2026\n".encode(),
        "empty": b"",
        "vocab.txt": b"cat\ndog\n",
        "long.txt": "é".encode() * 200_001,
        "long-odd.txt": b"x" + "雪".encode() * 200_001,
    }  # fmt: skip


def test_each_known_format_is_known_by_its_name_and_no_other(tmp_path: Path) -> None:
    good = _good(tmp_path)
    for name, data in good.items():
        (tmp_path / name).write_bytes(data)
        found = identify(tmp_path / name)
        assert found.trust is Safety.KNOWN, (name, found)
        assert found.weights == name.endswith((".safetensors", ".gguf", ".npy"))
    for name in ("a.safetensors", "a.gguf", "a.png", "a.parquet"):
        other = tmp_path / f"{name}.onnx"
        other.write_bytes(good[name])
        assert identify(other).trust is Safety.UNKNOWN


def test_every_format_in_the_table_is_made_in_these_tests(tmp_path: Path) -> None:
    made = set()
    for name, data in _good(tmp_path).items():
        (tmp_path / name).write_bytes(data)
        made.add(identify(tmp_path / name).words)
    elsewhere = {"ONNX", "a sentencepiece model", "FLAC"}
    assert {name for name, *_ in FORMATS} <= made | elsewhere


class _Pickled(pa.ExtensionType):  # type: ignore[misc]
    """A type that pyarrow before 14.0.1 made by unpickling what it says of itself."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "arrow.py_extension_type")

    def __arrow_ext_serialize__(self) -> bytes:
        return EVIL


@pytest.mark.parametrize("before", range(3))
def test_a_table_of_a_type_that_is_unpickled_is_not_known(tmp_path: Path, before: int) -> None:
    column = pa.ExtensionArray.from_storage(_Pickled(), pa.array([1, 2]))
    table = pa.table({"a": column}).replace_schema_metadata({"x": "x" * before})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as sink:
        sink.write_table(table)
    assert {identify(tmp_path / name).trust for name in ("a.parquet", "a.arrow")} == {Safety.UNKNOWN}


def test_a_key_twice_and_what_a_vendor_compiled_are_not_known(tmp_path: Path) -> None:
    def text(value: bytes) -> bytes:
        return len(value).to_bytes(8, "little") + value

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    pair = text(b"tokenizer.chat_template") + (8).to_bytes(4, "little") + text(b"{{ a }}")
    start = b"GGUF" + (3).to_bytes(4, "little") + bytes(8)
    graph = field(2, b"graph") + field(1, field(4, b"EPContext"))
    (tmp_path / "once.gguf").write_bytes(start + (1).to_bytes(8, "little") + pair)
    (tmp_path / "twice.gguf").write_bytes(start + (2).to_bytes(8, "little") + pair * 2)
    (tmp_path / "compiled.onnx").write_bytes(b"\x08\x08" + field(7, graph))
    found = {name: identify(tmp_path / name).trust for name in ("once.gguf", "twice.gguf", "compiled.onnx")}
    assert found.pop("once.gguf") is Safety.KNOWN and set(found.values()) == {Safety.UNKNOWN}


@pytest.mark.parametrize("size", [200_000, 4 << 20, 64 << 20])
def test_what_only_begins_and_ends_as_text_is_of_no_known_format(tmp_path: Path, size: int) -> None:
    with (tmp_path / "a.dat").open("wb") as stream:
        stream.write(b"a" * 70_000 + bytes(size - 140_000) + b"a" * 70_000)
    assert identify(tmp_path / "a.dat").trust is Safety.UNKNOWN


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.model", "tokenizer.json", "vocab.txt", "picture.png"])
def test_a_pointer_of_git_lfs_is_told_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    found = identify(tmp_path / name)
    assert found.trust is Safety.UNKNOWN and found.words == "is a pointer of Git LFS, not the file itself"
    assert found.weights == name.endswith(".safetensors")


def test_weights_that_begin_like_a_pickle_or_hold_an_archive_are_weights(tmp_path: Path) -> None:
    """A header of 640 bytes begins 80 02: safetensors account for every byte, so these are what they are."""
    inner = np.frombuffer(_zip(("data.pkl", EVIL)), dtype=np.uint8)
    plain = save({"a": inner})
    length = int.from_bytes(plain[:8], "little")
    data = (640).to_bytes(8, "little") + plain[8 : 8 + length].ljust(640) + plain[8 + length :]
    (tmp_path / "model.safetensors").write_bytes(data)
    assert identify(tmp_path / "model.safetensors").trust is Safety.KNOWN
    (tmp_path / "model.dat").write_bytes(data)
    assert identify(tmp_path / "model.dat").trust is not Safety.KNOWN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), name=st.sampled_from((*NAMES, "a.gguf", "a.onnx", "a.npy", "a.model")))
def test_any_bytes_are_answered(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert identify(tmp_path / name).words


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), name=st.sampled_from(("a.gguf", "a.npy", "a.parquet")))
def test_one_byte_changed_ends_in_no_other_exception(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, name: str
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    data = bytearray(_GOOD.setdefault("all", _good(folder))[name])
    data[place % len(data)] = byte
    (folder / name).write_bytes(data)
    identify(folder / name)


_GOOD: dict[str, dict[str, bytes]] = {}
