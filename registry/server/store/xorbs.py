"""What is kept of Xet uploads: xorbs until their chunks are in whole files, then a small map of where they are.

A client that remembers having sent a xorb need not send it again. A xorb is for the token that it was sent with, and
for no other: knowing its hash opens nothing.

Law: what a file costs is bounded by the bytes that were sent for it, before any of them is unpacked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

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
FREE_CHUNKS = 50_000
"""Chunks that any file may be made of; of more, each has MIN_CHUNK bytes on average. Clients make 8 KiB and more."""
MIN_CHUNK = 1 << 10
_Places = list[tuple[xet.Span, int]]
"""At which offset of a file each of its spans starts."""


@dataclass(slots=True)
class _Map:
    """Where the chunks of a xorb are, by the file of it, or by none. ends: bytes of the first N chunks together."""

    sizes: list[int]
    runs: list[tuple[int, int, str, int]]
    ends: list[int]
    at: dict[int, tuple[int, int, str, int]]
    """{chunk: the run that it is in}."""

    @classmethod
    def of(cls, sizes: list[int], runs: Iterable[tuple[int, int, str, int]]) -> _Map:
        """The map of chunks of those sizes."""
        made = cls(sizes, [], [0, *accumulate(sizes)], {})
        for run in runs:
            made.add(*run)
        return made

    def add(self, start: int, end: int, sha256: str, offset: int) -> bool:
        """Note where chunks are; False where all of them were known."""
        new = [number for number in range(start, end) if number not in self.at]
        if new:
            self.runs.append(run := (start, end, sha256, offset))
            self.at |= dict.fromkeys(new, run)
        return bool(new)

    def to_bytes(self) -> bytes:
        """Its file."""
        return json.dumps({"sizes": self.sizes, "runs": self.runs}).encode()


@dataclass(slots=True)
class _Looked:
    """What was looked at for a file: each xorb once."""

    chunks: dict[str, list[xet.Chunk]] = field(default_factory=dict)
    maps: dict[str, _Map | None] = field(default_factory=dict)


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
        """Raise Problem 413 where few bytes, or tiny chunks, were sent for many, 400 where a span is not as it is."""
        count = sum(span.end - span.start for span in file.spans)
        if count > FREE_CHUNKS and count * MIN_CHUNK > file.size:
            raise Problem(413, f"{count} chunks for {file.size} bytes: set HF_HUB_DISABLE_XET=1")
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
        if (self._packed / xorb).exists():
            return [(chunk.packed, chunk.size) for chunk in self._chunks(xorb, looked)]
        known = self._map(xorb, looked)
        return [(size, size) for size in known.sizes] if known is not None else []

    def _chunks(self, xorb: str, looked: _Looked) -> list[xet.Chunk]:
        """Those of a xorb that is packed."""
        if xorb not in looked.chunks:
            with (self._packed / xorb).open("rb", buffering=0) as stream:
                looked.chunks[xorb] = xet.chunks(stream, os.fstat(stream.fileno()).st_size)
        return looked.chunks[xorb]

    def _map(self, xorb: str, looked: _Looked) -> _Map | None:
        """The map of a xorb, of files that are here; None where there is none."""
        if xorb not in looked.maps:
            where = self._maps / xorb
            known = json.loads(where.read_bytes()) if where.exists() else None
            runs = [tuple(run) for run in known["runs"] if self.large.blobs.size(run[2]) is not None] if known else []
            looked.maps[xorb] = None if known is None else _Map.of(known["sizes"], runs)
        return looked.maps[xorb]

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
        found = dict[str, list[tuple[int, int, str, int]]]()
        for span, offset in places:
            found.setdefault(span.xorb, []).append((span.start, span.end, sha256, offset))
        for xorb, runs in found.items():
            packed = self._packed / xorb
            if not packed.exists():
                continue
            known = self._map(xorb, looked) or _Map.of([chunk.size for chunk in self._chunks(xorb, looked)], ())
            new = [known.add(*run) for run in runs]
            if any(new):
                write_atomic(self._maps / xorb, known.to_bytes())
            if len(known.at) == len(known.sizes):
                packed.unlink(missing_ok=True)

    def _read(self, span: xet.Span, looked: _Looked) -> Iterator[bytes]:
        """The bytes of a span, from the packed xorb or from where its map says."""
        packed = self._packed / span.xorb
        if packed.exists():
            with packed.open("rb", buffering=0) as stream:
                for chunk in self._chunks(span.xorb, looked)[span.start : span.end]:
                    stream.seek(chunk.offset)
                    yield xet.unpack(stream.read(chunk.packed), chunk)
            return
        known, number = self._map(span.xorb, looked), span.start
        while number < span.end:
            if known is None or number not in known.at:
                raise Problem(400, _STALE)
            start, end, sha256, offset = known.at[number]
            until = min(end, span.end)
            first = offset + known.ends[number] - known.ends[start]
            yield from self.large.blobs.read(sha256, first, first + known.ends[until] - known.ends[number])
            number = until


def files_of(where: Path) -> set[str]:
    """The SHA-256 of each file that the map `where` leads to."""
    return {run[2] for run in json.loads(where.read_bytes())["runs"]}


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same chunks, each in one span alone."""
    done = 0
    for start, end in sorted(spans):
        if end > done:
            yield max(start, done), end
            done = end
