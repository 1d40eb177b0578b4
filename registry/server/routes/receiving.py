"""Reading requests: every body has a bound, a deadline for its next bytes, and a shape."""

from __future__ import annotations

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator
from typing import IO, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from registry import canonical
from registry.digest import CHUNK
from registry.server.problems import Problem, busy
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
    """The whole body. Raises Problem 413 beyond `limit` bytes, 503 where bodies take all the memory that they may."""
    data, memory, address = bytearray(), request.app.state.memory, address_of(request)
    try:
        async for chunk in chunks(request):
            if len(data) + len(chunk) > limit:
                raise Problem(413, f"a body of more than {limit} bytes")
            if not memory.take(address, len(chunk)):
                raise busy("the server's memory")
            data += chunk
        return bytes(data)
    finally:
        memory.give_back(address, len(data))


async def read_to_disk(request: Request, limit: int) -> IO[bytes]:
    """The whole body, unpacked where it is gzip, in a file without a name. Raises Problem 413 beyond `limit` bytes."""
    packed = request.headers.get("content-encoding") == "gzip"
    unpack = zlib.decompressobj(wbits=31) if packed else None
    file = tempfile.TemporaryFile()  # noqa: SIM115  # who asked closes it
    try:
        async for chunk in chunks(request):
            try:
                plain = chunk if unpack is None else unpack.decompress(chunk, limit + 1)
            except zlib.error as problem:
                raise Problem(400, "the body is not gzip") from problem
            if file.tell() + len(plain) > limit:
                raise Problem(413, f"a body of more than {limit} bytes")
            await run_in_threadpool(file.write, plain)
        await run_in_threadpool(file.seek, 0)
    except BaseException:
        file.close()
        raise
    return file


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return (request.scope.get("client") or ("?",))[0]


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
