"""What a repository lists at a commit, and the bytes of one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from registry.digest import CHUNK
from registry.errors import InputError
from registry.hub import transfer
from registry.hub.client.connection import Connection, named
from registry.hub.transfer import Limits, Opener, RemoteFile


class RemoteFiles:
    """The files of a Hub's repositories, one at a time."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection

    def list(self, repo: str, commit: str, limits: Limits = Limits()) -> tuple[RemoteFile, ...]:  # noqa: B008
        """What `repo` lists at `commit`, sorted by path. Raises InputError beyond `limits`, as soon as they are met."""
        name, kind = named(repo)
        found: list[RemoteFile] = []
        with self._hub.asking(f"{repo}@{commit}"):
            for item in self._hub.api.list_repo_tree(name, recursive=True, revision=commit, repo_type=kind):
                if hasattr(item, "tree_id"):
                    continue  # a folder
                sha256 = item.lfs.sha256 if item.lfs is not None else None
                found.append(RemoteFile(item.path, item.size, sha256, item.blob_id))
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
