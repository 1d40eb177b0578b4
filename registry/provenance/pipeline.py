"""dvc.yaml: what each stage says that it reads and writes, before it runs.

A lock tells only what a stage had read when it was over. Templates (`foreach`, `matrix`, `${...}`) are DVC's own to
resolve: a stage that uses them is read from the lock alone.
Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from registry import strict_yaml
from registry.errors import InputError, Refused
from registry.manifest import check_path

FILE = "dvc.yaml"
PARAMS = "params.yaml"
READABLE = (".yaml", ".yml", ".json")
"""Files of settings that are read key by key; any other counts as one dependency."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of dvc.yaml. Paths are relative to the project's root.

    outs: all it writes, metrics and plots too.  kept: those that DVC leaves where they are when it runs the stage.
    params: file of settings -> the keys it depends on, or None for all of them.
    """

    name: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    kept: tuple[str, ...]
    params: Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A dvc.yaml: the body of each stage, of a `foreach` its `do`, by name."""

    bodies: Mapping[str, Mapping[str, Any]]

    def __contains__(self, name: str) -> bool:
        """Whether it has the stage `name`, as dvc.lock names it."""
        return name in self.bodies or name.partition("@")[0] in self.bodies

    def place(self, name: str, path: str) -> str:
        """Where a `path` of the stage `name`, as dvc.yaml and dvc.lock have it, is from the project's root.

        Raises InputError for a path outside the project.
        """
        body = self.bodies.get(name) or self.bodies.get(name.partition("@")[0], {})
        folder = body.get("wdir") or "."
        if not isinstance(folder, str) or "${" in folder:
            _refuse(f"the stage {name} has a wdir that is a template")
        whole = posixpath.normpath(posixpath.join(folder, path))
        check_path(whole)
        return whole

    def stage(self, name: str) -> Stage:
        """The stage `name`. Raises InputError where it is not there, or DVC alone can tell what it says."""
        body = self.bodies.get(name)
        if body is None or "${" in json.dumps(body):
            known = body is not None or name in self
            what = "is a template, which only dvc can resolve" if known else f"is not in the project's {FILE}"
            raise Refused(
                f"the stage {name[:80]} {what}",
                mend=f"write it out in the {FILE} at the project's root; or run its command without recording it",
            )
        command = body.get("cmd")
        if not isinstance(command, str) or len(command.strip().splitlines()) != 1:
            _refuse(f"the stage {name} has more than one command", "put them into a script, which is one")
        outs = dict(self._outs(name, body))
        return Stage(
            name=name,
            command=command,
            deps=tuple(self.place(name, path) for path, _ in _items(name, body, "deps")),
            outs=tuple(outs),
            kept=tuple(path for path, settings in outs.items() if settings.get("persist")),
            params=dict(self._params(name, body)),
        )

    def _outs(self, name: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for section in ("outs", "metrics", "plots"):
            for path, settings in _items(name, body, section):
                yield self.place(name, path), settings if isinstance(settings, dict) else {}

    def _params(self, name: str, body: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
        named = _items(name, body, "params")
        if here := tuple(key for key, settings in named if settings is PLAIN):
            yield self.place(name, PARAMS), here
        for path, keys in named:
            if keys is not PLAIN:
                yield self.place(name, path), tuple(map(str, keys)) if keys else None


PLAIN: Any = object()
"""In place of settings, where an item is a name alone."""


def read(path: Path) -> Pipeline:
    """The dvc.yaml at `path`. Raises InputError for anything that is none."""
    return parse(strict_yaml.read(path))


def parse(value: Any) -> Pipeline:
    """The dvc.yaml that the YAML value `value` says. Raises InputError for anything else."""
    match value:
        case {"stages": dict(stages)}:
            bodies = {name: body.get("do", body) if isinstance(body, dict) else body for name, body in stages.items()}
            if all(isinstance(body, dict) for body in bodies.values()):
                return Pipeline(bodies)
    _refuse("it needs a map of stages")


def settings(root: Path, stage: Stage) -> dict[str, dict[str, Any]]:
    """The settings that `stage` depends on, as they are now: {file: {key: value}}.

    Files that are not YAML or JSON are left out: they count as dependencies. Raises InputError for a key that is not
    there.
    """
    return {
        path: _chosen(path, strict_yaml.read(root / path), keys)
        for path, keys in stage.params.items()
        if path.endswith(READABLE)
    }


def locked_settings(root: Path, params: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings whose keys a lock names, as they are now: DVC writes numbers otherwise than their file does.

    params: by file from the project's root, and key.
    """
    return {
        path: _chosen(path, strict_yaml.read(root / path), tuple(values)) if path.endswith(READABLE) else dict(values)
        for path, values in params.items()
    }


def deps(stage: Stage) -> tuple[str, ...]:
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
        return document
    try:
        return {key: lookup(document, key) for key in (("(a map)",) if keys is None else keys)}
    except KeyError as problem:
        raise InputError(f"{path} has no {problem.args[0]}", mend=f"add it, or take it out of {FILE}") from problem


def _items(stage: str, body: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    """(name, settings) of each item of a section: `- name` (PLAIN), or `- name: settings`."""
    found: list[tuple[str, Any]] = []
    items = body.get(section) or []
    for item in items if isinstance(items, list) else [None]:
        match item:
            case str():
                found.append((item, PLAIN))
            case dict():
                found += item.items()
            case _:
                _refuse(f"the stage {stage} has {section} that are no list of names")
    return found


def _refuse(found: str, mend: str = "mend it as `dvc status` says") -> NoReturn:
    raise InputError(f"{FILE}: {found}", mend=mend)
