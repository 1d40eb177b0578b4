"""Files in xorbs that are made as they are asked for: whatever range is read, its bytes come out."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.server.store import unpacked, xet
from registry.server.store.large_files import Content, read_all


def file_of(data: bytes) -> Content:
    def read(start: int, end: int) -> Iterator[bytes]:
        yield data[start:end]

    return Content("ab" * 32, len(data), read, large=True)


def small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unpacked, "CHUNK", 10)
    patch.setattr(unpacked, "XORB", 40)
    patch.setattr(unpacked, "_STEP", 18)
    patch.setattr(unpacked, "_AT_ONCE", 3)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_what_a_reader_is_told_makes_the_range_that_it_asked_for(data: bytes, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data) - 1))
    end = draw.draw(st.integers(start + 1, len(data)))
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        file, found = file_of(data), b""
        for run in unpacked.runs(len(data), start, end):
            first, last = run.place
            packed = read_all(unpacked.xorb(file, run.number), first, last + 1)
            chunks = xet.chunks(io.BytesIO(packed), len(packed))
            assert len(chunks) == run.end - run.start
            plain = b"".join(xet.unpack(packed[c.offset : c.offset + c.packed], c) for c in chunks)
            assert len(plain) == run.size
            found += plain
        offset = start % unpacked.CHUNK
        assert found[offset : offset + end - start] == data[start:end]


@given(st.binary(max_size=100), st.data())
def test_any_bytes_of_a_xorb_are_those_of_the_whole(data: bytes, draw: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        xorb = unpacked.xorb(file_of(data), 1)
        whole = read_all(xorb, 0, xorb.size)
        assert len(whole) == xorb.size
        start, end = sorted((draw.draw(st.integers(0, xorb.size)), draw.draw(st.integers(0, xorb.size))))
        assert read_all(xorb, start, end) == whole[start:end]


def test_a_file_that_lost_its_end_ends() -> None:
    whole = unpacked.xorb(Content("ab" * 32, 300_000, lambda start, end: iter(()), large=True), 0)
    assert read_all(whole, 0, whole.size) == b""


def test_xorbs_of_two_files_have_names_of_their_own() -> None:
    names = {unpacked.name_of(sha256, number) for sha256 in ("a" * 64, "b" * 64) for number in range(3)}
    assert len(names) == 6 and all(len(name) == 64 for name in names)
