"""Copies of another Hub's repositories, made when they are first asked for: branches and tags by git, files by digest.

Laws: a name whose owner has anything here is never looked for there, so nobody upstream can take the place of what is
missing here. What is private there, or has a gate, is copied by the operator's own token alone, and is private here.
What a branch stands for is asked again after FRESH_SECONDS; a commit that is here never changes, and is asked for
after PINNED_SECONDS only, in case it was taken away. Where upstream does not answer, what is here is served, with its
age.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from registry.errors import Unavailable
from registry.files import write_atomic
from registry.hub.client.upstream import ToldOf, Upstream
from registry.hub.reference import is_commit, is_name
from registry.server.locks import locked
from registry.server.names import KINDS, RepoName
from registry.server.problems import REPO_NOT_FOUND, Problem
from registry.server.store import fetching, reachable, refs
from registry.server.store.local import LocalBlobs
from registry.server.store.mirrored_files import MirroredFiles
from registry.server.store.named import Tombstone, spelled
from registry.server.store.places import BLOBS, COMING, MIRROR, REPOSITORIES
from registry.server.store.quota import Quota
from registry.server.store.remains import sweep
from registry.server.store.repository import PRIVATE, UPSTREAM, Repository
from registry.server.store.uploads import Uploads

FRESH_SECONDS = 60.0
PINNED_SECONDS = 3600.0
MAX_ABSENT = 10_000
"""Names that upstream does not have, which a process remembers."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


@dataclass(frozen=True, slots=True)
class Mirror:
    """The mirror of one server."""

    own: Path
    """The folder of the server's own repositories."""
    root: Path
    """The folder of the copies, and of what is kept for them."""
    files: MirroredFiles
    """Their large files."""
    _absent: OrderedDict[RepoName, float] = field(default_factory=OrderedDict)
    _tried: dict[RepoName, float] = field(default_factory=dict)
    _short: OrderedDict[tuple[str, str], tuple[float, str | None]] = field(default_factory=OrderedDict)

    @classmethod
    def of(cls, root: Path, upstream: Upstream, most: int | None) -> Mirror:
        """The one of the server in `root`. most: bytes of all that it keeps."""
        place = root / MIRROR
        for name in (REPOSITORIES, COMING):
            (place / name).mkdir(parents=True, exist_ok=True)
        sweep(place / REPOSITORIES)
        uploads = Uploads(place / COMING)
        files = MirroredFiles(
            place, LocalBlobs(place / BLOBS), uploads, Quota(place, None), upstream=upstream, most=most
        )
        return cls(root / REPOSITORIES, place, files)

    @property
    def repositories(self) -> Path:
        """The folder of the copies."""
        return self.root / REPOSITORIES

    def is_for(self, name: RepoName) -> bool:
        """Whether a repository of that name may come from upstream: nothing here has its owner's name, in any case."""
        return not any(spelled(self.own, RepoName(kind, name.owner, name.name)) for kind in KINDS)

    def find(self, name: RepoName) -> Repository:
        """The copy of that name. Raises Problem 404 where there is none."""
        return Repository.open(self.repositories, name)

    def full_name(self, kind: str, short: str) -> str | None:
        """What upstream calls a repository that is asked for without an owner, such as `gpt2`; None for none.

        Raises Problem 503 where it does not answer.
        """
        if not is_name(short):
            return None
        known = self._short.get((kind, short), (float("-inf"), None))
        if known[0] < time.monotonic() - PINNED_SECONDS:
            try:
                told = self.files.upstream.about(kind, short)
            except Unavailable as problem:
                raise Problem(503, problem.message, headers={"Retry-After": "10"}) from problem
            whole = told.name if told is not None and "/" in told.name else None
            known = self._short[kind, short] = time.monotonic(), whole
            while len(self._short) > MAX_ABSENT:
                self._short.popitem(last=False)
        return known[1]

    def refresh(self, name: RepoName, revision: str | None) -> None:
        """Have the copy of that name, and as fresh as `revision` asks for. It takes as long as upstream takes.

        Raises Problem 404 where upstream has none, or shows none to us; 503 where it does not answer, and there is no
        copy either.
        """
        copy = self._copy(name)
        if copy is not None and self._is_fresh(copy, revision):
            return
        if copy is None and self._absent.get(name, float("-inf")) > time.monotonic() - FRESH_SECONDS:
            raise _not_there()
        with locked(self.root / COMING / f"{sha256(name.url_path.lower().encode()).hexdigest()[:3]}.lock"):
            copy = self._copy(name)  # somebody else may have done it
            if copy is not None and self._is_fresh(copy, revision):
                return
            try:
                self._ask(name, copy)
            except Unavailable as problem:
                if copy is None:
                    raise Problem(503, problem.message, headers={"Retry-After": "10"}) from problem
            finally:
                if copy is not None:
                    self._tried[copy.name] = time.monotonic()

    def _copy(self, name: RepoName) -> Repository | None:
        with suppress(Problem):
            return self.find(name)
        return None

    def _is_fresh(self, copy: Repository, revision: str | None) -> bool:
        pinned = revision is not None and is_commit(revision) and refs.is_commit(copy.folder, revision)
        if self._tried.get(copy.name, float("-inf")) > time.monotonic() - FRESH_SECONDS:
            return True  # it was asked, and has answered or not
        return copy.asked > time.time() - (PINNED_SECONDS if pinned else FRESH_SECONDS)

    def _ask(self, name: RepoName, copy: Repository | None) -> None:
        """Ask upstream, and make the copy what it says."""
        wanted = copy.name if copy is not None else name
        told = self.files.upstream.about(wanted.kind, str(wanted))
        if told is None or (told.closed and self.files.upstream.token is None):
            if copy is not None:  # it was taken away from strangers there, and so it is here
                (copy.folder / PRIVATE).touch()
                os.utime(copy.folder / UPSTREAM)
                return
            self._absent[name] = time.monotonic()
            while len(self._absent) > MAX_ABSENT:
                self._absent.popitem(last=False)
            raise _not_there()
        owner, _, short = told.name.partition("/")
        new = RepoName(wanted.kind, owner, short)
        if not self.is_for(new):
            raise _not_there()
        url = f"{self.files.upstream.endpoint}/{new.url_path}"
        if copy is not None and copy.name == new:
            with copy.lock():
                self._fill(copy, url, told)
        else:
            Repository.born(self.repositories, new, lambda made: self._fill(made, url, told), private=told.closed)
        if str(new).lower() != str(name).lower():
            Tombstone(name, "upstream", int(time.time()), {}, private=True, moved_to=new).write(self.repositories)
        self.files.make_room()

    def _fill(self, copy: Repository, url: str, told: ToldOf) -> None:
        before = refs.named(copy.folder)
        refs.free_all(copy.folder)
        fetching.fetch(copy.folder, url, self.files.upstream.token)
        if refs.named(copy.folder) != before:
            copy.contents.append({oid: known.size for oid, known in reachable.large_files(copy.folder).items()})
        if told.closed:
            (copy.folder / PRIVATE).touch()
        else:
            (copy.folder / PRIVATE).unlink(missing_ok=True)
        write_atomic(copy.folder / UPSTREAM, f"{url}\n".encode())
        if told.created is not None and _DATE.fullmatch(told.created):
            made = datetime.fromisoformat(told.created).timestamp()
            os.utime(copy.folder / "HEAD", (made, made))


def _not_there() -> Problem:
    return Problem(404, "Repository not found, neither here nor upstream", REPO_NOT_FOUND)
