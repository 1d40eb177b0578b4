"""What a repository lists at a commit, and the bytes of one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from registry.digest import CHUNK
from registry.errors import InputError
from registry.hub import transfer
from registry.hub.client.connection import Connection, named
from registry.hub.transfer import Limits, Opener, RemoteFile

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


MAX_FOLDERS = 100_000
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RemoteFiles:
    """The files of a Hub's repositories, one at a time."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection

    def list(self, repo: str, commit: str, limits: Limits = Limits()) -> tuple[RemoteFile, ...]:  # noqa: B008
        """What `repo` lists at `commit`, sorted by path. Raises InputError beyond `limits`, as soon as they are met.

        Raises Unavailable for entries that no Hub lists: sizes, digests and paths of another type.
        """
        name, kind = named(repo)
        found: list[RemoteFile] = []
        folders = 0
        with self._hub.reading(f"{repo}@{commit}"):
            for item in self._hub.api.list_repo_tree(name, recursive=True, revision=commit, repo_type=kind):
                if hasattr(item, "tree_id"):
                    folders += 1
                else:
                    found.append(_listed(item))
                if folders > MAX_FOLDERS:
                    raise TypeError(f"more than {MAX_FOLDERS} folders")
                if len(found) > limits.files:
                    break
        transfer.check_listing(found, limits)
        return tuple(sorted(found, key=lambda file: file.path))

    def read(self, repo: str, commit: str, path: str, *, max_bytes: int) -> bytes:
        """The bytes of one file at `commit`. Raises InputError beyond `max_bytes`."""
        data = self.read_range(repo, commit, path, start=0, count=max_bytes + 1)
        if len(data) > max_bytes:
            raise InputError(f"{path} has more than {max_bytes} bytes", mend=f"look at {path} in {repo}@{commit}")
        return data

    def read_range(self, repo: str, commit: str, path: str, *, start: int, count: int) -> bytes:
        """At most `count` bytes of one file from byte `start` on; fewer where it ends before. No more are fetched."""
        data = bytearray()
        with self._stream(repo, commit, path, start, count) as (begins, chunks):
            skip = start - begins  # a server that knows no ranges begins at 0
            for chunk in chunks:
                data += chunk
                if len(data) >= skip + count:
                    break
        return bytes(data[skip : skip + count])

    def source(self, repo: str, commit: str) -> Opener:
        """What opens the files of `repo` at `commit`."""
        return partial(self._stream, repo, commit)

    @contextmanager
    def _stream(
        self, repo: str, commit: str, path: str, offset: int, count: int | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A file from byte `offset` on; with `count`, no more bytes than that are asked for. See `Opener`."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        name, kind = named(repo)
        api = self._hub.api
        url = hf_hub_url(name, path, repo_type=kind, revision=commit, endpoint=self._hub.endpoint)
        with self._hub.reaching(f"{path} of {repo}"):
            headers = build_hf_headers(token=api.token, library_name=api.library_name) | {"Accept-Encoding": "identity"}
            if offset or count is not None:
                headers["Range"] = f"bytes={offset}-{'' if count is None else offset + count - 1}"
            with get_session().stream("GET", url, headers=headers) as response:
                hf_raise_for_status(response)
                yield (offset if response.status_code == 206 else 0), response.iter_bytes(CHUNK)


def _listed(item: RepoFile) -> RemoteFile:
    """An entry of a listing. Raises TypeError where its fields are not of the types that a Hub gives them."""
    lfs = item.lfs
    sizes = [item.size] if lfs is None else [item.size, lfs.size]
    digests = [(_SHA1, item.blob_id)] if lfs is None else [(_SHA1, item.blob_id), (_SHA256, lfs.sha256)]
    right = (
        isinstance(item.path, str)
        and all(type(size) is int and size >= 0 for size in sizes)
        and len(set(sizes)) == 1
        and all(isinstance(digest, str) and form.fullmatch(digest) for form, digest in digests)
    )
    if not right:
        raise TypeError(f"it lists {item!r:.200}")
    return RemoteFile(item.path, item.size, lfs.sha256 if lfs else None, item.blob_id)
