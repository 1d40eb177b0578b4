"""A file that grows is followed line by line, whatever is written to it, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit import tail
from registry.audit.tail import follow


def test_lines_are_told_once_as_they_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    new = follow(lambda: path.open("rb"))
    assert new() == []
    told = []
    for data in (b"a\n", b"a\nb\nc", b"a\nb\nc\n"):
        path.write_bytes(data)
        told.append(new())
    assert told == [[b"a"], [b"b"], [b"c"]]


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_whatever_is_written_every_line_comes_once(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("tail") / "log"
    new, told = follow(lambda: path.open("rb")), []
    for data in written:
        with path.open("ab") as stream:
            stream.write(data)
        told += new()
    assert told == b"".join(written).split(b"\n")[:-1]


def test_a_line_that_does_not_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_NEW", 1000)
    path = tmp_path / "log"
    path.write_bytes(b"x" * 50_000 + b"\nnext\n")
    new = follow(lambda: path.open("rb"))
    first, following = [line for _ in range(60) for line in new()]
    assert len(first) <= tail.MAX_LINE + tail.MAX_NEW and following == b"next"
