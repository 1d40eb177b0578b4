"""What `git clone` and `git fetch` are answered, by git itself: its smart protocol, reading only.

Source: git, Documentation/gitprotocol-http.txt.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from registry.server.problems import Problem
from registry.server.store import git
from registry.server.store.repository import Repository

_VERSION = re.compile(r"version=[0-2]")


def advertised(repo: Repository, version: str) -> bytes:
    """The refs, as a client asks for them first. version: of the protocol, `version=2`; any other text is left out."""
    words = ("upload-pack", "--stateless-rpc", "--advertise-refs", str(repo.folder))
    return b"001e# service=git-upload-pack\n0000" + git.run(repo.folder, *words, extra=_told(version))


async def packed(repo: Repository, wants: bytes, version: str) -> AsyncIterator[bytes]:
    """The objects that `wants` asks for, as git packs them. Raises Problem 400 where git does not understand it."""
    pack = _pack(repo, wants, version)
    try:
        first = await anext(pack)  # git says at once whether it understands
    except StopAsyncIteration:
        raise Problem(400, "git does not understand this request") from None
    return _after(first, pack)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _pack(repo: Repository, wants: bytes, version: str) -> AsyncIterator[bytes]:
    process = await asyncio.create_subprocess_exec(
        *git.command(repo.folder, "upload-pack", "--stateless-rpc", str(repo.folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=git.environment(_told(version)),
    )
    assert process.stdin is not None and process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, wants))
    ended = False
    try:
        while chunk := await process.stdout.read(64 << 10):
            yield chunk
        ended = True
    finally:
        feeding.cancel()
        if not ended:  # the client went away
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _feed(stdin: asyncio.StreamWriter, wants: bytes) -> None:
    """Hand the request to git, which may end before it has read it all."""
    with suppress(ConnectionError):
        stdin.write(wants)
        await stdin.drain()
        stdin.close()


def _told(version: str) -> dict[str, str]:
    return {"GIT_PROTOCOL": version} if _VERSION.fullmatch(version) else {}
