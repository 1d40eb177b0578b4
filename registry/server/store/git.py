"""Git as a command: no shell, no configuration of the machine, nothing that a request could smuggle in.

Names never reach git as arguments unless `names.py` has let them through; paths and revisions go over standard input.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import BoundedSemaphore, Timer
from typing import IO

from registry.server.problems import Problem, busy

ABSENT = "0" * 40
_CONFIG = (
    "safe.directory=*", "core.fsync=committed,loose-object", "gc.auto=0", "core.hooksPath=/dev/null",
    "core.protectHFS=true", "core.protectNTFS=true",
)  # fmt: skip
"""The last two refuse on every machine what is git's own folder on some."""
AT_ONCE = BoundedSemaphore(32)
"""Processes of git at once, of one worker; others wait. What clones is not among them."""
AT_LENGTH = defaultdict[str, BoundedSemaphore](lambda: BoundedSemaphore(4))
"""By command, those that have a bound of seconds, for what somebody wrote decides how long they take: one command that
is kept busy stops no other."""
SECONDS = 10.0
"""For patterns, merges and differences: git would look for some of them for ever."""
MAX_ARGUMENTS = 128 << 10
"""Bytes of the paths that one command line names; the kernel takes no more than two million."""
_KILLED = (b" died of signal ", b"terminated by signal ")
"""What git says of a process of its own that was killed."""
_APART: ContextVar[tuple[Path, Path] | None] = ContextVar("apart", default=None)
"""The repository whose new objects are kept apart, and where."""


class GitFailed(Exception):
    """Git ended with an error. words: what it wrote to standard error.  folder: of the repository."""

    def __init__(self, command: str, words: str, folder: Path) -> None:
        super().__init__(f"git {command}: {words}")
        self.words = words
        self.folder = folder


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What git needs of this process's variables, and `extra`."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TERMINAL_PROMPT": "0",
    } | dict(extra or {})


def command(folder: Path, *arguments: str, more: Sequence[str] = ()) -> list[str]:
    """The command line for `git ARGUMENTS` in the bare repository `folder`. more: of git's configuration."""
    return ["git", *(word for line in (*_CONFIG, *more) for word in ("-c", line)), f"--git-dir={folder}", *arguments]


@contextmanager
def quarantined(folder: Path, apart: Path) -> Iterator[None]:
    """Within, in this thread: objects that git writes to the repository in `folder` go to `apart`, until `admit`.

    So what is refused leaves nothing.
    """
    before = _APART.set((folder, apart))
    try:
        yield
    finally:
        _APART.reset(before)


def admit(folder: Path) -> None:
    """Move the objects that were kept apart to the repository; nothing, where none are."""
    where = _APART.get()
    if where is None or where[0] != folder:
        return
    for item in sorted(where[1].glob("??/*")):
        place = folder / "objects" / item.parent.name / item.name
        place.parent.mkdir(exist_ok=True)
        item.rename(place)
    _APART.set(None)


def _objects(folder: Path) -> dict[str, str]:
    """Where git writes objects, and where else it looks for them."""
    where = _APART.get()
    if where is None or where[0] != folder:
        return {}
    escaped = str(folder / "objects").replace("\\", "\\\\").replace('"', '\\"')
    return {"GIT_OBJECT_DIRECTORY": str(where[1]), "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{escaped}"'}


def run(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    extra: Mapping[str, str] | None = None,
    allowed: tuple[int, ...] = (0,),
    more: Sequence[str] = (),
    at: Path | None = None,
    seconds: float | None = None,
    into: IO[bytes] | None = None,
) -> bytes:
    """What git writes to standard output. at: the folder that it is run in.  seconds: how long it may take.

    into: the file that gets it instead.

    Raises GitFailed unless it ends in one of the codes `allowed`, and Problem as `done`.
    """
    ended = done(folder, *arguments, given=given, extra=extra, more=more, at=at, seconds=seconds, into=into)
    if ended.returncode not in allowed:
        raise GitFailed(arguments[0], words_of(ended), folder)
    return ended.stdout or b""


def done(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    extra: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
    at: Path | None = None,
    seconds: float | None = None,
    into: IO[bytes] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """How git ended, whatever its code; else as `run`.

    Raises Problem 400 where it takes longer, 503 where others do, before it, and where somebody killed it: nothing is
    known then of what was asked.
    """
    with _turn(arguments[0], seconds):
        try:
            ended = subprocess.run(
                command(folder, *arguments, more=more), input=given, stdout=into or subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment({**_objects(folder), **(extra or {})}), check=False, cwd=at,
                timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as problem:
            raise Problem(400, f"git {arguments[0]} would take longer than {seconds:.0f} seconds for this") from problem
    if ended.returncode < 0 or any(words in ended.stderr for words in _KILLED):
        raise Problem(503, f"git {arguments[0]} was killed: try again", headers={"Retry-After": "5"})
    return ended


def words_of(ended: subprocess.CompletedProcess[bytes]) -> str:
    """What git wrote to standard error."""
    return ended.stderr.decode(errors="replace").strip()


@contextmanager
def _turn(word: str, seconds: float | None) -> Iterator[None]:
    """Around a process of git that may take so long. Raises Problem 503 where others of that command take too long."""
    turns = AT_ONCE if seconds is None else AT_LENGTH[word]
    if not turns.acquire(timeout=None if seconds is None else 2 * seconds):
        raise busy("git")
    try:
        yield
    finally:
        turns.release()


def head_of(folder: Path, most: int, *arguments: str, seconds: float | None = None) -> bytes:
    """The first `most` bytes of what git writes in so many seconds; it is stopped there.

    Whatever git thinks of it is passed over. Raises Problem 503 as `run`.
    """
    with (
        _turn(arguments[0], seconds),
        subprocess.Popen(
            command(folder, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        ) as process,
    ):
        assert process.stdout is not None
        late = Timer(seconds, process.kill) if seconds is not None else None
        if late is not None:
            late.start()
        data = process.stdout.read(most)
        process.kill()
        if late is not None:
            late.cancel()
    return data


@contextmanager
def scratch_index(folder: Path) -> Iterator[dict[str, str]]:
    """Within: the variables of an index of its own, which has nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as scratch:
        yield {"GIT_INDEX_FILE": str(Path(scratch) / "index")}


def portions(paths: Iterable[str]) -> Iterator[list[str]]:
    """The same paths, as many at a time as a command line may name; an empty portion where there are none."""
    portion, size = list[str](), 0
    for path in paths:
        size += len(path.encode()) + 1
        if portion and size > MAX_ARGUMENTS:
            yield portion
            portion, size = [], len(path.encode()) + 1
        portion.append(path)
    yield portion
