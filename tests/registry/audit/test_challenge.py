"""Which segments are replayed, and what that is worth."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit import challenge
from registry.errors import InputError

HEAD = "ab" * 32
SEEDS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(SEEDS, st.integers(1, 200), st.data())
def test_a_choice_is_of_different_segments_and_always_the_same(seed: str, segments: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, segments))
    chosen = challenge.choose(seed, segments, count)
    assert chosen == challenge.choose(seed, segments, count) == tuple(sorted(set(chosen)))
    assert len(chosen) == count and set(chosen) <= set(range(segments))


def test_every_pair_is_equally_likely() -> None:
    rounds = 6000
    seeds = (challenge.seed(f"{number:032x}", None, HEAD) for number in range(rounds))
    counts = Counter(challenge.choose(seed, 5, 2) for seed in seeds)
    assert len(counts) == 10
    expected = rounds / 10
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 33.7  # chi-squared, 9, p = 0.0001


def test_nonce_time_and_head_each_change_the_seed() -> None:
    ways = {
        challenge.seed(nonce, logged, head)
        for nonce in ("00" * 16, "01" * 16)
        for logged in (None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")
        for head in (HEAD, "cd" * 32)
    }
    assert len(ways) == 12


def test_the_choice_of_a_known_seed_stays() -> None:
    """Verdicts that were signed must be checkable for ever."""
    seed = challenge.seed("00" * 16, "2026-01-01T00:00:00Z", HEAD)
    assert seed == "3c95a256ca5aa2a972464f1fea09bdd69c2e8b318279f0d984a28d05f562cd26"
    assert challenge.choose(seed, 100, 5) == (39, 41, 80, 87, 97)


@given(st.integers(1, 8), st.data())
def test_odds_are_those_of_counting(segments: int, data: st.DataObject) -> None:
    forged, replayed = data.draw(st.integers(0, segments)), data.draw(st.integers(0, segments))
    draws = list(combinations(range(segments), replayed))
    caught = sum(any(number < forged for number in draw) for draw in draws)
    assert challenge.caught(segments, forged, replayed) == pytest.approx(caught / len(draws))


@given(st.text(max_size=300))
def test_a_nonce_is_hex_or_refused(text: str) -> None:
    try:
        nonce = challenge.check_nonce(text)
    except InputError:
        return
    assert len(bytes.fromhex(nonce)) >= 16 and nonce == text.lower()


def test_new_nonces_are_good_and_new() -> None:
    assert challenge.check_nonce(challenge.new_nonce()) != challenge.new_nonce()


@pytest.mark.parametrize("count", [0, 7])
def test_more_segments_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(InputError, match="of 6"):
        challenge.choose(HEAD, 6, count)
