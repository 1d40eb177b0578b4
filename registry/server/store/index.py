"""Which repositories there are, and what each says of itself, to be searched: a database in memory.

Law: whoever asks gets what stands in the store now. A repository is read again when git has written its branches
since, or it was closed or opened. Nothing of the database is on the disk: each process makes its own from the store.

A look at the times of all branches takes microseconds for each repository. It is spared while `MARK` has not grown:
everybody who changes a repository adds a byte to it (`Repository.lock`). A change that died before that, or one made
behind the server's back, is seen after LOOK_SECONDS.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple

from registry.server.names import KINDS, RepoName
from registry.server.problems import Problem, busy
from registry.server.store import git
from registry.server.store.blobs import BlobStore
from registry.server.store.facts import Facts, facts_of
from registry.server.store.repository import DOWNLOADS, GATE, MARK, PRIVATE, GateKind, Repository

LOOK_SECONDS = 5.0
SETTLED = 2.0
"""Seconds after which a file's time tells one writing from the next, on any disk."""
PATIENCE = 20.0
"""Seconds that a list waits while another one is made."""
READERS = 4
"""Repositories that are read at once."""
_TABLES = """
CREATE TABLE repositories (
    folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
    private INTEGER NOT NULL, gated TEXT, created TEXT NOT NULL, changed TEXT NOT NULL, downloads INTEGER NOT NULL,
    parameters INTEGER, license TEXT, task TEXT, openness TEXT, words TEXT NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_kind ON repositories (kind, owner);
CREATE INDEX by_closed ON repositories (kind, private);
CREATE TABLE tags (folder TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (tag, folder)) WITHOUT ROWID;
CREATE INDEX by_folder ON tags (folder);
"""
_SEEN = "folder, kind, owner, name, private, gated"
_LISTED = "created, downloads, facts"
Facet = Literal["license", "task", "openness"]
MAX_FACETS = 1000
"""Answers to how many have what that are kept until the database changes."""
Order = Literal["name", "createdAt", "lastModified", "downloads", "num_parameters"]
_ORDERS: dict[Order, str] = {
    "name": "lower(owner || '/' || name)", "createdAt": "created", "lastModified": "changed",
    "downloads": "downloads", "num_parameters": "coalesce(parameters, 0)",
}  # fmt: skip


class Seen(NamedTuple):
    """A repository that fits what was asked for. Whether somebody may know of it, is for `access/rights.py` to say."""

    folder: str
    kind: str
    owner: str
    short: str
    private: bool
    gated: GateKind | None

    @property
    def name(self) -> RepoName:
        """Its name."""
        return RepoName(self.kind, self.owner, self.short)

    @property
    def repository(self) -> Repository:
        """The repository itself."""
        return Repository(self.name, Path(self.folder))


@dataclass(frozen=True, slots=True)
class Listed:
    """What the lists say of a repository."""

    seen: Seen
    created: str
    downloads: int
    facts: Facts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. words: each in its name, title, tags.  tags: it has them all.  parameters: from, to.

    among: folders of private ones that may be found; None: all of them.
    """

    kind: str
    owner: str | None = None
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    license: str | None = None
    task: str | None = None
    openness: str | None = None
    parameters: tuple[int, int] | None = None
    gated: bool | None = None
    private: bool | None = None
    among: tuple[str, ...] | None = None
    order: Order = "name"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageOfList:
    """A part of what fits. count: how many fit.  rows: those of the part, in order."""

    count: int
    rows: list[Listed]


Facets = dict[Facet, list[tuple[str, int]]]
"""{column: (value, how many have it)}, the values in order."""


@dataclass(slots=True)
class RepositoryIndex:
    """The database of one process. root: the folder of repositories."""

    root: Path
    blobs: BlobStore
    _database: sqlite3.Connection | None = None
    _lock: Lock = field(default_factory=Lock)
    _facets: dict[tuple[Wanted | Facet, ...], tuple[int, Facets]] = field(default_factory=dict)
    _looked: float = float("-inf")
    _mark: int = -1

    def find(self, wanted: Wanted) -> list[Seen]:
        """The repositories that fit, in order. Raises Problem 503 where the lists are being made for too long."""
        with self._open() as database:
            text, values = _asking(_SEEN, wanted)
            return [Seen(*row) for row in database.execute(text, values)]

    def page(self, wanted: Wanted, start: int, most: int) -> PageOfList:
        """At most `most` of those that fit, from number `start` on. Raises as `find`."""
        with self._open() as database:
            count = _count(database, wanted)
            text, values = _asking(f"{_SEEN}, {_LISTED}", wanted)
            rows = database.execute(f"{text} LIMIT ? OFFSET ?", (*values, most, start))
            return PageOfList(count, [_listed(Seen(*row[:-3]), *row[-3:]) for row in rows])

    def facets(self, wanted: Wanted, columns: Sequence[Facet], most: int) -> tuple[int, Facets]:
        """(how many fit, how many of them have each value of each column: the most frequent). Raises as `find`."""
        with self._open() as database:
            known = self._facets.get((wanted, *columns))
            if known is None:
                known = _how_many(database, wanted, columns, most)
                if len(self._facets) < MAX_FACETS:
                    self._facets[wanted, *columns] = known
            return known

    def make(self) -> None:
        """Read all repositories, before anybody asks."""
        with self._lock, suppress(OSError):
            self._fresh()

    def rows(self, seen: Sequence[Seen]) -> list[Listed]:
        """What the lists say of those; one that has gone meanwhile is left out."""
        with self._lock:
            assert self._database is not None
            text = f"SELECT {_LISTED} FROM repositories WHERE folder = ?"
            found = [(each, self._database.execute(text, (each.folder,)).fetchone()) for each in seen]
        return [_listed(each, *row) for each, row in found if row is not None]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database, as the store is now, for one thread at a time. Raises Problem 503 as `find`."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise busy("the list of repositories")
        try:
            yield self._fresh()
        finally:
            self._lock.release()

    def _fresh(self) -> sqlite3.Connection:
        """The database, as the store is now. Holds the lock."""
        mark, now = _size(self.root / MARK), time.monotonic()
        if self._database is None or mark != self._mark or now > self._looked + LOOK_SECONDS:
            database = self._database or _new()
            self._look(database)
            self._database, self._mark, self._looked = database, mark, now
        return self._database

    def _look(self, database: sqlite3.Connection) -> None:
        known = {row[0]: (row[1], row[2]) for row in
                 database.execute("SELECT folder, stamp, downloads FROM repositories")}  # fmt: skip
        there = {place.folder: place for place in _places(self.root)}
        same = {folder for folder, place in there.items() if known.get(folder, ("",))[0] == place.stamp != ""}
        changed = [place for folder, place in there.items() if folder not in same]
        gone = known.keys() - there.keys()
        if changed or gone:
            self._facets.clear()
        with database:
            for folder in gone:
                _forget(database, folder)
            counts = [(place.downloads, folder) for folder, place in there.items()
                      if folder in same and known[folder][1] != place.downloads]  # fmt: skip
            database.executemany("UPDATE repositories SET downloads = ? WHERE folder = ?", counts)
            for place, read in self._read_all(changed):
                _forget(database, place.folder)
                if read is not None:
                    _keep(database, place, *read)

    def _read_all(self, places: Sequence[_Place]) -> Iterator[tuple[_Place, _Read | None]]:
        if places:
            with ThreadPoolExecutor(READERS, "index") as readers:
                yield from zip(places, readers.map(self._read, places), strict=True)

    def _read(self, place: _Place) -> _Read | None:
        """What stands there; None for what has gone, or cannot be read."""
        with suppress(Problem, git.GitFailed, FileNotFoundError):
            repo = Repository(RepoName(place.kind, place.owner, place.short), Path(place.folder))
            return repo, repo.created, facts_of(repo, self.blobs)
        return None


class _Place(NamedTuple):
    """A folder of a repository. stamp: changes when git writes a branch; empty while that is too young to tell."""

    folder: str
    kind: str
    owner: str
    short: str
    stamp: str
    private: bool
    downloads: int


_Read = tuple[Repository, str, Facts]
"""The repository, when it was made, its facts."""


def _places(root: Path) -> Iterator[_Place]:
    young = (time.time() - SETTLED) * 1e9
    for kind in KINDS:
        for owner in _folders(f"{root}/{kind}"):
            for item in _folders(owner.path):
                if not item.name.endswith(".git"):
                    continue
                with suppress(FileNotFoundError):
                    heads = os.stat(f"{item.path}/refs/heads").st_mtime_ns  # noqa: PTH116  # a Path costs as much again
                    packed = _written(f"{item.path}/packed-refs")
                    private = _written(f"{item.path}/{PRIVATE}") > 0
                    gate = _written(f"{item.path}/{GATE}")
                    stamp = f"{heads} {packed} {private} {gate}" if max(heads, packed, gate) < young else ""
                    downloads = _size(f"{item.path}/{DOWNLOADS}")
                    yield _Place(item.path, kind, owner.name, item.name[:-4], stamp, private, downloads)


def _folders(path: str) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError), closing(os.scandir(path)) as items:
        return [item for item in items if not item.name.startswith(".") and item.is_dir(follow_symlinks=False)]
    return []


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        return 0


def _size(path: str | Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return 0


def _new() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.executescript(_TABLES)
    return database


def _forget(database: sqlite3.Connection, folder: str) -> None:
    database.execute("DELETE FROM repositories WHERE folder = ?", (folder,))
    database.execute("DELETE FROM tags WHERE folder = ?", (folder,))


def _keep(database: sqlite3.Connection, place: _Place, repo: Repository, created: str, told: Facts) -> None:
    words = " ".join((str(repo.name), told.title or "", *told.tags)).lower()
    row = (
        place.folder, place.stamp, place.kind, place.owner, place.short, place.private, repo.gated, created,
        told.changed, place.downloads, sum(told.parameters.values()) or None, told.license, told.task,
        told.openness, words, _written_out(told),
    )  # fmt: skip
    database.execute(f"INSERT INTO repositories VALUES ({', '.join('?' * len(row))})", row)
    database.executemany("INSERT INTO tags VALUES (?, ?)", [(place.folder, tag) for tag in told.tags])


def _asking(columns: str, wanted: Wanted) -> tuple[str, list[Any]]:
    """(the question for those columns of what fits, in order, in SQL; its values)."""
    words, values = _conditions(wanted)
    order = f"{_ORDERS[wanted.order]} {'DESC' if wanted.descending else 'ASC'}, {_ORDERS['name']}"
    return f"SELECT {columns} FROM repositories WHERE {words} ORDER BY {order}", values


def _count(database: sqlite3.Connection, wanted: Wanted) -> int:
    words, values = _conditions(wanted)
    return int(database.execute(f"SELECT count(*) FROM repositories WHERE {words}", values).fetchone()[0])


def _how_many(
    database: sqlite3.Connection, wanted: Wanted, columns: Sequence[Facet], most: int
) -> tuple[int, Facets]:  # fmt: skip
    words, values = _conditions(wanted)
    found: Facets = {}
    for column in columns:
        text = (
            f"SELECT {column}, count(*) FROM repositories WHERE {words} AND {column} IS NOT NULL "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
        )
        found[column] = sorted(database.execute(text, (*values, most)).fetchall())
    return _count(database, wanted), found


def _conditions(wanted: Wanted) -> tuple[str, list[Any]]:
    """(what must hold, in SQL; its values)."""
    words, values = ["kind = ?"], list[Any]((wanted.kind,))
    for column in ("owner", "license", "task", "openness", "private"):
        value = getattr(wanted, column)
        if value is not None:
            words.append(f"{column} = ?")
            values.append(value)
    if wanted.among is not None:
        words.append("(NOT private OR folder IN (SELECT value FROM json_each(?)))")
        values.append(json.dumps(wanted.among))
    for word in wanted.words:
        words.append("instr(words, ?) > 0")
        values.append(word.lower())
    for tag in wanted.tags:
        words.append("folder IN (SELECT folder FROM tags WHERE tag = ?)")
        values.append(tag)
    if wanted.gated is not None:
        words.append(f"gated IS {'NOT ' * wanted.gated}NULL")
    if wanted.parameters is not None:
        words.append("parameters BETWEEN ? AND ?")
        values += wanted.parameters
    return " AND ".join(words), values


def _listed(seen: Seen, created: str, downloads: int, facts: str) -> Listed:
    return Listed(seen, created, downloads, _parsed(facts))


def _written_out(told: Facts) -> str:
    return json.dumps({name: getattr(told, name) for name in Facts.__slots__})


def _parsed(text: str) -> Facts:
    told = json.loads(text)
    return Facts(**{**told, "tags": tuple(told["tags"])})
