"""Inputs of a parser, for Hypothesis to choose: valid ones that were changed, JSON of hostile shapes, and noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

TOKENS = (
    b"", b"\0", b"\xff", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"-1",
    b"1e999", b"NaN", b"null", b"true", b"9" * 5000, b"\n", b"\r\n", b"---\n", b"&a ", b"*a", b"{{", b"{%", b"%}",
    b"!!python/object:os.system ", b"<<: ", b"../", b"/etc/passwd", "\u202e".encode(), b"\xed\xa0\x80",
    b"-----BEGIN CERTIFICATE-----\n",
)  # fmt: skip
"""What means something to some parser."""
MOST = 4 << 20
"""Bytes of an input."""
MANY = (2, 30, 1_000, 100_000)
"""How often a piece is repeated."""
TEXTS = (
    "", ".", "..", "../x", "/etc/passwd", "a" * 70_000, "\0", "\ud800", "\uff41", "a" * 64, "0" * 64, "z" * 40, "=",
    "AAAA", "2026-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "hf://a/b", "http://[::1",
)  # fmt: skip
"""Texts that some field takes, or nearly."""
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from((0, -1, 1, 2**31, 2**53, 2**63, 2**64, 1e308, -0.0, 0.5)),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(TEXTS),
)
HOSTILE = st.one_of(
    SCALARS,
    st.builds(lambda depth: _nested(depth), st.sampled_from((5, 63, 64, 65, 500))),
    st.builds(lambda value, count: [value] * count, SCALARS, st.sampled_from(MANY[:3])),
    st.builds(lambda value, count: {f"k{n}": value for n in range(count)}, SCALARS, st.sampled_from(MANY[:3])),
    st.recursive(SCALARS, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=8), one)),
)
"""Values that a field may not expect."""


def inputs(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Inputs that begin from `seeds`, of which there is at least one."""
    documents = [value for seed in seeds if (value := _document(seed)) is not None]
    ways = [changed(seeds), changed(seeds), st.binary(max_size=400)]
    return st.one_of(*ways, *[reshaped(documents)] * (3 if documents else 0))


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A valid input with a few pieces overwritten, put in, taken out, repeated, or taken from another."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(data))), draw(st.sampled_from((0, 1, 2, 4, 8, 100, 4096)))
        piece = data[place : place + length]
        match draw(st.integers(0, 6)):
            case 0:
                data = data[:place] + draw(st.binary(min_size=1, max_size=8)) + data[place + length :]
            case 1:
                data = data[:place] + draw(st.sampled_from(TOKENS)) + data[place + length :]
            case 2:
                data = data[:place]
            case 3:
                count = min(draw(st.sampled_from(MANY)), MOST // (len(piece) or 1))
                data = data[:place] + piece * count + data[place:]
            case 4:
                other = draw(st.sampled_from(seeds))
                data = data[:place] + other[draw(st.integers(0, len(other))) :]
            case 5:
                number = draw(st.sampled_from((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)))
                data = data[:place] + number.to_bytes(8, "little") + data[place + 8 :]
            case _:
                data = (
                    data[:place] + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in piece[:1]) + data[place + 1 :]
                )
        data = data[: 8 << 20]
    return data


@st.composite
def reshaped(draw: st.DrawFn, documents: Sequence[Any]) -> bytes:
    """A valid JSON document, some of whose values, keys or items are others."""
    document = deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        document = _reshape(draw, document)
    return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")[:MOST]


def _reshape(draw: st.DrawFn, value: Any) -> Any:
    """`value`, changed at one place."""
    deeper = isinstance(value, dict | list) and value and draw(st.integers(0, 9))
    if not deeper:
        return draw(HOSTILE)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    match draw(st.integers(0, 7)):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            value[draw(st.sampled_from(("", "a", "__proto__", "schema", "é")) | st.text(max_size=5))] = draw(HOSTILE)
        case 1:
            value += [deepcopy(value[key])] * draw(st.sampled_from(MANY[:3]))
        case 2 if isinstance(value, dict):
            value[draw(st.text(max_size=9))] = value.pop(key)
        case _:
            value[key] = _reshape(draw, value[key])
    return value


def _document(data: bytes) -> Any:
    """The list or map that `data` says in JSON; None where it says none."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value
