"""The tree behind Rekor: leaves in a file that only grows, inclusion proofs, signed checkpoints.

Source: RFC 6962, section 2.1 (the tree); transparency-dev/formats, log/README.md (the checkpoint).
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from pathlib import Path

from registry import merkle
from tests.sigstore_instance.keys import SigningKey


@dataclass(frozen=True)
class Inclusion:
    """Where a leaf stands, and the proof of it."""

    index: int
    tree_size: int
    root: str
    """Hex."""
    path: list[str]
    """Hex, from the leaf upwards."""
    checkpoint: str
    """The signed note over the tree's size and root."""


class _Growing(merkle.RootBuilder):
    """A tree that proves its last leaf without looking at the others again."""

    def path_of_next(self) -> list[str]:
        """The audit path of the leaf that is added next: whatever comes last has only whole subtrees beside it."""
        return [node.hex() for node in reversed(self._stack)]


class TransparencyLog:
    """An append-only log under one key. A leaf is one line of the file at `path`."""

    def __init__(self, path: Path, origin: str, key: SigningKey) -> None:
        self.origin = origin
        self.key = key
        self._path = path
        self._lock = threading.Lock()
        self._tree = _Growing()
        for leaf in self._read():
            self._tree.add(leaf)

    def append(self, leaf: bytes) -> Inclusion:
        """Add `leaf` (canonical JSON, so without line breaks) and prove that it is in the tree."""
        with self._lock:
            with self._path.open("ab") as stream:
                stream.write(leaf + b"\n")
            index, path = self._tree.count, self._tree.path_of_next()
            self._tree.add(leaf)
            root = self._tree.root()
        return Inclusion(index, index + 1, root, path, self._checkpoint(index + 1, root))

    def _read(self) -> list[bytes]:
        """The leaves so far; a last line without its end was never answered for, and is cut off."""
        if not self._path.exists():
            return []
        whole, _, _ = self._path.read_bytes().rpartition(b"\n")
        self._path.write_bytes(whole + b"\n" if whole else b"")
        return whole.split(b"\n") if whole else []

    def _checkpoint(self, size: int, root: str) -> str:
        note = f"{self.origin}\n{size}\n{base64.b64encode(bytes.fromhex(root)).decode()}\n"
        signature = base64.b64encode(self.key.id[:4] + self.key.sign(note.encode())).decode()
        return f"{note}\n— {self.origin.split()[0]} {signature}\n"
