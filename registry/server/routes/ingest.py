"""Routes of Xet uploads: what its clients send is put together to whole files, which are kept as all others.

They read over plain HTTP, for no answer offers Xet for reading. What is kept of a xorb, once its chunks are in files,
is a small map that says where: a client that remembers having sent it need not send it again. A xorb is for who sent
it, and for nobody else: knowing its hash opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.files import write_atomic
from registry.server import bodies
from registry.server.problems import Problem
from registry.server.routes import large
from registry.server.routes.declared import BYTES, takes
from registry.server.state import UPLOADS, Hub, base_url, check_quota, hub, writable
from registry.server.store import xet
from registry.server.store.uploads import PACKED, Upload

_HASH = re.compile(r"[0-9a-f]{64}")
_STALE = "your client remembers sending what is not here any more: remove $HF_HOME/xet, or set HF_HUB_DISABLE_XET=1"


def write_token(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/xet-write-token/{revision}: where and with what to send, for an hour. 404 without Xet."""
    here = hub(request)
    if not here.xet:
        raise Problem(404, "this server takes no uploads by Xet: set HF_HUB_DISABLE_XET=1")
    repo, user = writable(request)
    query = here.links.query(action="xet", repo=f"{repo.name.kind}/{repo.name}", user=user.name)
    token = base64.urlsafe_b64encode(query.encode()).decode()
    url, expires = f"{base_url(request)}/xet", dict(parse_qsl(query))["expires"]
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": expires}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": int(expires)}, headers=headers)


@takes(media=(BYTES,))
async def xorb(request: Request) -> JSONResponse:
    """POST /xet/v1/xorbs/default/{hash}: packed chunks, kept for the shard that will name them."""
    claims, name = _claims(request), request.path_params["hash"]
    if not _HASH.fullmatch(name):
        raise Problem(400, "a xorb is named by 64 hex characters")
    sent = Sent(hub(request), claims["user"])
    await run_in_threadpool(sent.refuse_too_much, request, claims)
    with hub(request).uploads.one(xet.MAX_XORB) as upload:
        await bodies.spool(request, upload)
        new = await run_in_threadpool(sent.keep, upload, name)
    return JSONResponse({"was_inserted": new})


@takes(media=(BYTES,))
async def shard(request: Request) -> JSONResponse:
    """POST /xet/v1/shards: which chunks make which files. They are put together, and must have their SHA-256."""
    claims = _claims(request)
    body = await bodies.read_bytes(request, xet.MAX_SHARD)
    await run_in_threadpool(_shard, request, claims, body)
    return JSONResponse({"result": 1})


def known_chunk(request: Request) -> JSONResponse:
    """GET /xet/v1/chunks/default/{hash}: 404, for what one client sent is no help to another."""
    raise Problem(404, "not told")


def _claims(request: Request) -> dict[str, str]:
    """What the Xet token of the request was signed for. Raises Problem 401."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        query = dict(parse_qsl(base64.b64decode(token, altchars=b"-_", validate=True).decode()))
        return dict(hub(request).links.claims(query, "xet"))
    except (binascii.Error, ValueError, Problem) as problem:
        raise Problem(401, "the Xet token is not valid, or no longer") from problem


def _shard(request: Request, claims: dict[str, str], body: bytes) -> None:
    here, sent = hub(request), Sent(hub(request), claims["user"])
    for file in xet.files(body):
        repo = large.claimed(request, claims)
        if repo.contents.blobs().get(file.sha256) == file.size and here.blobs.size(file.sha256) == file.size:
            continue
        check_quota(request, repo, file.size)
        with here.uploads.one(file.size) as upload:
            places = sent.assemble(file, upload)
            upload.finish(file.sha256, file.size)
            large.keep(request, claims | {"oid": file.sha256, "size": str(file.size)}, upload.path)
        sent.remember(file.sha256, places)


@dataclass(frozen=True, slots=True)
class Sent:
    """The xorbs that the user `user` has sent: packed, until their chunks are in files; then a map of where they are.

    A map is {sizes: of each chunk, runs: [first chunk, end, SHA-256 of a file, offset in it]}.
    """

    hub: Hub
    user: str

    @property
    def _packed(self) -> Path:
        return self.hub.root / UPLOADS / f"{PACKED}{self.user}"

    @property
    def _maps(self) -> Path:
        return self.hub.root / "xet" / self.user

    def refuse_too_much(self, request: Request, claims: dict[str, str]) -> None:
        """Raise Problem 403 where what is packed would take the namespace beyond its quota."""
        if self._packed.is_dir():
            waiting = sum(item.stat().st_size for item in os.scandir(self._packed))
            check_quota(request, large.claimed(request, claims), waiting)

    def keep(self, upload: Upload, name: str) -> bool:
        """Keep a xorb; whether it is new. Raises Problem 400 for what is none."""
        with upload.path.open("rb") as stream:
            if not xet.chunks(stream, upload.size):
                raise Problem(400, "a malformed xorb")
        place = self._packed / name
        new = not place.exists()
        place.parent.mkdir(exist_ok=True)
        upload.path.replace(place)
        return new

    def assemble(self, file: xet.File, upload: Upload) -> list[tuple[xet.Segment, int]]:
        """Write the file to `upload`; at which offset each segment starts. Problem 400 where a chunk is missing."""
        places = []
        for segment in file.segments:
            places.append((segment, upload.size))
            for data in self._read(segment):
                upload.write(data)
            if upload.size != places[-1][1] + segment.size:
                raise Problem(400, f"the chunks of {segment.xorb} do not have the size that the shard says")
        return places

    def remember(self, sha256: str, places: list[tuple[xet.Segment, int]]) -> None:
        """Note that each segment now stands in the file `sha256`; let go of xorbs of which every chunk does."""
        for segment, offset in places:
            packed, where = self._packed / segment.xorb, self._maps / segment.xorb
            if not packed.exists():
                continue
            with packed.open("rb") as stream:
                sizes = [chunk.size for chunk in xet.chunks(stream, packed.stat().st_size)]
            known: dict[str, Any] = json.loads(where.read_bytes()) if where.exists() else {"sizes": sizes, "runs": []}
            known["runs"].append([segment.start, segment.end, sha256, offset])
            write_atomic(where, json.dumps(known).encode())
            covered = {number for start, end, *_ in known["runs"] for number in range(start, end)}
            if covered >= set(range(len(sizes))):
                packed.unlink(missing_ok=True)

    def _read(self, segment: xet.Segment) -> Iterator[bytes]:
        """The bytes of a segment, from the packed xorb or from where its map says."""
        packed, where = self._packed / segment.xorb, self._maps / segment.xorb
        if packed.exists():
            with packed.open("rb") as stream:
                for chunk in xet.chunks(stream, packed.stat().st_size)[segment.start : segment.end]:
                    stream.seek(chunk.offset)
                    yield xet.unpack(stream.read(chunk.packed), chunk)
            return
        known = json.loads(where.read_bytes()) if where.exists() else {"sizes": [], "runs": []}
        number = segment.start
        while number < segment.end:
            for start, end, sha256, offset in known["runs"]:
                if start <= number < end and self.hub.blobs.size(sha256) is not None:
                    first = offset + sum(known["sizes"][start:number])
                    until = min(end, segment.end)
                    yield from self.hub.blobs.read(sha256, first, first + sum(known["sizes"][number:until]))
                    number = until
                    break
            else:
                raise Problem(400, _STALE)
