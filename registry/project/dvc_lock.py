"""DVC's lock file, whether DVC holds it to be up to date, and what DVC makes of templates.

DVC is used as a command and as a file format; only its templates, which nobody else can resolve, are left to its own
code, and only in a project that its owner runs anyway. Its MD5s are cache keys, not evidence: evidence is SHA-256,
measured by us.
Source: the lock file format, https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from registry import canonical, extras, strict_yaml
from registry.digest import CHUNK
from registry.errors import InputError, Malformed
from registry.project.command import run

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
    """Its name."""
    command: str
    """Its command, as `joined` gives it."""
    deps: tuple[Artifact, ...]
    """What it read."""
    outs: tuple[Artifact, ...]
    """What it wrote."""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The settings it depends on, by file and key."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A dvc.lock file."""

    stages: Mapping[str, LockedStage]
    """Each stage, by its name."""

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


def read_lock(path: Path) -> Lock:
    """The lock file at `path`. Raises Malformed for anything but a lock of schema 2.0."""
    return parse_lock(strict_yaml.read(path))


def parse_lock(value: Any) -> Lock:
    """The lock that the YAML value `value` says. Raises Malformed for anything else."""
    match value:
        case {"schema": "2.0", "stages": dict(stages)}:
            return Lock({name: _stage(name, body) for name, body in stages.items()})
    _refuse(f"expected schema {SCHEMA!r} and a map of stages")


def stale(root: Path) -> tuple[str, ...]:
    """Names of the stages that DVC holds to be out of date, or not in its lock.

    One that is only to be run every time (`always_changed`) is not: what it read and wrote is as the lock has it.
    """
    said = canonical.parse(run(["dvc", "status", "--json"], root).strip().encode() or b"{}", name="dvc status")
    return tuple(sorted(name for name, why in said.items() if why != ["always changed"]))


def check_local(stage: str, path: str) -> None:
    """Refuse a URL in place of a path: nobody can measure it before and after a run. stage: whose it is."""
    if "://" in path:
        raise InputError(
            f"the stage {stage[:80]} names the URL {path[:200]}, and URLs are not supported as dependencies or outputs",
            mend="let a stage of its own fetch it into a file, and depend on the file",
        )


def has(artifact: Artifact, path: Path, names: Iterable[str]) -> bool:
    """Whether the MD5 of `artifact` is that of the file at `path`, or of the directory there with the files `names`."""
    if path.is_file():
        return file_md5(path) == artifact.md5
    return directory_md5({name: path / name for name in names}) == artifact.md5


def resolve(path: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The bodies of the stages `names` of the dvc.yaml at `path`, by name, with all templates resolved by DVC.

    DVC reads the files that `vars` names, and looks values up in them; it runs nothing. Raises InputError where it
    cannot resolve one, Unavailable where its code is not to be had.
    """
    with extras.needed("release"):
        from dvc.dvcfile import load_file
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    found: dict[str, dict[str, Any]] = {}
    try:
        with Repo(str(path.parent)) as repo:
            resolver = load_file(repo, str(path)).resolver
            for name in names:
                found |= resolver.resolve_one(name)
    except DvcException as problem:
        raise InputError(
            f"{path.name}: dvc cannot resolve it: {' '.join(str(problem).split())[:300]}",
            mend="mend it as `dvc status` says",
        ) from problem
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


def directory_md5(files: Mapping[str, Path]) -> str:
    """The key DVC gives a directory: MD5 over its list of files, ending in `.dir`.

    files: POSIX path inside the directory -> where its bytes lie.
    """
    rows = [{"md5": file_md5(files[path]), "relpath": path} for path in sorted(files)]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def file_md5(path: Path) -> str:
    """The key DVC gives a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _stage(name: str, body: Any) -> LockedStage:
    match body:
        case {"cmd": str() | list() as command}:
            params = body.get("params", {})
            if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
                _refuse(f"stage {name!r} has params that are not a map of files")
            return LockedStage(
                name=name,
                command=joined(command),
                deps=_artifacts(name, body.get("deps", [])),
                outs=_artifacts(name, body.get("outs", [])),
                params=params,
            )
    _refuse(f"stage {name!r} has no command")


def _artifacts(stage: str, rows: Any) -> tuple[Artifact, ...]:
    if not isinstance(rows, list):
        _refuse(f"stage {stage!r} has deps or outs that are not a list")
    return tuple(_artifact(stage, row) for row in rows)


def _artifact(stage: str, row: Any) -> Artifact:
    match row:
        case {"path": str(path)} if "://" in path:
            check_local(stage, path)
        case {"path": str(path), "md5": str(md5)}:
            size = row.get("size", 0)
            if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
                return Artifact(path, md5, size)
    _refuse(f"stage {stage!r} names an artifact without path, md5 and size")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a DVC lock: {found}", mend="make it anew with `dvc repro`")
