"""Make a DVC project ready to be released: the `release` section, commands that are recorded, releases out of git.

Nothing of the project's own code changes, and no stage is added. The section goes to glasshouse.yaml, a file that no
stage depends on: a stage that reads all of params.yaml would count as changed by it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from registry.errors import InputError, Refused
from registry.files import read_text, write_atomic
from registry.formats.known import Safety, identify
from registry.project import dvc_index, wrapping
from registry.project.dvc_index import Index
from registry.project.dvc_yaml import FILE
from registry.records import kinds
from registry.records.kinds import ModelFolder
from registry.records.project import SETTINGS, release_section
from registry.records.record import validated
from registry.release.config import ReleaseConfig
from registry.release.preparing import RELEASES
from registry.suffixes import PICKLED, WEIGHTS

IGNORED = ".gitignore"
PICKLE = (
    "a pickle runs code when it is loaded, so it is not released: let one more stage write the model as skops, ONNX or "
    "safetensors (docs/how-to/adopt.md), and name that"
)


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is to be written."""

    files: Mapping[str, tuple[str, str]]
    """By path: what a file says now ("" where it is not there), and what it will say."""
    notes: tuple[str, ...]
    """What stays to be done, a sentence each."""

    @property
    def diff(self) -> str:
        """The changes, as `diff -u` shows them."""
        rows: list[str] = []
        for path, (old, new) in self.files.items():
            before, after = (text.splitlines(keepends=True) for text in (old, new))
            rows += difflib.unified_diff(before, after, f"a/{path}" if old else "/dev/null", f"b/{path}")
        return "".join(row if row.endswith("\n") else f"{row}\n" for row in rows)

    @property
    def repro(self) -> str:
        """The command that runs the stages, those of a dvc.yaml in a folder too."""
        return f"dvc repro{' --all-pipelines' if any(path.endswith(f'/{FILE}') for path in self.files) else ''}"


def plan(
    root: Path,
    *,
    model: str | None,
    repo: str | None,
    terms: Mapping[str, str | None],
    record: Literal["all", "none"],
) -> Adoption:
    """What makes the project at `root` ready; nothing is changed.

    model: what is released; None: the one output of a stage that holds weights.  repo: ORG/NAME.
    terms: the fields of the licence, as the `release` section has them; None where nothing is said.  record: whether
    the commands of stages are recorded.  Raises InputError for what is missing or no such thing, and Refused for a
    model in a format that runs code.
    """
    if not (root / ".dvc").is_dir():
        raise InputError(f"{root} is not a DVC project", mend="dvc init, or go to the project's root")
    index = dvc_index.read(root)
    files: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    if release_section(root)[1] is None:
        files[SETTINGS] = _section(root, index, model, repo, terms)
    else:
        notes.append(f"a `release` section is there already, in {release_section(root)[0]}: it stays as it is")
    if record == "all":
        for path in sorted({stage.file for stage in index.stages}):
            old = read_text(root / path)
            wrapped = wrapping.wrap(old)
            notes += wrapped.left if path == FILE else [f"{path}: {words}" for words in wrapped.left]
            files |= {path: (old, wrapped.text)} if wrapped.stages else {}
    ignored = read_text(root / IGNORED) if (root / IGNORED).is_file() else ""
    if not {f"/{RELEASES}/", f"{RELEASES}/", f"/{RELEASES}", RELEASES} & set(ignored.split("\n")):
        files[IGNORED] = (
            ignored,
            f"{ignored}{'' if ignored.endswith(chr(10)) or not ignored else chr(10)}/{RELEASES}/\n",
        )
    return Adoption(files, tuple(notes))


def write(root: Path, adoption: Adoption) -> None:
    """Write what was planned."""
    for path, (_, new) in adoption.files.items():
        write_atomic(root / path, new.encode())


def candidates(root: Path, index: Index) -> list[str]:
    """Outputs of stages that look like a model: by what they hold where they are there, else by their names."""
    found = [out for stage in index.stages for out in stage.outs if _is_model(root / out)]
    return sorted(set(found))


def _is_model(place: Path) -> bool:
    if place.is_dir() and not place.is_symlink():
        paths = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*"))[:1000] if path.is_file()]
        weights = kinds.weights_in(place, paths)
        return any(_looks(place / path) for path in weights)
    return _looks(place)


def _looks(place: Path) -> bool:
    if place.suffix.lower() in (".npy", ".npz", ".tar", ".bin") and not place.is_file():
        return False  # data as often as weights
    if place.is_file():
        found = identify(place)
        return found.weights and place.suffix not in (".npy", ".npz", ".tar")
    return place.suffix.lower() in WEIGHTS


def _section(
    root: Path, index: Index, model: str | None, repo: str | None, terms: Mapping[str, str | None]
) -> tuple[str, str]:
    """(what glasshouse.yaml says now, what it will say). Raises as `plan` does."""
    chosen = _chosen(root, index, model)
    missing = [
        option for option, value in (("--repo ORG/NAME", repo), ("--license SPDX", terms["license"])) if not value
    ]
    if missing:
        raise InputError(
            f"nothing says {' and '.join(missing)}",
            mend=f"glasshouse init --model {chosen} --repo {repo or 'ORG/NAME'} --license {terms['license'] or 'SPDX'}",
        )
    section = {"repo": repo, **{name: value for name, value in terms.items() if value}, "model": chosen}
    with validated("the options", mend="glasshouse init --help"):
        ReleaseConfig.model_validate(section)
    old = read_text(root / SETTINGS) if (root / SETTINGS).is_file() else ""
    new = yaml.safe_dump({"release": section}, sort_keys=False)
    return old, f"{old}{new}"


def _chosen(root: Path, index: Index, model: str | None) -> str:
    if model is not None:
        path = model.rstrip("/")
        if index.maker(path) is None:
            outs = sorted({out for stage in index.stages for out in stage.outs})
            raise InputError(
                f"no stage of the project writes {path}", mend=f"one of its outputs: {', '.join(outs[:10]) or 'none'}"
            )
        found = [path]
    else:
        found = candidates(root, index)
    if not found:
        raise InputError("no output of a stage looks like a model", mend="name it: glasshouse init --model PATH")
    safe = [path for path in found if not list(_dangers(root / path))]
    if not safe:
        raise Refused(f"{', '.join(found[:5])}: of a format that can carry code", mend=PICKLE)
    if len(safe) > 1:
        raise InputError(
            f"several outputs look like a model: {', '.join(safe[:10])}", mend=f"name one: --model {safe[0]}"
        )
    return safe[0]


def _dangers(place: Path) -> Iterator[str]:
    """The files at `place` that run code when they are loaded."""
    if not place.exists():
        if place.suffix.lower() in PICKLED:
            yield place.name
        return
    model = ModelFolder.at(place) if place.is_dir() else ModelFolder(place.parent, (place.name,))
    for path in model.paths:
        if identify(model.root / path).trust is Safety.DANGER:
            yield path
