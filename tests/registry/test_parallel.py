"""The same work on many things: in their order, bounded, and over at once when it must stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.parallel import beside, for_each


@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int) -> None:
    done: list[int] = []

    def work(item: int, told: Callable[[int], None]) -> int:
        told(1)
        return item * 2

    assert for_each(work, items, done.append, workers) == [item * 2 for item in items]
    assert len(done) == len(items)


@pytest.mark.parametrize("problem", [ValueError("this one"), KeyboardInterrupt()])
def test_one_that_fails_stops_those_that_would_go_on_for_ever(problem: BaseException) -> None:
    endless, started = threading.Event(), threading.Event()

    def work(item: int, told: Callable[[int], None]) -> None:
        if item == 1:
            started.wait(10)
            raise problem
        while not endless.wait(0.001):
            started.set()
            told(1)

    for items in ([1, 2, 3], [2, 3, 1, 4, 5]):  # first or later, it is not waited for
        started.clear()
        with pytest.raises(type(problem)):
            for_each(work, items, workers=3)
    assert not endless.is_set()


def test_work_beside_a_block_gives_its_result_and_stops_with_the_block() -> None:
    def work(told: Callable[[int], None]) -> int:
        told(1)
        return 42

    with beside(work) as result:
        assert result() == 42
    with beside(lambda told: 1 // 0) as result, pytest.raises(ZeroDivisionError):
        result()
    going, ended = threading.Event(), threading.Event()

    def without_end(told: Callable[[int], None]) -> None:
        try:
            while True:
                told(1)
                going.set()
        finally:
            ended.set()

    with beside(without_end):
        assert going.wait(60)
    assert ended.is_set()
