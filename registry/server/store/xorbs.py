"""What is kept of Xet uploads: xorbs until their chunks are in whole files, then a small map of where they are.

A client that remembers having sent a xorb need not send it again. A xorb is for the token that it was sent with, and
for no other: knowing its hash opens nothing.

Law: what a file costs is bounded by the bytes that were sent for it, before any of them is unpacked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from registry.files import write_atomic
from registry.server.problems import Problem
from registry.server.store import xet
from registry.server.store.large_files import LargeFiles
from registry.server.store.places import UPLOADS, XORB_MAPS
from registry.server.store.repository import Repository
from registry.server.store.uploads import PACKED, Upload

_HASH = re.compile(r"[0-9a-f]{64}")
_STALE = "your client remembers sending what is not here any more: remove $HF_HOME/xet, or set HF_HUB_DISABLE_XET=1"
MAX_GROWTH = 256
"""Bytes of a file for each byte sent for it: about as much as LZ4 makes of zeros, once."""
FREE_GROWTH = 64 << 20
"""Bytes that any file may have."""
_Looked = dict[str, list[xet.Chunk]]
"""The chunks of those packed xorbs that were looked at for a file: each is looked at once."""
_Places = list[tuple[xet.Span, int]]
"""At which offset of a file each of its spans starts."""


def check_hash(name: str) -> str:
    """The name of a xorb. Raises Problem 400 for what is not one."""
    if not _HASH.fullmatch(name):
        raise Problem(400, "a xorb is named by 64 hex characters")
    return name


@dataclass(frozen=True, slots=True)
class Xorbs:
    """The xorbs that were sent with a token: packed, until their chunks are in files; then a map of where they are.

    A map is {sizes: of each chunk, runs: [first chunk, end, SHA-256 of a file, offset in it]}. token: its id.
    mark: whose uploads they are, of `mark_of`.
    """

    large: LargeFiles
    token: str
    mark: str

    @property
    def _packed(self) -> Path:
        return self.large.root / UPLOADS / f"{PACKED}{self.token}"

    @property
    def _maps(self) -> Path:
        return self.large.root / XORB_MAPS / self.token

    def check_room(self, owner: str) -> None:
        """Raise Problem 403 where what is packed would take the namespace `owner` beyond its quota."""
        if self._packed.is_dir():
            self.large.quota.check(owner, sum(item.stat().st_size for item in os.scandir(self._packed)))

    def keep(self, upload: Upload, name: str) -> bool:
        """Keep a xorb; whether it is new. Raises Problem 400 for what is not one."""
        with upload.path.open("rb", buffering=0) as stream:
            if not xet.chunks(stream, upload.size):
                raise Problem(400, "a malformed xorb")
        place = self._packed / name
        new = not place.exists()
        place.parent.mkdir(exist_ok=True)
        upload.path.replace(place)
        return new

    def unpack(self, repo: Repository, shard: bytes) -> None:
        """Put the files of a shard together and keep them in `repo`. Raises Problem 422 but for the SHA-256 of each."""
        for file in xet.files(shard):
            if self.large.here(repo, [file.sha256]).get(file.sha256) == file.size:
                continue
            self.large.quota.check(repo.name.owner, file.size)
            looked = _Looked()
            self._check_growth(file, looked)
            with self.large.uploads.one(file.size, self.mark) as upload:
                places = self._assemble(file, upload, looked)
                upload.finish(file.sha256, file.size)
                self.large.keep(repo, upload.path, file.sha256, file.size)
            self._remember(file.sha256, places, looked)

    def _check_growth(self, file: xet.PackedFile, looked: _Looked) -> None:
        """Raise Problem 413 where few bytes were sent for many, 400 where a span is not there, or not of its size."""
        ends, named = dict[str, list[tuple[int, int]]](), dict[str, list[tuple[int, int]]]()
        for span in file.spans:
            if span.xorb not in ends:
                ends[span.xorb] = self._ends(span.xorb, looked)
            known = ends[span.xorb]
            if span.end >= len(known):
                raise Problem(400, _STALE)
            if known[span.end][1] - known[span.start][1] != span.size:
                raise Problem(400, f"the chunks of {span.xorb} do not have the size that the shard says")
            named.setdefault(span.xorb, []).append((span.start, span.end))
        sent = sum(ends[xorb][end][0] - ends[xorb][start][0] for xorb in named for start, end in _joined(named[xorb]))
        if file.size > FREE_GROWTH + MAX_GROWTH * sent:
            words = f"{sent} bytes were sent for {file.size}: set HF_HUB_DISABLE_XET=1 for what repeats itself so often"
            raise Problem(413, words)

    def _ends(self, xorb: str, looked: _Looked) -> list[tuple[int, int]]:
        """(bytes as they were sent, bytes unpacked) of the first N chunks of a xorb together, for each N from 0 on."""
        sizes = self._sizes(xorb, looked)
        packed, unpacked = (accumulate((each[which] for each in sizes), initial=0) for which in (0, 1))
        return list(zip(packed, unpacked, strict=True))

    def _sizes(self, xorb: str, looked: _Looked) -> list[tuple[int, int]]:
        """(bytes as they were sent, bytes unpacked) of each chunk of a xorb; none where it is not here."""
        packed, where = self._packed / xorb, self._maps / xorb
        if packed.exists():
            return [(chunk.packed, chunk.size) for chunk in self._chunks(xorb, looked)]
        return [(size, size) for size in json.loads(where.read_bytes())["sizes"]] if where.exists() else []

    def _chunks(self, xorb: str, looked: _Looked) -> list[xet.Chunk]:
        """Those of a xorb that is packed."""
        if xorb not in looked:
            with (self._packed / xorb).open("rb", buffering=0) as stream:
                looked[xorb] = xet.chunks(stream, os.fstat(stream.fileno()).st_size)
        return looked[xorb]

    def _assemble(self, file: xet.PackedFile, upload: Upload, looked: _Looked) -> _Places:
        """Write the file to `upload`. Raises Problem 400 where a chunk is missing."""
        places = []
        for span in file.spans:
            places.append((span, upload.size))
            for data in self._read(span, looked):
                upload.write(data)
            if upload.size != places[-1][1] + span.size:
                raise Problem(400, f"the chunks of {span.xorb} do not have the size that the shard says")
        return places

    def _remember(self, sha256: str, places: _Places, looked: _Looked) -> None:
        """Note that each span now stands in the file `sha256`; let go of xorbs of which every chunk does."""
        for span, offset in places:
            packed, where = self._packed / span.xorb, self._maps / span.xorb
            if not packed.exists():
                continue
            sizes = [chunk.size for chunk in self._chunks(span.xorb, looked)]
            known: dict[str, Any] = json.loads(where.read_bytes()) if where.exists() else {"sizes": sizes, "runs": []}
            known["runs"].append([span.start, span.end, sha256, offset])
            write_atomic(where, json.dumps(known).encode())
            covered = {number for start, end, *_ in known["runs"] for number in range(start, end)}
            if covered >= set(range(len(sizes))):
                packed.unlink(missing_ok=True)

    def _read(self, span: xet.Span, looked: _Looked) -> Iterator[bytes]:
        """The bytes of a span, from the packed xorb or from where its map says."""
        packed, where = self._packed / span.xorb, self._maps / span.xorb
        if packed.exists():
            with packed.open("rb", buffering=0) as stream:
                for chunk in self._chunks(span.xorb, looked)[span.start : span.end]:
                    stream.seek(chunk.offset)
                    yield xet.unpack(stream.read(chunk.packed), chunk)
            return
        known = json.loads(where.read_bytes()) if where.exists() else {"sizes": [], "runs": []}
        number = span.start
        while number < span.end:
            for start, end, sha256, offset in known["runs"]:
                if start <= number < end and self.large.blobs.size(sha256) is not None:
                    first = offset + sum(known["sizes"][start:number])
                    until = min(end, span.end)
                    yield from self.large.blobs.read(sha256, first, first + sum(known["sizes"][number:until]))
                    number = until
                    break
            else:
                raise Problem(400, _STALE)


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same chunks, each in one span alone."""
    done = 0
    for start, end in sorted(spans):
        if end > done:
            yield max(start, done), end
            done = end
