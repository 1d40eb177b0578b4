"""DVC's lock file, and what DVC makes of templates.

DVC is used as a file format; only its templates, which nobody else can resolve, are left to its own code, and only in a
project that its owner runs anyway. Its MD5s are cache keys, not evidence: evidence is SHA-256, measured by us.
Source: the lock file format, https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from registry import strict_yaml
from registry.digest import CHUNK, Progress
from registry.errors import InputError, Malformed
from registry.project import dvc_repo
from registry.records import addresses
from registry.records.run import OutsideInput

LOCK = "dvc.lock"
SCHEMA = "2.0"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A dependency or an output as a lock names it."""

    path: str
    """Its path, as dvc.yaml has it."""
    md5: str
    """MD5 of its bytes; for a directory, of the list of its files, which ends in `.dir`."""
    size: int
    """How many bytes it has."""


@dataclass(frozen=True, slots=True)
class LockedStage:
    """One stage as it last ran."""

    name: str
    """Its address from the project's root: registry.records.addresses."""
    command: str
    """Its command, as `joined` gives it."""
    deps: tuple[Artifact, ...]
    """What it read."""
    outs: tuple[Artifact, ...]
    """What it wrote."""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The settings it depends on, by file and key."""
    outside: tuple[OutsideInput, ...] = ()
    """What else it read, that is not in the project."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A dvc.lock file, or several."""

    stages: Mapping[str, LockedStage]
    """Each stage, by its address."""

    def outs(self) -> dict[str, Artifact]:
        """All outputs by their path."""
        return {out.path: out for stage in self.stages.values() for out in stage.outs}

    def outs_of(self, name: str) -> tuple[Artifact, ...]:
        """Those of one stage; none where it is not there."""
        return self.stages[name].outs if name in self.stages else ()

    def gaps(self) -> Iterator[str]:
        """Each dependency that another stage made with other bytes: the sentence that names it."""
        made = {out.path: (stage.name, out) for stage in self.stages.values() for out in stage.outs}
        for stage in self.stages.values():
            for dep in stage.deps:
                maker, out = made.get(dep.path, (stage.name, dep))
                if out.md5 != dep.md5:
                    yield f"{stage.name} read {dep.path} as md5:{dep.md5}, but {maker} wrote md5:{out.md5}"


def read_lock(path: Path, folder: str = "") -> Lock:
    """The lock file at `path`. Raises Malformed for anything but a lock of schema 2.0.

    folder: where the project has it, POSIX from its root.
    """
    return parse_lock(strict_yaml.read(path), folder)


def parse_lock(value: Any, folder: str = "") -> Lock:
    """The lock that the YAML value `value` says. Raises Malformed for anything else. folder: as in `read_lock`."""
    match value:
        case {"schema": "2.0", "stages": dict(stages)}:
            named = {addresses.address(folder, name): body for name, body in stages.items()}
            if [addresses.split(place) for place in named] != [(folder, name) for name in stages]:
                _refuse("a name of a stage is a path to another")
            return Lock({place: _stage(place, body) for place, body in named.items()})
    _refuse(f"expected schema {SCHEMA!r} and a map of stages")


def merged(locks: Iterable[Lock]) -> Lock:
    """The stages of several locks, each of another folder."""
    return Lock({place: stage for lock in locks for place, stage in lock.stages.items()})


def is_url(path: str) -> bool:
    """Whether what stands in place of a path is a URL."""
    return "://" in path


def check_local(stage: str, path: str) -> None:
    """Refuse a URL in place of the path of an output: nobody can measure it. stage: whose it is."""
    if is_url(path):
        raise InputError(
            f"the stage {stage[:80]} names the URL {path[:200]}, and URLs are not supported as outputs",
            mend="let the stage write a file of the project, and another upload it",
        )


def has(artifact: Artifact, path: Path, names: Iterable[str]) -> bool:
    """Whether the MD5 of `artifact` is that of the file at `path`, or of the directory there with the files `names`."""
    if path.is_file():
        return file_md5(path) == artifact.md5
    return directory_md5({name: path / name for name in names}) == artifact.md5


def resolve(root: Path, folder: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The bodies of the stages `names` of the dvc.yaml in `folder`, by name, with all templates resolved by DVC.

    DVC reads the files that `vars` names, and looks values up in them; it runs nothing. Raises InputError where it
    cannot resolve one, Unavailable where its code is not to be had.
    """
    found: dict[str, dict[str, Any]] = {}
    whole = root.resolve()
    path = whole / folder / addresses.FILE
    with dvc_repo.opened(whole, f"{path.relative_to(whole)}: dvc cannot resolve it") as repo:
        from dvc.dvcfile import load_file

        resolver = load_file(repo, str(path)).resolver
        for name in names:
            found |= resolver.resolve_one(name)
    return found


def keeps(name: str, commands: Sequence[str], paths: Sequence[str]) -> bool:
    """Whether dvc.lock can hold the commands and paths of the stage `name`.

    Where DVC folds a long line between two spaces, one of them is lost, and DVC calls the stage changed for ever.
    """
    if not any("  " in text for text in (*commands, *paths)):
        return True
    from dvc.utils.serialize import dumps_yaml, loads_yaml

    cmd = list(commands) if len(commands) > 1 else commands[0]
    lock = {"stages": {name: {"cmd": cmd, "deps": [{"path": path} for path in paths]}}}
    return bool(loads_yaml(dumps_yaml(lock)) == lock)


def joined(command: str | list[Any]) -> str:
    """The `cmd` of a stage as one text: the commands of a list each on a line, as DVC runs them one after the other."""
    return command if isinstance(command, str) else "\n".join(map(str, command))


def directory_md5(files: Mapping[str, Path], told: Progress | None = None) -> str:
    """The key DVC gives a directory: MD5 over its list of files, ending in `.dir`.

    files: POSIX path inside the directory -> where its bytes lie.  told: of bytes, as they are hashed.
    """
    rows = [{"md5": file_md5(files[path], told), "relpath": path} for path in sorted(files)]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def file_md5(path: Path, told: Progress | None = None) -> str:
    """The key DVC gives a file.  told: of bytes, as they are hashed."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            if told is not None:
                told(len(chunk))
    return digest.hexdigest()


def _stage(name: str, body: Any) -> LockedStage:
    match body:
        case {"cmd": str() | list() as command}:
            params = body.get("params", {})
            if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
                _refuse(f"stage {name!r} has params that are not a map of files")
            deps = _rows(name, body.get("deps", []))
            urls = [row for row in deps if is_url(_path(name, row))]
            outs = _rows(name, body.get("outs", []))
            for row in outs:
                check_local(name, _path(name, row))
            return LockedStage(
                name=name,
                command=joined(command),
                deps=tuple(_artifact(name, row) for row in deps if row not in urls),
                outs=tuple(_artifact(name, row) for row in outs),
                params=params,
                outside=tuple(_fetched(name, row) for row in urls),
            )
    _refuse(f"stage {name!r} has no command")


def outside(stage: str, place: str, key: str | None) -> OutsideInput:
    """What the stage `stage` read at `place`, which is not in the project. Raises Malformed where that is too long."""
    return OutsideInput.from_json({"place": place, "key": key}, name=f"what the stage {stage[:80]} reads")


def _rows(stage: str, rows: Any) -> list[Any]:
    if not isinstance(rows, list):
        _refuse(f"stage {stage!r} has deps or outs that are not a list")
    return rows


def _path(stage: str, row: Any) -> str:
    match row:
        case {"path": str(path)}:
            return path
    _refuse(f"stage {stage!r} names an artifact without a path")


def _fetched(stage: str, row: Mapping[str, Any]) -> OutsideInput:
    """A URL, and what DVC goes by: what the server calls its version, or a digest."""
    keys = (row.get(name) for name in ("etag", "checksum", "md5"))
    return outside(stage, row["path"], next((key for key in keys if isinstance(key, str)), None))


def _artifact(stage: str, row: Any) -> Artifact:
    match row:
        case {"path": str(path), "md5": str(md5)}:
            size = row.get("size", 0)
            if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
                return Artifact(path, md5, size)
    _refuse(f"stage {stage!r} names an artifact without path, md5 and size")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a DVC lock: {found}", mend="make it anew with `dvc repro`")
