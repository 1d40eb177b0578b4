"""registry.formats.pickles: what an unpickler would call, told without one."""

from __future__ import annotations

import collections
import datetime
import io
import os
import pickle  # noqa: TID251 - to make what is refused
import pickletools
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats.pickles import calls

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Evil:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def _calls(data: bytes) -> bool:
    return calls(io.BytesIO(data))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_runs_a_command_is_told_in_every_protocol(protocol: int) -> None:
    data = pickle.dumps(Evil(), protocol)
    assert _calls(data) and _calls(pickletools.optimize(data))
    assert _calls(b"N0" + data) and _calls(b"(1" + data) and _calls(b"X\x03\x00\x00\x00abc0" + data)
    if protocol >= 2:
        assert _calls(data[2:]) and _calls(b"\x80\x00" + data[2:]) and _calls(b"\x80\x01" + data[2:])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [datetime.date(2026, 1, 1), collections.Counter("ab"), {1: [Evil()]}])
def test_so_is_every_object_that_is_built(protocol: int, value: object) -> None:
    assert _calls(pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x) | st.tuples(x, x),
        max_leaves=5,
    )
)
def test_plain_values_call_nothing(protocol: int, value: object) -> None:
    assert not _calls(pickle.dumps(value, protocol))


def test_what_is_broken_after_the_call_has_called() -> None:
    data = pickle.dumps(Evil(), 0)
    assert _calls(data[:-1] + b"\xff garbage") and not _calls(data[: data.index(b"R")])


@pytest.mark.parametrize(
    "text",
    [
        "Apache License\nVersion 2.0, January 2004\n", "copyright (c) 2026\nsomebody\nRest", "cat\ndog\nRat\n(tR.",
        "changelog\n\nR", "# A model", "{}", "[1]", "import os\nos.system('true')\n", "is it?\nno\n", "(i\nj\n",
        "I like trains\n", "Vocabulary\n", "S'quoted'\n", "version https://git-lfs.github.com/spec/v1\n", "",
    ],
)  # fmt: skip
def test_prose_is_not_taken_for_a_pickle(text: str) -> None:
    assert not _calls(text.encode())


def test_a_long_text_before_the_call_hides_nothing_and_takes_no_memory() -> None:
    padding = b"X" + (1 << 26).to_bytes(4, "little") + bytes(1 << 26) + b"0"
    assert _calls(padding + pickle.dumps(Evil(), 4))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_long_line_before_the_call_hides_nothing(protocol: int) -> None:
    data = pickle.dumps(Evil(), protocol)
    assert _calls(b"V" + b"A" * 200_000 + b"\n0" + data) and _calls(b"S'" + b"A" * 70_000 + b"'\n0" + data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_calls_is_told_in_whichever_of_several_pickles_it_stands(protocol: int) -> None:
    """torch.load of old files reads four, one after the other."""
    before = b"".join(pickle.dumps(value, protocol) for value in (0x1950A86A20F9469CFC6C, 1001, {"little": True}))
    assert _calls(before + pickle.dumps(Evil(), protocol)) and not _calls(before)


@pytest.mark.parametrize("name", [b"cfoo-bar\nx\n", b"c81d2__mypyc\nx\n"])
def test_a_module_that_no_program_could_write_down_can_be_imported_all_the_same(name: bytes) -> None:
    assert _calls(name + b"(tR.")


def test_more_opcodes_than_anybody_looks_at_are_a_danger() -> None:
    assert _calls(b"N0" * 600_000)


def test_many_things_below_a_mark_are_not_looked_through_for_it() -> None:
    """Each pair of opcodes makes a dictionary of what is above its mark: 100,000 took a minute once."""
    before = time.process_time()
    assert not calls(io.BytesIO(b"(d" * 8_000))
    assert time.process_time() - before < 10  # a watchdog: a second's work


def test_a_length_beyond_any_disk_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for code in (b"\x8d", b"\x8e", b"\x96", b"X", b"\x8b"):  # whose lengths take 4 or 8 bytes
        path.write_bytes(code + b"\xff" * 6 + b"\x5e\x00" + pickle.dumps(Evil(), 2))
        with path.open("rb") as stream:
            assert not calls(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert _calls(data) in (True, False)


@given(st.binary(max_size=30))
def test_what_python_s_own_unpickler_calls_is_told(tail: bytes) -> None:
    """Whatever follows an import: if the unpickler gets to call it, so do we say."""
    data = b"cbuiltins\nlen\n" + tail
    called = []

    class Watched(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            return lambda *arguments: called.append(arguments)

    with suppress(Exception):  # whatever it is, what was called before was called
        Watched(io.BytesIO(data)).load()
    assert not called or _calls(data)
