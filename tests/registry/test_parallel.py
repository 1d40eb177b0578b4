"""The same work on many things: in their order, bounded, and over at once when it must stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

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


def test_it_stops_where_ctrl_c_comes_before_all_work_was_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ThreadPoolExecutor.submit

    def cancelled(pool: ThreadPoolExecutor, work: Callable[..., None], item: int, *more: object) -> Future[None]:
        if item == 2:
            raise KeyboardInterrupt
        return submit(pool, work, item, *more)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", cancelled)
    with pytest.raises(KeyboardInterrupt):
        for_each(without_end, [1, 2, 3], workers=3)


@pytest.mark.parametrize("items", [[1], [1, 2, 3]])
def test_ctrl_c_is_heard_where_python_drops_what_it_raises(monkeypatch: pytest.MonkeyPatch, items: list[int]) -> None:
    heard = threading.Event()

    def dropped(number: int, frame: object) -> None:
        heard.set()

    before = signal.signal(signal.SIGINT, dropped)
    monkeypatch.setattr(signal, "default_int_handler", dropped)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            for_each(without_end, items)
        assert heard.is_set() and signal.getsignal(signal.SIGINT) is dropped
    finally:
        signal.signal(signal.SIGINT, before)


def without_end(item: int, told: Callable[[int], None]) -> None:
    while True:
        told(1)


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
