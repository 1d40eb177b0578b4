"""Work that changes a repository: each waits for its turn, and no other request waits with it.

The threads that answer readers are few and shared; a repository whose lock is held for long would take them all. So
work of this kind has threads of its own, AT_ONCE for one repository, and waits for one of those without any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from registry.server.problems import busy
from registry.server.store.repository import LOCK_SECONDS, Repository

AT_ONCE = 4
"""Pieces of work for one repository, of one worker."""
MAX_THREADS = 256
_THREADS = ThreadPoolExecutor(MAX_THREADS, "turn")
_TURNS: WeakValueDictionary[Path, asyncio.Semaphore] = WeakValueDictionary()

Given = ParamSpec("Given")
Made = TypeVar("Made")


async def in_turn(repo: Repository, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
    """What `work` returns, done outside the event loop. Raises Problem 503 where others before it take too long."""
    turns = _TURNS.setdefault(repo.folder, asyncio.Semaphore(AT_ONCE))
    try:
        async with asyncio.timeout(LOCK_SECONDS):
            await turns.acquire()
    except TimeoutError:
        raise busy(str(repo.name)) from None
    done = asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *given, **named))
    done.add_done_callback(lambda _: turns.release())
    return await asyncio.shield(done)
