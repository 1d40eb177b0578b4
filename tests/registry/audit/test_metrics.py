"""Lines of metrics that anybody wrote give words, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.audit import metrics

LINES = st.lists(
    st.fixed_dictionaries({"step": st.integers(1, 4), "loss": st.floats(0, 9), "gradientNorm": st.just(1.0)}),
    max_size=4,
).map(lambda lines: b"".join(canonical.dumps(line) + b"\n" for line in lines))


@given(LINES | st.binary(max_size=60), LINES | st.binary(max_size=60))
def test_metrics_that_anybody_wrote_give_words(
    tmp_path_factory: pytest.TempPathFactory, one: bytes, other: bytes
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "signed").write_bytes(one)
    (folder / "made").write_bytes(other)
    assert metrics.first_departure(folder / "signed", folder / "made")
    assert metrics.first_departure(folder / "signed", folder / "nowhere")
