"""registry.records.order: each row once an epoch, from any position, from the seed alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.records.order import Sampling, position, row, window

SEEDS = st.integers(0, 2**53 - 1)


@given(SEEDS, st.integers(1, 300), st.integers(0, 5))
def test_an_epoch_is_a_permutation(seed: int, rows: int, epoch: int) -> None:
    seen = [row(seed, epoch * rows + i, rows) for i in range(rows)]
    assert sorted(seen) == list(range(rows))


@given(SEEDS, st.integers(1, 1 << 62), st.integers(0, 1 << 70))
def test_any_position_of_any_size_has_a_row(seed: int, rows: int, position: int) -> None:
    assert 0 <= row(seed, position, rows) < rows


@given(SEEDS, st.integers(1, 1 << 62), st.integers(0, 1 << 20), st.data())
def test_the_way_back_leads_to_where_a_row_comes(seed: int, rows: int, epoch: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, rows - 1))
    found = position(seed, epoch, number, rows)
    assert found // rows == epoch
    assert row(seed, found, rows) == number


@given(SEEDS, st.integers(1, 9), st.integers(1, 5), st.integers(1, 12), st.integers(10, 80), st.data())
def test_the_steps_of_a_token_are_those_that_take_it(
    seed: int, context: int, step_rows: int, steps: int, tokens: int, data: st.DataObject
) -> None:
    sampling = Sampling(seed, context, step_rows, steps, tokens)
    start = data.draw(st.integers(0, tokens - 1))
    end = data.draw(st.integers(start + 1, tokens))
    wanted = set(range(start, end))
    slow = sorted(
        (step, number)
        for step in range(1, steps + 1)
        for _, number in sampling.of_step(step)
        if wanted & set(window(number, context))
    )
    assert sorted(sampling.steps_with(start, end)) == slow


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(row(seed, epoch * 50 + i, 50) for i in range(50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_is_the_one_that_signed_chains_were_made_with() -> None:
    assert [row(2026, position, 10) for position in range(12)] == GOLDEN


@pytest.mark.parametrize(("place", "rows"), [(-1, 5), (0, 0), (0, (1 << 62) + 1)])
def test_what_has_no_row_is_refused(place: int, rows: int) -> None:
    with pytest.raises(ValueError, match="position"):
        row(1, place, rows)


@pytest.mark.parametrize(("number", "epoch", "rows"), [(5, 0, 5), (-1, 0, 5), (0, -1, 5), (0, 0, (1 << 62) + 1)])
def test_what_has_no_position_is_refused(number: int, epoch: int, rows: int) -> None:
    with pytest.raises(ValueError, match="row"):
        position(1, epoch, number, rows)


GOLDEN = [8, 1, 3, 9, 5, 4, 7, 0, 6, 2, 2, 5]
