"""What `git clone` and `git fetch` are answered, by git itself: its smart protocol, reading only.

Source: git, Documentation/gitprotocol-http.txt.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import IO

from registry.server.store import git
from registry.server.store.repository import Repository

_VERSION = re.compile(r"version=[0-2]")


def advertised(repo: Repository, version: str) -> bytes:
    """The refs, as a client asks for them first. version: of the protocol, `version=2`; any other text is left out."""
    words = ("upload-pack", "--stateless-rpc", "--advertise-refs", str(repo.folder))
    return b"001e# service=git-upload-pack\n0000" + git.run(repo.folder, *words, extra=_told(version))


async def packed(repo: Repository, wants: IO[bytes], version: str) -> AsyncIterator[bytes]:
    """The objects that `wants` asks for, as git packs them; nothing where git does not understand it.

    wants: a file, from its beginning; git has it once the first bytes come.
    """
    process = await asyncio.create_subprocess_exec(
        *git.command(repo.folder, "upload-pack", "--stateless-rpc", str(repo.folder)),
        stdin=wants,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=git.environment(_told(version)),
    )
    assert process.stdout is not None
    ended = False
    try:
        while chunk := await process.stdout.read(64 << 10):
            yield chunk
        ended = True
    finally:
        if not ended:  # the client went away
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def _told(version: str) -> dict[str, str]:
    return {"GIT_PROTOCOL": version} if _VERSION.fullmatch(version) else {}
