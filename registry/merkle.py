"""The Merkle tree of RFC 6962: one root for any number of leaves, a short proof for each.

    leaf hash      SHA-256(0x00 || leaf)
    inner hash     SHA-256(0x01 || left || right)
    empty tree     SHA-256("")

Law: for every leaf i of n, `root_of_proof(leaf, i, n, proof(leaves, i)) == root(leaves)`.
Source: RFC 6962, section 2.1 (the same tree that transparency logs use).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The 32-byte hash of one leaf."""
    return _hash(b"\x00" + leaf)


def inner_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of two neighbouring subtrees."""
    return _hash(b"\x01" + left + right)


def _full(leaves: Sequence[bytes]) -> bytes:
    """The hash over 2 ** n leaves, made level by level."""
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = iter(level)
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


class RootBuilder:
    """Adds leaves one at a time in O(log n) memory; `root()` may be asked at any moment."""

    def __init__(self) -> None:
        self.count = 0
        self._stack: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append `leaf` at the right."""
        self._append(leaf_hash(leaf), 1)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append all of `leaves`: 2 ** n of them level by level, where a multiple of so many stands before them.

        Law: the root is that of adding them one by one.
        """
        done = 0
        while done < len(leaves):
            size = 1 << (len(leaves) - done).bit_length() - 1
            if self.count:
                size = min(size, self.count & -self.count)
            self._append(_full(leaves[done : done + size]), size)
            done += size

    def _append(self, node: bytes, size: int) -> None:
        """Append a subtree of `size` leaves, 2 ** n of them, with a multiple of so many before it."""
        full = self.count // size
        while full & 1:
            node = inner_hash(self._stack.pop(), node)
            full >>= 1
        self._stack.append(node)
        self.count += size

    def root(self) -> str:
        """The root over the leaves so far, as hex."""
        if not self._stack:
            return _hash(b"").hex()
        node = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            node = inner_hash(left, node)
        return node.hex()


def root(leaves: Iterable[bytes]) -> str:
    """The root over `leaves`, in their order, as hex."""
    builder = RootBuilder()
    for leaf in leaves:
        builder.add(leaf)
    return builder.root()


def proof(leaves: Sequence[bytes], index: int) -> list[str]:
    """The audit path of leaf `index`: sibling hashes from the leaf upwards, as hex (RFC 6962, 2.1.1).

    Raises IndexError for an index outside the tree.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    hashes = [leaf_hash(leaf) for leaf in leaves]
    return [node.hex() for node in _path(hashes, index)]


def root_of_proof(leaf: bytes, index: int, count: int, path: Sequence[str]) -> str | None:
    """The root that `path` leads to from `leaf` at `index` of `count`; None where the path cannot belong there."""
    if not 0 <= index < count:
        return None
    node, position, last = leaf_hash(leaf), index, count - 1
    siblings = iter(path)
    while last > 0:
        if position & 1 or position < last:
            try:
                sibling = bytes.fromhex(next(siblings))
            except (StopIteration, ValueError):
                return None
            node = inner_hash(sibling, node) if position & 1 else inner_hash(node, sibling)
        position >>= 1
        last >>= 1
    return node.hex() if next(siblings, None) is None else None


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    middle = _split(len(hashes))
    return inner_hash(_subtree(hashes[:middle]), _subtree(hashes[middle:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    middle = _split(len(hashes))
    if index < middle:
        return [*_path(hashes[:middle], index), _subtree(hashes[middle:])]
    return [*_path(hashes[middle:], index - middle), _subtree(hashes[:middle])]
