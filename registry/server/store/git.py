"""Git as a command: no shell, no configuration of the machine, nothing that a request could smuggle in.

Names never reach git as arguments unless `names.py` has let them through; paths and revisions go over standard input.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
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
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n")
_FORM = "--format=%H%x00%an%x00%cd%x00%s%x00%b%x00%x1e"
_BRIEF = "--format=%H%x00%an%x00%cd%x00%<(500,trunc)%s%x00%x00%x1e"
"""The same of commits that say too much: how each begins."""
_STAMP = "--date=format-local:%Y-%m-%dT%H:%M:%S.000Z"
MAX_LOG = 4 << 20
"""Bytes of a history that are held in memory."""
MAX_LOOK_BACK = 1000
"""Commits that are looked through for the last change of a file."""
_LOOSE = re.compile(rb"[0-9a-f]{40}\n")
"""What stands in the file of a ref that is not packed, and of no other ref."""
_COMMITTED = re.compile(rb"^committer .* ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)
POINTER_SIZES = range(120, 160)
"""Bytes of a pointer: 126 and the digits of a size."""


AT_ONCE = BoundedSemaphore(32)
"""Processes of git at once, of one worker; others wait. What clones is not among them."""
AT_LENGTH = defaultdict[str, BoundedSemaphore](lambda: BoundedSemaphore(4))
"""By command, those that have a bound of seconds, for what somebody wrote decides how long they take: one command that
is kept busy stops no other."""
SECONDS = 10.0
"""For patterns, merges and differences: git would look for some of them for ever."""
MAX_ARGUMENTS = 128 << 10
"""Bytes of the paths that one command line names; the kernel takes no more than two million."""
_APART: ContextVar[tuple[Path, Path] | None] = ContextVar("apart", default=None)
"""The repository whose new objects are kept apart, and where."""


class GitFailed(Exception):
    """Git ended with an error. words: what it wrote to standard error."""

    def __init__(self, command: str, words: str) -> None:
        super().__init__(f"git {command}: {words}")
        self.words = words


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One line of a tree.

    path: from the root of the repository.  oid: git's SHA-1 of the blob or tree.  size: bytes of the content (of the
    large file, not of its pointer); 0 for a directory.  sha256: of the large file, None for all else.
    pointer_size: bytes of the pointer in git.
    """

    path: str
    oid: str
    size: int
    directory: bool = False
    sha256: str | None = None
    pointer_size: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. date: RFC 3339 with milliseconds and Z, the one form every client reads."""

    oid: str
    author: str
    date: str
    title: str
    message: str


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

    Raises GitFailed unless it ends in one of the codes `allowed`, Problem 400 where it takes longer, 503 where others
    do, before it.
    """
    with _turn(arguments[0], seconds):
        try:
            done = subprocess.run(
                command(folder, *arguments, more=more), input=given, stdout=into or subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment({**_objects(folder), **(extra or {})}), check=False, cwd=at,
                timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as problem:
            raise Problem(400, f"git {arguments[0]} would take longer than {seconds:.0f} seconds for this") from problem
    if done.returncode not in allowed:
        raise GitFailed(arguments[0], done.stderr.decode(errors="replace").strip())
    return done.stdout or b""


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


def refs(folder: Path, *patterns: str) -> dict[str, str]:
    """{full name: commit} of the refs that match, or of all branches and tags; tags are followed to their commit."""
    form = "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objectname)"
    found = {}
    for line in run(folder, "for-each-ref", form, *(patterns or ("refs/heads/", "refs/tags/"))).decode().splitlines():
        name, kind, oid, peeled = line.split("\0")
        found[name] = oid if kind == "commit" else peeled
    return found


def loose(folder: Path, branch: str) -> str | None:
    """The commit of a branch or a pull request, by its full name, as git wrote it last; None where git has to be asked.

    Source: gitrepository-layout(5), `refs` and `packed-refs`: the file of a ref counts before what is packed.
    """
    with suppress(OSError):
        data = (folder / branch).read_bytes()
        return data[:-1].decode() if _LOOSE.fullmatch(data) else None
    return None


def tip(folder: Path, branch: str) -> str | None:
    """The commit of a branch or a pull request, by its full name; None where there is none."""
    return loose(folder, branch) or refs(folder, branch).get(branch)


@contextmanager
def scratch_index(folder: Path) -> Iterator[dict[str, str]]:
    """Within: the variables of an index of its own, which has nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as scratch:
        yield {"GIT_INDEX_FILE": str(Path(scratch) / "index")}


def is_commit(folder: Path, oid: str) -> bool:
    """Whether the 40 hex characters `oid` are a commit of this repository."""
    return run(folder, "cat-file", "--batch-check", given=oid.encode() + b"\n").startswith(oid.encode() + b" commit ")


def whole(folder: Path, start: str) -> str | None:
    """The one commit of this repository whose name begins with the hex characters `start`; None for none or several."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{start}^{{commit}}")
    found = run(folder, *words, allowed=(0, 1, 128)).decode().strip()
    return found if found.startswith(start) else None


def tree(folder: Path, commit: str, paths: Iterable[str] = (), *, recursive: bool = False) -> list[TreeRow]:
    """The rows of `commit`, all of them or those of `paths`; a path that ends in `/` means what is in the directory."""
    options = ["-r", "-t"] if recursive else []
    words = ("ls-tree", "-z", "-l", "--full-tree", *options, commit, "--")
    rows = []
    for line in _of_portions(folder, words, paths):
        facts, path = line.split("\t", 1)
        _, kind, oid, size = facts.split()
        rows.append(TreeRow(path, oid, 0 if size == "-" else int(size), directory=kind == "tree"))
    return _with_large_files(folder, rows)


def file_names(folder: Path, commit: str, paths: Iterable[str] = ()) -> list[str]:
    """The path of every file at `commit`; below `paths`, where some are named."""
    return _of_portions(folder, ("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--"), paths)


def _of_portions(folder: Path, words: Sequence[str], paths: Iterable[str]) -> list[str]:
    """What git lists of those paths, of all for none: by as many processes as it takes to name them."""
    listings = (run(folder, *words, *portion).decode() for portion in _portions(paths))
    return [line for listing in listings for line in listing.split("\0")[:-1]]


def _portions(paths: Iterable[str]) -> Iterator[list[str]]:
    """The same paths, as many at a time as a command line may name; an empty portion where there are none."""
    portion, size = list[str](), 0
    for path in paths:
        size += len(path.encode()) + 1
        if portion and size > MAX_ARGUMENTS:
            yield portion
            portion, size = [], len(path.encode()) + 1
        portion.append(path)
    yield portion


def read_file(folder: Path, commit: str, path: str) -> tuple[TreeRow, bytes] | None:
    """The file `path` at `commit` and its bytes in git (of a large file: the pointer), by one process; None for none.

    No blob in git is larger than what a commit may carry, so it fits into memory.
    """
    with _in_memory() as answer:
        run(folder, "cat-file", "--batch", given=f"{commit}:{path}\n".encode(), into=answer)
        answer.seek(0)
        match answer.readline().decode(errors="replace").split():
            case [oid, "blob", size]:
                data = answer.read(int(size))
            case _:
                return None
    large = pointed(data)
    if large is None:
        return TreeRow(path, oid, len(data)), data
    return TreeRow(path, oid, large[1], sha256=large[0], pointer_size=len(data)), data


def _in_memory() -> IO[bytes]:
    """A file that is on no disk, where the system has such: read from a pipe, in pieces, ten megabytes leave holes in
    the memory of each thread that others do not fill."""
    return os.fdopen(os.memfd_create("git"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def contents(folder: Path, names: Sequence[str], kind: str | None = None) -> list[bytes | None]:
    """The bytes of each object named, as `commit:path` or any other way of git's; None for what is not there.

    kind: `blob`, `tree` or `commit`, where all else is as good as not there.
    """
    given = "".join(f"{name}\n" for name in names).encode()
    batch, found, start = run(folder, "cat-file", "--batch", given=given) if names else b"", list[bytes | None](), 0
    for _ in names:
        end = batch.index(b"\n", start)
        size = batch[start:end].rpartition(b" ")[2]
        if not size.isdigit():  # `NAME missing`, or `NAME ambiguous`
            found.append(None)
            start = end + 1
            continue
        fits = kind is None or batch[start:end].split(b" ")[1] == kind.encode()
        found.append(batch[end + 1 : end + 1 + int(size)] if fits else None)
        start = end + 2 + int(size)
    return found


def names_in(tree: bytes) -> list[str]:
    """What stands in a tree itself, from the bytes that git keeps of it: `mode name NUL id`, time and again."""
    found, start = [], 0
    while start < len(tree):
        space, end = tree.index(b" ", start), tree.index(b"\0", start)
        found.append(tree[space + 1 : end].decode(errors="replace"))
        start = end + 1 + len(ABSENT) // 2
    return found


def object_name(kind: str, data: bytes) -> str:
    """What git calls an object of that kind with those bytes."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def date_of(commit: bytes) -> str:
    """When a commit was made, from the bytes that git keeps of it: RFC 3339, as in Commit."""
    found = _COMMITTED.search(commit.partition(b"\n\n")[0])
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(found[1]) if found else 0))


def hash_objects(folder: Path, files: Sequence[Path], kind: str = "blob") -> list[str]:
    """Store `files` as objects of that kind, all by one process, as they are (no filter, no line-end conversion)."""
    if not files:
        return []
    given = "".join(f"{path}\n" for path in files).encode()
    words = ("hash-object", "-w", "-t", kind, "--no-filters", "--stdin-paths")
    return run(folder, *words, given=given).decode().split()


def write_trees(folder: Path, trees: Sequence[bytes]) -> list[str]:
    """Store trees, each as git keeps it, flushed to the disk: `git mktree` heeds no setting, and flushes none."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as scratch:
        files = [Path(scratch) / str(number) for number in range(len(trees))]
        for file, tree in zip(files, trees, strict=True):
            file.write_bytes(tree)
        return hash_objects(folder, files, "tree")


def fill_index(folder: Path, index: Mapping[str, str], entries: Mapping[str, str | None]) -> None:
    """Write {path: blob, or None for gone} to an index. Raises Problem 400 for a path that git refuses.

    Git passes over some of those in silence but for a remark: whatever it remarks is a refusal.
    """
    lines = [
        f"100644 {oid}\t{path}\0" if oid else f"0 {ABSENT}\t{path}\0"
        for path, oid in sorted(entries.items(), key=lambda item: item[1] is not None)
    ]
    words = ("update-index", "-z", "--index-info")
    done = subprocess.run(
        command(folder, *words), input="".join(lines).encode(), capture_output=True,
        env=environment({**_objects(folder), **index}), check=False,
    )  # fmt: skip
    if done.returncode or done.stderr:
        said = done.stderr.decode(errors="replace").strip()
        if "nvalid path" in said or "Ignoring path" in said:
            raise Problem(400, f"git refuses one of the paths: {said[:300]}")
        raise GitFailed(words[0], said)


def log(folder: Path, commit: str, *, limit: int, skip: int = 0, without: str | None = None) -> list[Commit]:
    """The history of `commit`, newest first: no commit before one that was made upon it.

    Where they say more than MAX_LOG bytes together, only how each begins is told.
    without: another commit, whose history is left out.
    """
    span = [commit, f"^{without}"] if without else [commit]
    words = ("log", "--topo-order", _STAMP, f"--max-count={limit}", f"--skip={skip}")
    told = head_of(folder, MAX_LOG + 1, *words, _FORM, *span)
    return _commits(told if len(told) <= MAX_LOG else run(folder, *words, _BRIEF, *span))


def last_changes(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, Commit]:
    """{path: the newest commit on the main line of `commit` that changed it, or anything in it}; not of old ones."""
    asked: dict[str, str] = {}
    for portion in _portions(paths):
        asked |= _last_changes(folder, commit, portion)
    words = ("log", "--no-walk=unsorted", _STAMP, _FORM, *sorted(set(asked.values())))
    commits = {each.oid: each for each in _commits(run(folder, *words))} if asked else {}
    return {path: commits[oid] for path, oid in asked.items()}


def _last_changes(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """The same, of as many as a command line may name: {path: the name of the commit}."""
    options = ("-m", "--first-parent", "--no-renames", "--name-only", "-z", f"--max-count={MAX_LOOK_BACK}")
    text = run(folder, "log", *options, "--format=%x1e%H", commit, "--", *paths).decode(errors="replace")
    found: dict[str, str] = {}
    oid = ""
    for token in text.split("\0"):
        name = token.lstrip("\n")
        if name.startswith("\x1e"):
            oid = name[1:]
            continue
        for path in (name, *(name[:place] for place, letter in enumerate(name) if letter == "/")):
            found.setdefault(path, oid)
    return {path: found[path] for path in paths if path in found}


def pointer(sha256: str, size: int) -> bytes:
    """What stands in git for a large file. Source: git-lfs, docs/spec.md, "The Pointer"."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def pointed(data: bytes) -> tuple[str, int] | None:
    """(SHA-256, bytes) of the large file whose pointer `data` is, letter for letter; None for what is not one."""
    found = _POINTER.fullmatch(data)
    return None if found is None else (found[1].decode(), int(found[2]))


def _commits(log: bytes) -> list[Commit]:
    """The commits that `git log` writes in _FORM."""
    found = []
    for chunk in log.decode(errors="replace").split("\0\x1e")[:-1]:
        oid, author, date, title, message = chunk.lstrip("\n").split("\0", 4)
        found.append(Commit(oid, author, date, title.rstrip(), message.strip()))
    return found


def _with_large_files(folder: Path, rows: list[TreeRow]) -> list[TreeRow]:
    """The same rows, pointers replaced by what they point to."""
    asked = sorted({row.oid for row in rows if not row.directory and row.size in POINTER_SIZES})
    if not asked:
        return rows
    found = _pointers(run(folder, "cat-file", "--batch", given="\n".join(asked).encode() + b"\n"))
    return [
        TreeRow(row.path, row.oid, found[row.oid][1], sha256=found[row.oid][0], pointer_size=row.size)
        if row.oid in found and not row.directory
        else row
        for row in rows
    ]


def _pointers(batch: bytes) -> dict[str, tuple[str, int]]:
    """{blob: (sha256, size)} of those blobs in the output of `cat-file --batch` that are pointers."""
    found: dict[str, tuple[str, int]] = {}
    start = 0
    while start < len(batch):
        end = batch.index(b"\n", start)
        oid, _, size = batch[start:end].decode().split()
        match = _POINTER.fullmatch(batch, end + 1, end + 1 + int(size))
        if match is not None:
            found[oid] = (match[1].decode(), int(match[2]))
        start = end + 2 + int(size)
    return found
