"""pipelines.order: each row once an epoch, from any position, from the seed alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.order import row

SEEDS = st.integers(0, 2**53 - 1)


@given(SEEDS, st.integers(1, 300), st.integers(0, 5))
def test_an_epoch_is_a_permutation(seed: int, rows: int, epoch: int) -> None:
    seen = [row(seed, epoch * rows + i, rows) for i in range(rows)]
    assert sorted(seen) == list(range(rows))


@given(SEEDS, st.integers(1, 1 << 62), st.integers(0, 1 << 70))
def test_any_position_of_any_size_has_a_row(seed: int, rows: int, position: int) -> None:
    assert 0 <= row(seed, position, rows) < rows


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(row(seed, epoch * 50 + i, 50) for i in range(50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_is_the_one_that_signed_chains_were_made_with() -> None:
    assert [row(2026, position, 10) for position in range(12)] == GOLDEN


@pytest.mark.parametrize(("position", "rows"), [(-1, 5), (0, 0), (0, (1 << 62) + 1)])
def test_what_has_no_row_is_refused(position: int, rows: int) -> None:
    with pytest.raises(ValueError, match="position"):
        row(1, position, rows)


GOLDEN = [8, 1, 3, 9, 5, 4, 7, 0, 6, 2, 2, 5]
