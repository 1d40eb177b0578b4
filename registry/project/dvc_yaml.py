"""dvc.yaml: what each stage says that it reads and writes, before it runs.

A lock tells only what a stage had read when it was over. Templates (`foreach`, `matrix`, `${...}`) are DVC's own to
resolve, in the project where it runs (`resolved`). A release has a hostile dvc.yaml, and its other files of settings
are not at hand. So no template of it is evaluated: what the lock says has to fit it (registry.project.templates).
Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files
"""

from __future__ import annotations

import json
import math
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from registry import strict_yaml
from registry.errors import InputError, Malformed, Refused, Unavailable
from registry.manifest import PLAIN, check_path
from registry.project import dvc_lock, templates
from registry.project.templates import MARK
from registry.records import addresses

FILE = addresses.FILE
PARAMS = "params.yaml"
READABLE = (".yaml", ".yml", ".json")
"""Files of settings that are read key by key; any other counts as one dependency."""


@dataclass(frozen=True, slots=True)
class DeclaredStage:
    """One stage of dvc.yaml. Paths are relative to the project's root."""

    name: str
    """Its address."""
    commands: tuple[str, ...]
    """Its commands, in the order in which DVC runs them."""
    command: str
    """The same as one text, as `dvc_lock.joined` gives it."""
    deps: tuple[str, ...]
    """What it reads of the project."""
    outs: tuple[str, ...]
    """What it writes, metrics and plots too."""
    kept: tuple[str, ...]
    """The outputs that DVC leaves where they are when it runs the stage."""
    params: Mapping[str, tuple[str, ...] | None]
    """By file of settings, the keys that it depends on; None is all of them."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A dvc.yaml, or several of one project. Stages are named by their addresses: registry.records.addresses."""

    bodies: Mapping[str, Mapping[str, Any]]
    """What is written of each stage, by its name."""
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is written of each `foreach` and `matrix`, from which the stages `NAME@KEY` come, by its name."""
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What counts in place of that, by a stage's name: without templates, or with a plain `wdir`."""

    def __contains__(self, name: str) -> bool:
        """Whether it has the stage `name`, as dvc.lock names it."""
        return name in self.bodies or (name not in self.groups and addresses.template(name) in self.groups)

    def is_template(self, name: str) -> bool:
        """Whether DVC alone can tell what the stage `name` says."""
        return (
            name in self
            and name not in self.known
            and (name not in self.bodies or MARK in json.dumps(self.bodies[name]))
        )

    def folder(self, name: str) -> str:
        """The directory that the paths of the stage `name` start from, from the root; it can be a template."""
        folder = self._body(name).get("wdir") or "."
        if not isinstance(folder, str):
            _refuse(f"the stage {name[:80]} has a wdir that is not a path")
        return posixpath.normpath(posixpath.join(addresses.split(name)[0], folder))

    def frozen(self, name: str) -> bool:
        """Whether DVC leaves the stage `name` as it is, whatever becomes of what it reads."""
        return bool(self._body(name).get("frozen"))

    def located(self, folders: Mapping[str, str]) -> Pipeline:
        """The same where the directory of each stage that `folders` names, from the root, is known to be that."""
        known = {
            name: {**self._body(name), "wdir": posixpath.relpath(f"/{folder}", f"/{addresses.split(name)[0]}")}
            for name, folder in folders.items()
        }
        return replace(self, known={**self.known, **known})

    def place(self, name: str, path: str) -> str:
        """Where a `path` of the stage `name`, as dvc.yaml and dvc.lock have it, is from the project's root.

        Raises Malformed for a path outside the project, InputError for a URL, Unavailable where the stage's directory
        is a template.
        """
        dvc_lock.check_local(name, path)
        whole = self._whole(name, path)
        check_path(whole)
        return whole

    def inside(self, name: str, path: str) -> str | None:
        """`place` of a dependency; None for a URL, and for a path that leads out of the project."""
        return self.place(name, path) if self.outside(name, path) is None else None

    def outside(self, name: str, path: str) -> str | None:
        """A dependency as a URL, or as a path from the root that leads out of the project; None for one inside it."""
        if dvc_lock.is_url(path):
            return path
        whole = self._whole(name, path)
        return whole if whole.startswith(("/", "../")) or whole == ".." else None

    def _whole(self, name: str, path: str) -> str:
        folder = self.folder(name)
        if MARK in folder and name not in self.known:
            raise Unavailable(
                f"the stage {name[:80]} works in {folder[:80]}, a template, and nothing tells what it stands for",
                mend="glasshouse audit rebuild runs it",
            )
        if folder == "." and PLAIN.fullmatch(path):
            return path
        return posixpath.normpath(posixpath.join(folder, path))

    def placed(self, lock: dvc_lock.Lock) -> dvc_lock.Lock:
        """The stages of `lock` that stand here, their paths from the project's root. Raises as `place` does."""

        def moved(name: str, artifacts: tuple[dvc_lock.Artifact, ...]) -> tuple[dvc_lock.Artifact, ...]:
            return tuple(replace(artifact, path=self.place(name, artifact.path)) for artifact in artifacts)

        def stage_here(name: str, stage: dvc_lock.LockedStage) -> dvc_lock.LockedStage:
            away = {dep.path: self.outside(name, dep.path) for dep in stage.deps}
            found = {row.place: row for row in stage.outside}
            for dep in stage.deps:
                if place := away[dep.path]:
                    found[place] = dvc_lock.outside(name, place, dep.md5)
            return replace(
                stage,
                deps=moved(name, tuple(dep for dep in stage.deps if away[dep.path] is None)),
                outs=moved(name, stage.outs),
                params={self.place(name, path): values for path, values in stage.params.items()},
                outside=tuple(row for _, row in sorted(found.items())),
            )

        return dvc_lock.Lock({name: stage_here(name, stage) for name, stage in lock.stages.items() if name in self})

    def stage(self, name: str) -> DeclaredStage:
        """The stage `name`. Raises InputError where it is not there, or DVC alone can tell what it says."""
        body = self._body(name)
        if name not in self or self.is_template(name):
            what = f"is a template in {FILE}" if name in self else f"is not in the project's {FILE}"
            raise Refused(f"the stage {name[:80]} {what}", mend=f"write it out in its {FILE}")
        command, outs = _command(name, body), dict(self._outs(name, body))
        return DeclaredStage(
            name=name,
            commands=tuple(_commands(body["cmd"])),
            command=command,
            deps=tuple(place for path, _ in _items(name, body, "deps") if (place := self.inside(name, path))),
            outs=tuple(outs),
            kept=tuple(path for path, settings in outs.items() if settings.get("persist")),
            params=dict(self._params(name, body)),
        )

    def unlike(self, stage: dvc_lock.LockedStage) -> Iterator[str]:
        """What a lock, whose paths are as it has them, says otherwise of a stage that stands here, in words.

        Templates are not evaluated: they can stand for anything. Raises Malformed where dvc.yaml says no such thing.
        """
        body = self._body(stage.name)
        if not templates.fits(_command(stage.name, body), stage.command):
            yield f"the command {stage.command[:100]!r}"
        read = [*(dep.path for dep in stage.deps), *(row.place for row in stage.outside)]
        written = [out.path for out in stage.outs]
        for sections, paths in ((("deps",), read), (("outs", "metrics", "plots"), written)):
            declared = {path for section in sections for path, _ in _items(stage.name, body, section)}
            yield from templates.unmatched(declared, paths)

    def _body(self, name: str) -> Mapping[str, Any]:
        """What stands of the stage `name`, or of the template that it comes from; nothing where neither is there."""
        for bodies, key in ((self.known, name), (self.bodies, name), (self.groups, addresses.template(name))):
            if key in bodies:
                return bodies[key]
        return {}

    def _outs(self, name: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for section in ("outs", "metrics", "plots"):
            for path, settings in _items(name, body, section):
                yield self.place(name, path), settings if isinstance(settings, dict) else {}

    def _params(self, name: str, body: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
        named = _items(name, body, "params")
        if here := tuple(key for key, settings in named if settings is NAME_ALONE):
            yield self.place(name, PARAMS), here
        for path, keys in named:
            if keys is not NAME_ALONE:
                if not isinstance(keys, list | None):
                    _refuse(f"the stage {name[:80]} has params that are not a list of keys")
                yield self.place(name, path), tuple(map(str, keys)) if keys else None


NAME_ALONE: Any = object()
"""In place of settings, where an item is a name alone."""


def read(path: Path, folder: str = "") -> Pipeline:
    """The dvc.yaml at `path`. Raises Malformed for any other file. folder: where the project has it, from its root."""
    return parse(strict_yaml.read(path, aliases=True), folder)


def merged(plans: Collection[Pipeline]) -> Pipeline:
    """The stages of several, each of another folder."""
    bodies = {name: body for plan in plans for name, body in plan.bodies.items()}
    groups = {name: body for plan in plans for name, body in plan.groups.items()}
    return Pipeline(bodies, groups)


def parse(value: Any, folder: str = "") -> Pipeline:
    """The dvc.yaml that the YAML value `value` says. Raises Malformed for anything else. folder: as in `read`."""
    match value:
        case {"stages": dict(stages)}:
            bodies: dict[str, dict[str, Any]] = {}
            groups: dict[str, dict[str, Any]] = {}
            for name, body in ((addresses.address(folder, key), body) for key, body in stages.items()):
                if addresses.split(name)[0] != folder:
                    _refuse("a name of a stage is a path to another")
                match body:
                    case {"foreach": _, "do": dict(each)} | ({"matrix": _} as each):
                        groups[name] = each
                    case dict():
                        bodies[name] = body
                    case _:
                        _refuse(f"the stage {name[:80]} is not a map")
            return Pipeline(bodies, groups)
    _refuse("it needs a map of stages")


def resolved(root: Path, names: Iterable[str]) -> Pipeline:
    """The files of the project at `root` that have the stages `names`, of which none is a template: DVC resolved them.

    Only for a project that DVC is to run. Raises as `read` and `dvc_lock.resolve` do.
    """
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(addresses.split(name)[0], []).append(name)
    plan = merged([read(root / folder / FILE, folder) for folder in by_folder])
    known: dict[str, dict[str, Any]] = {}
    for folder, inside in by_folder.items():
        if unknown := [addresses.split(name)[1] for name in inside if plan.is_template(name)]:
            bodies = dvc_lock.resolve(root, folder, unknown)
            known |= {addresses.address(folder, name): body for name, body in bodies.items()}
    return replace(plan, known=known)


def settings(root: Path, stage: DeclaredStage) -> dict[str, dict[str, Any]]:
    """The settings that `stage` depends on, as they are now: {file: {key: value}}.

    Files that are not YAML or JSON are left out: they count as dependencies. Raises InputError for a key that is not
    there.
    """
    return {
        path: _chosen(path, strict_yaml.read(root / path, aliases=True), keys)
        for path, keys in stage.params.items()
        if path.endswith(READABLE)
    }


def locked_settings(root: Path, params: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings whose keys a lock names, as they are now: DVC writes numbers otherwise than their file does.

    params: by file from the project's root, and key.
    """
    return {
        path: _chosen(path, strict_yaml.read(root / path, aliases=True), tuple(values))
        if path.endswith(READABLE)
        else dict(values)
        for path, values in params.items()
    }


def check_finite(path: str, value: Any) -> None:
    """Refuse, with InputError, infinite numbers and NaN in the settings `value` of the file `path`: JSON has none."""
    match value:
        case float() if not math.isfinite(value):
            raise InputError(
                f"{path} has the number {value}, which a record cannot hold: it is JSON",
                mend=f"write a finite number into {path}, or a text in quotes that the code reads",
            )
        case dict():
            check_finite(path, list(value.values()))
        case list():
            for item in value:
                check_finite(path, item)


def deps(stage: DeclaredStage) -> tuple[str, ...]:
    """The paths that `stage` depends on as a whole."""
    return (*stage.deps, *(path for path in stage.params if not path.endswith(READABLE) and path not in stage.deps))


def lookup(document: Any, key: str) -> Any:
    """The value at the dotted `key`, or at a key that has dots itself. Raises KeyError where there is none."""
    if isinstance(document, dict) and key in document:
        return document[key]
    for part in key.split("."):
        if not isinstance(document, dict) or part not in document:
            raise KeyError(key)
        document = document[part]
    return document


def _chosen(path: str, document: Any, keys: tuple[str, ...] | None) -> dict[str, Any]:
    if keys is None and isinstance(document, dict):
        check_finite(path, document)
        return document
    try:
        found = {key: lookup(document, key) for key in (("(a map)",) if keys is None else keys)}
    except KeyError as problem:
        raise InputError(f"{path} has no {problem.args[0]}", mend=f"add it, or take it out of {FILE}") from problem
    check_finite(path, found)
    return found


def _command(stage: str, body: Mapping[str, Any]) -> str:
    """The `cmd` of a stage as one text. Raises Malformed where there is none."""
    command = body.get("cmd")
    if isinstance(command, list) and not all(isinstance(item, str) for item in command):
        command = None
    if not isinstance(command, str | list) or not list(_commands(command)):
        _refuse(f"the stage {stage[:80]} has no command, or one that is not text")
    return dvc_lock.joined(command)


def _commands(command: str | list[str]) -> Iterator[str]:
    """What DVC runs, one after the other: the lines of a text, or the items of a list."""
    lines = command.splitlines() if isinstance(command, str) else command
    yield from (line for line in lines if line.strip())


def _items(stage: str, body: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    """(name, settings) of each item of a section: `- name` (NAME_ALONE), or `- name: settings`."""
    found: list[tuple[str, Any]] = []
    items = body.get(section) or []
    for item in items if isinstance(items, list) else [None]:
        match item:
            case str():
                found.append((item, NAME_ALONE))
            case dict():
                found += item.items()
            case _:
                _refuse(f"the stage {stage} has {section} that are not a list of names")
    return found


def _refuse(found: str, mend: str = "mend it as `dvc status` says") -> NoReturn:
    raise Malformed(f"{FILE}: {found}", mend=mend)
