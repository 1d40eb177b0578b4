"""The body of a commit: lines of JSON `{key, value}`, read from a spooled file one line at a time."""

from __future__ import annotations

import base64
import binascii
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from registry import canonical
from registry.formats.known import is_pointer
from registry.records.layout import GIT_ATTRIBUTES, MAX_REGULAR
from registry.records.record import Sha256
from registry.server.names import file_path
from registry.server.problems import Problem
from registry.server.shapes import Body, LongText, PathText, Size
from registry.server.store import git, objects, pointers
from registry.server.store.changes import Change, Delete, Put
from registry.server.store.repository import Repository

MAX_LINE = MAX_REGULAR * 4 // 3 + (64 << 10)
MAX_BODY = 1 << 30
MAX_CHANGES = 25_000


class Header(Body):
    """The first line: what the commit says of itself, and which commit it was made upon."""

    summary: LongText = ""
    description: LongText = ""
    parent: Annotated[str | None, Field(alias="parentCommit", pattern=r"^[0-9a-f]{7,40}$")] = None


class HeaderLine(Body):
    """{key: header}."""

    key: Literal["header"]
    value: Header


class RegularFile(Body):
    """A file whose bytes come along."""

    path: PathText
    content: str
    encoding: Literal["base64", "utf-8"] = "utf-8"


class RegularLine(Body):
    """{key: file}."""

    key: Literal["file"]
    value: RegularFile


class LargeFile(Body):
    """A file whose bytes are in the blob store already."""

    path: PathText
    oid: Sha256
    algo: Literal["sha256"] = "sha256"
    size: Size | None = None


class LargeLine(Body):
    """{key: lfsFile}."""

    key: Literal["lfsFile"]
    value: LargeFile


class Gone(Body):
    """What is to be deleted."""

    path: PathText


class GoneLine(Body):
    """{key: deletedFile} or {key: deletedFolder}."""

    key: Literal["deletedFile", "deletedFolder"]
    value: Gone


_Line = HeaderLine | RegularLine | LargeLine | GoneLine
LINE: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="key")])


@dataclass(frozen=True, slots=True)
class Asked:
    """A commit that is asked for. Its regular files are blobs already, kept apart until the commit is made."""

    summary: str
    description: str
    parent: str | None
    changes: tuple[Change, ...]
    size: int
    """Bytes of the regular files together, of all paths, and of the message."""
    large: Mapping[str, int]
    """{sha256: bytes} of the large files that it names: those that it has a right to."""
    apart: Path
    """The folder of the blobs."""

    @property
    def message(self) -> str:
        """The commit's message."""
        return f"{self.summary}\n\n{self.description}".strip() + "\n"

    def discard(self) -> None:
        """Let go of what was kept apart, and has not become a commit."""
        shutil.rmtree(self.apart, ignore_errors=True)


def read(body: Path, repo: Repository, check: Callable[[int], None] = lambda size: None) -> Asked:
    """Read the commit spooled at `body`, and keep its files apart, beside the repository, which may get another name.

    check: is told the bytes of it all before any is stored, and raises where they are too many.
    A large file must have been sent to this repository before. Raises Problem 400 for what cannot be committed,
    InputError and ValidationError for what is not a commit.
    """
    apart = Path(tempfile.mkdtemp(prefix=".commit-", dir=repo.folder.parent))
    try:
        with git.quarantined(repo.folder, apart):
            return _read(body, repo, apart, check)
    except BaseException:
        shutil.rmtree(apart, ignore_errors=True)
        raise


def _read(body: Path, repo: Repository, apart: Path, check: Callable[[int], None]) -> Asked:
    header = Header()
    slots: list[Delete | tuple[str, bool]] = []
    here, total, used = repo.contents.blobs(), 0, dict[str, int]()
    with tempfile.TemporaryDirectory(prefix="files-", dir=apart) as scratch:
        files: list[Path] = []
        for line in _lines(body):
            match LINE.validate_python(line):
                case HeaderLine(value=header):
                    continue
                case GoneLine(key=key, value=gone):
                    directory = key == "deletedFolder"
                    slots.append(Delete(file_path(gone.path.rstrip("/")), directory))
                    continue
                case RegularLine(value=regular):
                    path, data = file_path(regular.path), _content(regular)
                    large = _stands_for_large(path, data, here)
                case LargeLine(value=file):
                    path, data, large = file_path(file.path), _pointer(file, here), True
            if large and path.endswith(GIT_ATTRIBUTES):
                raise Problem(400, f"{path[:200]} tells git which files are large, and cannot be one itself")
            if large and (pointed := pointers.pointed(data)) is not None:
                used[pointed[0]] = pointed[1]
            files.append(Path(scratch) / str(len(files)))
            files[-1].write_bytes(data)
            total += len(path.encode()) + len(data)
            slots.append((path, large))
        if not slots:
            raise Problem(400, "the commit names no file: there is nothing to change")
        total += len(header.summary.encode()) + len(header.description.encode())
        check(total)
        oids = iter(objects.hash_objects(repo.folder, files))
    changes = tuple(slot if isinstance(slot, Delete) else Put(slot[0], next(oids), slot[1]) for slot in slots)
    return Asked(header.summary, header.description, header.parent, changes, total, used, apart)


def _lines(body: Path) -> Iterator[Any]:
    with body.open("rb") as stream:
        for _ in range(MAX_CHANGES + 1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE:
                raise Problem(413, f"a file of more than {MAX_REGULAR} bytes must go by LFS")
            if line.strip():
                yield canonical.parse(line, name="a line of the commit", max_depth=8)
    raise Problem(413, f"more than {MAX_CHANGES} changes in one commit")


def _content(file: RegularFile) -> bytes:
    try:
        data = base64.b64decode(file.content, validate=True) if file.encoding == "base64" else file.content.encode()
    except (binascii.Error, ValueError) as problem:
        raise Problem(400, f"the content of {file.path[:200]!r} is not base64") from problem
    if len(data) > MAX_REGULAR:
        raise Problem(413, f"{file.path[:200]!r} has more than {MAX_REGULAR} bytes and must go by LFS")
    return data


def _pointer(file: LargeFile, here: Mapping[str, int]) -> bytes:
    size = here.get(file.oid)
    if size is None or (file.size is not None and file.size != size):
        raise Problem(400, f"LFS pointer pointed to a file that does not exist: {file.path[:200]}")
    return pointers.pointer(file.oid, size)


def _stands_for_large(path: str, data: bytes, here: Mapping[str, int]) -> bool:
    """Whether these bytes are the pointer of a large file that is here.

    Raises Problem 400 for a pointer of any other: the file, and then the whole repository, could not be fetched.
    """
    if not is_pointer(data, len(data)):
        return False
    found = pointers.pointed(data)
    if found is None or here.get(found[0]) != found[1]:
        raise Problem(400, f"LFS pointer pointed to a file that does not exist: {path[:200]}")
    return True
