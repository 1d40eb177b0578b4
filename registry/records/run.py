"""One run of a stage: what went in, as measured before its command started and after it ended, and what came out.

    STAGE.run.json              an output of the stage itself, written by `glasshouse record`
    provenance/stages.json      the runs behind a release, each with what is known of it

Nothing in a run tells when or where it was: the same inputs give the same bytes on every machine.

Law: `directory_digest` binds every path and every SHA-256, and a `Measured` directory that lists its files has theirs.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from registry import canonical
from registry.errors import Malformed
from registry.manifest import check_path
from registry.records.addresses import StageAddress
from registry.records.record import Record, Sha256

AFTER_SLASH = chr(ord("/") + 1)
MAX_LISTED = 1000
"""A directory with more files is named by its digest alone."""
MAX_COMMITTED = 10_000
"""Dependencies of a stage, and files in them, that are named as files of the commit."""
MAX_BYTES = 32 << 20
EMPTY = hashlib.sha256(b"").hexdigest()
"""The digest of a directory without files."""

Evidence = Literal["ran", "restored", "unrecorded"]
"""How a stage's outputs came to be where the release was made:

ran         by this run, in that very working copy; if DVC has skipped the stage since, then because nothing changed
restored    not run there: DVC took them from a cache or a remote, and with them the record of the run that made them;
            the commit's dvc.lock names that record, the record names them
unrecorded  nobody measured: DVC's lock alone says what the stage read, and the digests are those at the release
"""


@lru_cache(4096)
def _allowed(path: str) -> str:
    try:
        check_path(path)
    except Malformed as problem:
        raise ValueError(problem.message) from problem
    return path


ProjectPath = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_allowed)]
"""POSIX, relative to the project's root."""


def directory_digest(files: Mapping[str, str]) -> str:
    """The digest of a directory, from the SHA-256 of each file by its path inside: in-toto's `dirHash`.

    The SHA-256 of what this prints in it, so that anybody can compute it again:
    `find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum`
    Source: in-toto attestation framework, spec/v1/digest_set.md.
    """
    return hashlib.sha256(listing_text(files).encode()).hexdigest()


def listing_text(files: Mapping[str, str]) -> str:
    """What `sha256sum` prints of `files`, SHA-256 by path: a line each, in the order of their paths' UTF-8 bytes."""
    return "".join([f"{files[path]}  {path}\n" for path in sorted(files)])


def files_digest(files: Mapping[str, str]) -> str:
    """How a record names what it is of, from SHA-256 by path: the file's own, or that of the directory of several."""
    return next(iter(files.values())) if len(files) == 1 else directory_digest(files)


class Measured(Record):
    """A dependency or an output, by our own SHA-256."""

    path: ProjectPath
    """As dvc.yaml names it, relative to the project's root."""
    sha256: Sha256
    """SHA-256 of a file's bytes; for a directory, `directory_digest`."""
    files: dict[ProjectPath, Sha256] | None = None
    """For a directory, SHA-256 by the path inside it; empty where there are more than 1000 files. None for a file."""

    @property
    def name(self) -> str:
        """The path; a directory's ends in a slash."""
        return self.path if self.files is None else f"{self.path}/"

    @property
    def listed(self) -> bool:
        """Whether the files inside are known."""
        return bool(self.files) or self.sha256 == EMPTY

    def inside(self) -> dict[str, str]:
        """SHA-256 of each listed file by its path from the project's root."""
        return {f"{self.path}/{path}": sha256 for path, sha256 in (self.files or {}).items()}

    @model_validator(mode="after")
    def _files_agree(self) -> Self:
        if self.files and directory_digest(self.files) != self.sha256:
            raise ValueError("the files listed do not give the directory's digest")
        return self


class Run(Record):
    """STAGE.run.json."""

    schema_: Literal["glasshouse.run/v1"] = Field("glasshouse.run/v1", alias="schema")
    """The format, with its version."""
    stage: StageAddress
    """Its address from the root, as DVC writes it."""
    command: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
    """Its command, as dvc.lock has it: templates resolved, several commands one a line."""
    params: dict[str, dict[str, Any]]
    """By file and key, the settings it depends on, as they were when it started."""
    deps: tuple[Measured, ...] = Field(max_length=10_000)
    """What it read: the same before the command started and after it ended."""
    outs: tuple[Measured, ...] = Field(max_length=10_000)
    """What it wrote, but for this record."""

    @property
    def digest(self) -> str:
        """By which others name this run."""
        return canonical.digest(self.as_json())

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for what in (self.deps, self.outs):
            if len({item.path for item in what}) != len(what):
                raise ValueError("a path stands twice")
        return self


class TrackedBy(Record):
    """Data that no stage wrote, and that a .dvc file of the commit names: added by a person, or imported."""

    path: ProjectPath
    """Where it lies: a dependency, what holds it, or what lies in it."""
    file: ProjectPath
    """The .dvc file."""
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    """What it names: DVC's key of the bytes that were measured."""
    url: Annotated[str, StringConstraints(max_length=1000)] | None
    """Where it was imported from; None where it was added."""
    revision: Annotated[str, StringConstraints(max_length=200)] | None
    """At which commit or version; None where nothing tells."""


class OutsideInput(Record):
    """What a stage read that is not in the project, so that nobody measured it: a URL, or a file elsewhere."""

    place: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """The URL, or the path from the project's root, as dvc.lock has it."""
    key: Annotated[str, StringConstraints(max_length=200)] | None
    """What DVC goes by, such as an ETag or an MD5; None where its lock has nothing."""


class StageRun(Record):
    """A run, and what is known of it."""

    evidence: Evidence
    """`ran`, `restored` or `unrecorded`."""
    committed: tuple[ProjectPath, ...] = Field(max_length=MAX_COMMITTED)
    """Those of its dependencies that are files of the release's commit, and of files in directories that hold others
    too; sorted."""
    tracked: tuple[TrackedBy, ...] = Field((), max_length=10_000)
    """What .dvc files of the commit name, by path; left out of the JSON where there is nothing."""
    outside: tuple[OutsideInput, ...] = Field((), max_length=1000)
    """What it read beside its dependencies, by place; left out of the JSON where there is nothing."""
    run: Run
    """The run."""

    def is_committed(self, path: str) -> bool:
        """Whether the dependency `path` is a file of the commit."""
        place = bisect_left(self.committed, path)
        return self.committed[place : place + 1] == (path,)

    def committed_inside(self, folder: str) -> tuple[str, ...]:
        """The files of the commit in a directory that it depends on."""
        first, last = bisect_left(self.committed, f"{folder}/"), bisect_left(self.committed, f"{folder}{AFTER_SLASH}")
        return self.committed[first:last]

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        return _without_nothing(super().as_json())

    @model_validator(mode="after")
    def _of_the_run(self) -> Self:
        inside = {path for dep in self.run.deps for path in (dep.path, *dep.inside())}
        unlisted = {dep.path for dep in self.run.deps if dep.files is not None and not dep.listed}
        if not all(path in inside or lies_in(path, unlisted) for path in self.committed):
            raise ValueError("what it calls committed is not a dependency")
        if [row.path for row in self.tracked] != sorted({row.path for row in self.tracked}):
            raise ValueError("what is tracked is not sorted, or stands twice")
        if not all(any(touches(row.path, dep.path) for dep in self.run.deps) for row in self.tracked):
            raise ValueError("what it calls tracked has nothing to do with a dependency")
        if list(self.committed) != sorted(set(self.committed)):
            raise ValueError("what is committed is not sorted, or stands twice")
        if [row.place for row in self.outside] != sorted({row.place for row in self.outside}):
            raise ValueError("what is outside is not sorted, or stands twice")
        return self


def touches(one: str, other: str) -> bool:
    """Whether two paths are one, or one of them lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def lies_in(path: str, places: Collection[str]) -> bool:
    """Whether `path` is one of `places`, or lies inside one."""
    return any(above in places for above in accumulate(path.split("/"), "{}/{}".format))


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if part or name not in ("tracked", "outside")}


class Stages(Record):
    """provenance/stages.json."""

    schema_: Literal["glasshouse.stages/v1"] = Field("glasshouse.stages/v1", alias="schema")
    """The format, with its version."""
    stages: tuple[StageRun, ...] = Field(max_length=1000)
    """Every stage of the pipeline, by name."""
    kept: Literal[True] | None = None
    """Whether a file that had not changed since it was hashed was not hashed again for the release; left out of the
    JSON where all were."""

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        value = super().as_json()
        kept = {"kept": True} if value.pop("kept") else {}
        return value | kept | {"stages": [_without_nothing(stage) for stage in value["stages"]]}

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        names = [item.run.stage for item in self.stages]
        if names != sorted(set(names)):
            raise ValueError("stages are not sorted by name, or one stands twice")
        return self
