"""How many bytes of a folder have left for a Hub, told as they go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.digest import Progress

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd


class Sending:
    """Tells a total in pieces.

    Law: by `finish`, exactly the total has been told, whatever was sent twice or not at all.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._left, self._lock = progress, total, Lock()

    def tell(self, count: int) -> None:
        """So many bytes more have left."""
        with self._lock:
            told = min(count, self._left)
            self._left -= told
        if told and self._progress is not None:
            self._progress(told)

    def finish(self) -> None:
        """All are there: what was there before, too."""
        self.tell(self._left)


def watched(operation: CommitOperationAdd, sending: Sending) -> CommitOperationAdd:
    """The same operation, which tells of the bytes that LFS reads from its file. (Xet reads the file by itself.)"""
    opened = operation.as_file

    @contextmanager
    def as_file(with_tqdm: bool = False) -> Iterator[BinaryIO]:
        with opened() as file:
            if with_tqdm:  # the library asks for it where it sends the file
                read = file.read

                def told(*arguments: Any) -> bytes:
                    data = read(*arguments)
                    sending.tell(len(data))
                    return data

                file.read = told  # type: ignore[method-assign]
            yield file

    operation.as_file = as_file  # type: ignore[method-assign]
    return operation
