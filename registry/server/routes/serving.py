"""Answers that carry a file: whole, one range of it, or its head alone.

Source: RFC 9110, section 14 (ranges), 13.1.2 (If-None-Match) and 13.1.5 (If-Range). Who asks for several ranges gets
the whole file, which it allows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from registry.server.problems import Problem
from registry.server.store.large_files import PAUSE, Content

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def etag(content: Content) -> str:
    """The ETag of a file: its digest."""
    return f'"{content.digest}"'


def file(request: Request, content: Content, headers: dict[str, str], media_type: str) -> Response:
    """A file as `request` asks for it. headers: more of them."""
    size = content.size
    headers = {"Accept-Ranges": "bytes", "ETag": etag(content), **headers}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or headers["ETag"] in re.findall(r'"[^"]*"', known):
        return Response(status_code=304, headers=headers)
    asked = asked_range(request, size, headers["ETag"])
    start, end = asked or (0, size)
    headers["Content-Length"] = str(end - start)
    if asked is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 200 if asked is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_chunks(content.read(start, end)), status, headers, media_type)


def asked_range(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """The (start, end) that is asked for of what has the ETag `tag`; None for all of it.

    Raises Problem 416 where there are no such bytes.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found[0] == "bytes=-" or request.headers.get("if-range", tag) != tag:
        return None
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size) + 1, size)
        if found[2] and int(found[2]) < start:
            return None  # no range at all, says section 14.1.1
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        raise Problem(416, "there are no such bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, end


async def _chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same, read outside the event loop; let go of at the end, also where the client goes away."""
    try:
        while (chunk := await run_in_threadpool(next, chunks, None)) is not None:
            if chunk:
                yield chunk
            else:
                await asyncio.sleep(PAUSE)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
