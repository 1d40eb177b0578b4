"""registry.tensors reads safetensors as the reference library writes them, and refuses whatever lies."""

import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from registry import tensors
from registry.errors import InputError, Malformed
from registry.tensors import DTYPE_BITS, parameters

WEIGHTS: dict[str, npt.NDArray[np.float32 | np.float16]] = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.ones(4, dtype=np.float16),
}


def lying(header: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_the_reference_librarys_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(WEIGHTS, path, metadata={"format": "pt"})
    rows = {tensor.name: tensor for tensor in tensors.read_header(path)}
    assert rows["b"].shape == (2, 3) and rows["b"].dtype == "F32" and rows["a"].end - rows["a"].start == 8
    assert tensors.parameters(path) == 10


def test_the_digest_of_the_tensors_ignores_the_layout_and_nothing_else(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("1", "2", "3"))
    save_file(WEIGHTS, one)
    save_file(WEIGHTS, two, metadata={"other": "header"})
    save_file(WEIGHTS | {"b": WEIGHTS["b"].reshape(3, 2)}, three)
    assert one.read_bytes() != two.read_bytes()
    assert tensors.tensors_digest(one) == tensors.tensors_digest(two) != tensors.tensors_digest(three)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",
        b"PK\x03\x04" + b"\0" * 100,
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 200_000_000) + b"{}",
        lying({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4),
        lying({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 8),
        lying({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"\0" * 8),
        lying({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
        lying({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, b"\0" * 4),
        lying({"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        lying({"a": {"dtype": "F32", "shape": [2**70, 0], "data_offsets": [0, 0]}}),
        lying({"a": {"dtype": "U8", "shape": [1] * 65, "data_offsets": [0, 1]}}, b"\0"),
        lying({name: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for name in "ab"}, b"\0" * 4),
        struct.pack("<Q", 2) + b"[]",
    ],
)  # fmt: skip
def test_files_that_lie_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError):
        tensors.read_header(path)


@settings(max_examples=200)
@given(st.data())
def test_a_changed_header_is_refused_or_still_tells_no_lie(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = bytearray(save(WEIGHTS))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "w.safetensors"
    path.write_bytes(good)
    try:
        rows = tensors.read_header(path)
    except InputError:
        return
    assert all(0 < row.start <= row.end <= len(good) for row in rows)


@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_each_type_of_the_reference_library_takes_the_bytes_that_it_says(tmp_path: Path, dtype: str) -> None:
    size = 4 * DTYPE_BITS[dtype] // 8
    path = tmp_path / "a.safetensors"
    path.write_bytes(lying({"a": {"dtype": dtype, "shape": [2, 2], "data_offsets": [0, size]}}, b"\0" * size))
    with safe_open(path, "np") as opened:
        assert opened.get_slice("a").get_dtype() == dtype
    assert parameters(path) == 4
    path.write_bytes(lying({"a": {"dtype": dtype, "shape": [2, 2], "data_offsets": [0, size + 1]}}, b"\0" * (size + 1)))
    with pytest.raises(Malformed):
        parameters(path)


@pytest.mark.parametrize(("dtype", "size"), [("F4", 1), ("F4", 2), ("F6_E2M3", 2), ("F6_E3M2", 3)])
def test_numbers_that_end_within_a_byte_are_refused_as_the_reference_does(
    tmp_path: Path, dtype: str, size: int
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(lying({"a": {"dtype": dtype, "shape": [3], "data_offsets": [0, size]}}, b"\0" * size))
    with pytest.raises(SafetensorError), safe_open(path, "np"):
        pass
    with pytest.raises(Malformed):
        parameters(path)
