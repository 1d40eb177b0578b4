"""Which segments an auditor replays: a choice that nobody could foresee when the release was signed.

A chain of n + 1 checkpoints has n segments; segment i leads from checkpoint i to checkpoint i + 1. The seed of the
choice mixes three things, so that none of the parties decides it alone:

    nonce        the auditor's own random number, or the value of a public beacon published after the signing
    logged_at    when the release statement entered the transparency log
    head         the digest of the last entry of the chain, and so of every checkpoint

Laws: the same three give the same choice, for ever; every set of k segments is equally likely (Fisher and Yates, with
rejection, so without modulo bias).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from math import comb

from registry import canonical
from registry.attest.audits import Challenge
from registry.errors import InputError
from registry.records.checkpoint_chain import Chain

DOMAIN = "glasshouse.challenge/v1"
NONCE = re.compile(r"(?:[0-9a-f]{2}){16,128}")
"""From 128 bits, which nobody guesses, up to 1024."""


def draw(
    chain: Chain,
    logged_at: str | None,
    *,
    count: int | None = None,
    segment: int | None = None,
    nonce: str | None = None,
) -> Challenge:
    """Which segments of `chain` to replay: `segment`, or `count` (None: one) that `nonce` (None: a new one) decides.

    logged_at: as `seed` says. Raises InputError where the chain has no such segment, or not so many.
    """
    total, head = len(chain.entries) - 1, chain.head
    if segment is not None:
        if not 0 <= segment < total:
            raise InputError(f"there is no segment {segment} of {total}", mend=f"--segment 0 to {total - 1}")
        return Challenge(logged_at=logged_at, head=head, segments=total, chosen=(segment,))
    nonce = check_nonce(nonce) if nonce else new_nonce()
    chosen = choose(seed(nonce, logged_at, head), total, count or 1)
    return Challenge(nonce=nonce, logged_at=logged_at, head=head, segments=total, chosen=chosen)


def odds(asked: Challenge, replayed: int) -> dict[int, float]:
    """How many forged segments -> the probability that at least one is among `replayed` ones chosen at random."""
    return {m: caught(asked.segments, m, replayed) for m in (1, 2, 5) if m <= asked.segments}


def new_nonce() -> str:
    """256 bits from this machine's generator, as hex."""
    return secrets.token_hex(32)


def check_nonce(nonce: str) -> str:
    """`nonce` in lower case. Raises InputError unless it is 16 to 128 bytes of hex."""
    if not NONCE.fullmatch(nonce.lower()):
        raise InputError(
            f"the nonce {nonce[:40]!r} is not 16 to 128 bytes of hex", mend="make one: openssl rand -hex 32"
        )
    return nonce.lower()


def seed(nonce: str, logged_at: str | None, head: str) -> str:
    """The seed of the choice, as hex. logged_at: RFC 3339, or None where no log knows the release."""
    return canonical.digest([DOMAIN, nonce, logged_at, head])


def choose(seed: str, segments: int, count: int) -> tuple[int, ...]:
    """`count` different numbers out of range(segments), ascending. Raises InputError where there are not so many."""
    if not 0 < count <= segments:
        raise InputError(
            f"{count} segments are asked for, of {segments}", mend=f"ask for --segments 1 to {max(segments, 1)}"
        )
    numbers = list(range(segments))
    words = _words(seed)
    for place in range(count):
        pick = place + _below(words, segments - place)
        numbers[place], numbers[pick] = numbers[pick], numbers[place]
    return tuple(sorted(numbers[:count]))


def caught(segments: int, forged: int, replayed: int) -> float:
    """The probability that at least one of `forged` segments is among `replayed` ones chosen at random.

    1 - C(n - m, k) / C(n, k), the hypergeometric distribution. Raises ValueError for m or k outside 0..n.
    """
    if not 0 <= forged <= segments or not 0 <= replayed <= segments:
        raise ValueError(f"{forged} forged and {replayed} replayed of {segments}")
    missed = comb(segments - forged, replayed)
    return (comb(segments, replayed) - missed) / comb(segments, replayed)


def _words(seed: str) -> Iterator[int]:
    """Independent uniform 256-bit numbers: SHA-256 of the seed and a counter."""
    key, counter = bytes.fromhex(seed), 0
    while True:
        yield int.from_bytes(hashlib.sha256(key + counter.to_bytes(8, "big")).digest(), "big")
        counter += 1


def _below(words: Iterator[int], bound: int) -> int:
    """A uniform number in range(bound): words beyond the last whole multiple of `bound` are passed over."""
    limit = (1 << 256) - (1 << 256) % bound
    return next(word for word in words if word < limit) % bound
