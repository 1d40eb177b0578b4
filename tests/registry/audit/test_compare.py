"""How far apart two records are: a distance, whatever they hold."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from registry.audit import compare

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
FIGURES = st.dictionaries(st.text(max_size=3), NUMBERS | st.booleans() | st.text(max_size=3) | st.none(), max_size=4)


@given(FIGURES, FIGURES)
def test_how_far_apart_two_records_are(one: dict[str, object], other: dict[str, object]) -> None:
    assert compare.apart(one, one) == 0
    assert compare.apart(one, other) == compare.apart(other, one)
    assert compare.apart(one, other) >= 0
    assert compare.apart(one, None) == math.inf
