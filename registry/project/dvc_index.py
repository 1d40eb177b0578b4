"""What DVC knows of a project as a whole: every stage of every dvc.yaml, every .dvc file, metrics and plots.

DVC's own code reads it, and resolves templates, working directories and aliases as it does when it runs. So this is
only for a project that its owner runs anyway; of a release, nothing is read so. All paths are from the project's root,
POSIX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.project import dvc_repo
from registry.records import addresses

MAX_URL = 900
SCP = re.compile(r"[\w.-]+@[\w.-]{2,}:[^/:][^:]{0,500}")
"""git's short form of an ssh address."""
EVERY_TIME = ["always changed"]
"""What DVC says of a stage that is to be run every time, and is otherwise as its lock has it."""


@dataclass(frozen=True, slots=True)
class IndexedStage:
    """A stage of a dvc.yaml."""

    address: str
    """As DVC writes it at the root: registry.records.addresses."""
    file: str
    """Its dvc.yaml."""
    command: str
    """What it runs, templates resolved; several commands one a line."""
    deps: tuple[str, ...]
    """What it reads, of this project."""
    outs: tuple[str, ...]
    """What it writes."""


@dataclass(frozen=True, slots=True)
class TrackedInput:
    """What a .dvc file names: data that a person added, or imported."""

    path: str
    """Where it lies."""
    file: str
    """The .dvc file."""
    md5: str
    """DVC's key of its bytes."""
    url: str | None = None
    """Where it was imported from; None where it was added."""
    revision: str | None = None
    """The commit that it was imported at (rev_lock), or what the server calls its version."""


@dataclass(frozen=True, slots=True)
class Index:
    """A project, as DVC reads it."""

    stages: tuple[IndexedStage, ...]
    """By address."""
    tracked: tuple[TrackedInput, ...]
    """By path."""
    metrics: tuple[str, ...]
    """Files of figures, by whatever name."""
    plots: tuple[str, ...]
    """Files, and folders of files, that DVC draws."""

    def maker(self, path: str) -> IndexedStage | None:
        """The stage that writes `path`, or a folder that it lies in; None where none does."""
        for stage in self.stages:
            if any(path == out or path.startswith(f"{out}/") for out in stage.outs):
                return stage
        return None


def read(root: Path) -> Index:
    """What DVC says of the project at `root`.

    Raises as `dvc_repo.opened` does.
    """
    whole = root.resolve()
    with dvc_repo.opened(root, "dvc cannot read the project") as repo:
        index = repo.index
        stages = [_stage(whole, stage) for stage in index.stages if stage.is_data_source is False and stage.cmd]
        tracked = [item for stage in index.stages if stage.is_data_source for item in _tracked(whole, stage)]
        metrics, plots = (
            tuple(sorted("/".join(key) for key in keys.get("repo", ())))
            for keys in (index.metric_keys, index.plot_keys)
        )
    return Index(
        tuple(sorted(stages, key=lambda stage: stage.address)),
        tuple(sorted(tracked, key=lambda item: item.path)),
        metrics,
        plots,
    )


def stale(root: Path) -> tuple[str, ...]:
    """Addresses of the stages that DVC holds to be out of date, or not in its lock, of the whole project at `root`; of
    data that a .dvc file names, the path of that file.

    One that is only to be run every time (`always_changed`) is not: what it read and wrote is as the lock has it.
    Raises as `dvc_repo.opened` does.
    """
    whole = root.resolve()
    with dvc_repo.opened(root, "dvc cannot tell what is out of date") as repo:
        said = repo.status()  # which names each stage from where this process stands
        names = {
            stage.addressing: _address(whole, stage) if stage.cmd else _file(whole, stage)
            for stage in repo.index.stages
        }
    return tuple(sorted(names.get(name, name) for name, why in said.items() if why != EVERY_TIME))


def _address(root: Path, stage: Any) -> str:
    return addresses.address(_file(root, stage).rpartition("/")[0], stage.name)


def _file(root: Path, stage: Any) -> str:
    return Path(stage.path).resolve().relative_to(root).as_posix()


def _stage(root: Path, stage: Any) -> IndexedStage:
    command = stage.cmd if isinstance(stage.cmd, str) else "\n".join(map(str, stage.cmd))
    deps = (_inside(root, dep) for dep in stage.deps)
    outs = (_inside(root, out) for out in stage.outs)
    return IndexedStage(
        address=_address(root, stage),
        file=_file(root, stage),
        command=command,
        deps=tuple(dict.fromkeys(dep for dep in deps if dep)),
        outs=tuple(dict.fromkeys(out for out in outs if out)),
    )


def _tracked(root: Path, stage: Any) -> Iterator[TrackedInput]:
    url, revision = _origin(stage)
    for out in stage.outs:
        path, md5 = _inside(root, out), out.hash_info.value
        if path and md5:
            yield TrackedInput(path, _file(root, stage), str(md5), url, revision)


def _origin(stage: Any) -> tuple[str | None, str | None]:
    """Where a .dvc file says that its data were imported from, and at which version."""
    for dep in stage.deps:
        if repo := getattr(dep, "def_repo", None):
            place = public(str(repo.get("url")))
            return (f"{place}#{dep.def_path}" if place else None), repo.get("rev_lock")
        return public(str(dep.def_path)), dep.hash_info.value
    return None, None


def public(address: str) -> str | None:
    """The address that data were imported from, as others can be told: without passwords, tokens and queries.

    None for a place on this machine, which tells others nothing.
    """
    scheme, mark, rest = address.partition("://")
    if not mark or scheme == "file":
        return address if SCP.fullmatch(address) else None
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    whole = f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
    return whole if len(whole) <= MAX_URL and whole.isprintable() else None


def _inside(root: Path, item: Any) -> str | None:
    """The path of a dependency or an output from the root; None where it lies elsewhere."""
    if item.protocol != "local":
        return None
    path = Path(item.fs_path)
    whole = path if path.is_absolute() else root / path
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else None
