"""Reading requests: every body has a bound, a deadline for its next bytes, and a shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from registry import canonical
from registry.digest import CHUNK
from registry.server.problems import Problem
from registry.server.routes.asking import hub
from registry.server.routes.declared import check_body
from registry.server.shapes import Body
from registry.server.store.uploads import Upload

MAX_JSON = 8 << 20

Shape = TypeVar("Shape", bound=Body)


async def read(request: Request, model: type[Shape]) -> Shape:
    """The JSON body, as `model`. Raises Problem 413, InputError for no strict JSON, ValidationError for others."""
    check_body(request, model)
    data = await read_bytes(request, MAX_JSON)
    return model.model_validate(canonical.parse(data, name="the body", max_depth=16) if data else {})


async def read_bytes(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem 413 beyond `limit` bytes."""
    data = bytearray()
    async for chunk in chunks(request):
        data += chunk
        if len(data) > limit:
            raise Problem(413, f"a body of more than {limit} bytes")
    return bytes(data)


async def spool(request: Request, upload: Upload) -> None:
    """Write the body to `upload`, a chunk of CHUNK bytes at a time, outside the event loop."""
    waiting = bytearray()
    async for chunk in chunks(request):
        waiting += chunk
        if len(waiting) >= CHUNK:
            await run_in_threadpool(upload.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(upload.write, bytes(waiting))


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem 408 where the client falls silent for longer than the limits allow."""
    stream, patience = aiter(request.stream()), hub(request).limits.idle_seconds
    while True:
        try:
            async with asyncio.timeout(patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as problem:
            raise Problem(408, f"no byte for {patience} s") from problem
        yield chunk
