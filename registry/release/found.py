"""The records that a project has of its model, found where nobody lists them in `release.provenance`.

    metrics of DVC      provenance/metrics/PATH, by whatever name
    plots of DVC        provenance/plots/PATH, pictures and tables
    a lock of packages  provenance/NAME
    records of ours     provenance/NAME, where a stage wrote one and its format is what its name says

A file is taken for a record of ours by its format, never by its name alone: another tool's evaluation.json is a file of
metrics, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from registry.errors import GlasshouseError, InputError
from registry.files import read_text
from registry.openness import energy
from registry.project.dvc_index import Index
from registry.records import data_manifest, layout
from registry.records.base_record import Base
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation
from registry.records.tokens import Tokens

MAX_PLOT = 8 << 20
"""Bytes of a plot that goes along; larger ones stay in the project."""
MAX_PLOTS = 200

READERS: Mapping[str, Callable[[Path], object]] = {
    layout.DATA_SUMMARY: data_manifest.read_summary,
    layout.TOKENS: Tokens.read,
    layout.CHECKPOINTS: Chain.read,
    layout.EVALUATION: Evaluation.read,
    layout.HARNESS: HarnessEvaluation.read,
    layout.ENVIRONMENT: Environment.read,
    layout.BASE: Base.read,
    layout.EMISSIONS: energy.read,
}
"""Each record of a known format, by its place in a release, and what reads it."""


def records(root: Path, index: Index, model: str) -> dict[str, Path]:
    """What is found of the project at `root`: the place in the release, and the file. model: what it releases."""
    found: dict[str, Path] = {}
    if lock := lock_of_packages(root, index, model):
        found[f"{layout.PROVENANCE}/{lock.name}"] = lock
    for path in index.metrics:
        found |= {f"{layout.FIGURES}/{name}": root / name for name in _plain(root, path)}
    for path in index.plots:
        found |= {f"{layout.PLOTS}/{name}": root / name for name in _plain(root, path)}
    for stage in index.stages:
        for out in stage.outs:
            found |= dict(_ours(root, out))
    return found


def check(places: Mapping[str, Path]) -> None:
    """Refuse a file that stands where a record of ours would, and is not one. Raises InputError that says which."""
    for place, path in places.items():
        if place in READERS and path.is_file():
            try:
                READERS[place](path)
            except GlasshouseError as problem:
                raise InputError(
                    f"{path.name} would stand at {place}, and is not what stands there: {problem.message}",
                    mend="take it out of release.provenance, or give it another name; metrics of DVC are found anyway",
                ) from problem


def lock_of_packages(root: Path, index: Index, model: str) -> Path | None:
    """The file that pins every package, by the name that its tool gives it; None where there is none.

    It is looked for beside the dvc.yaml whose stage writes `model`, and in each folder above it, up to the root of the
    repository that the project at `root` lies in.
    """
    maker = index.maker(model)
    place = (root.resolve() / maker.file).parent if maker else root.resolve()
    ways = (place, *place.parents)
    top = next((above for above in ways if (above / ".git").exists()), root.resolve())
    for above in ways[: ways.index(top) + 1]:
        for name in layout.PACKAGE_LOCKS:
            path = above / name
            if path.is_file() and not path.is_symlink() and (name != layout.LOOSE or _pins(read_text(path))):
                return path
    return None


def _pins(requirements: str) -> bool:
    """Whether every line of a requirements.txt names one version."""
    lines = [line.partition("#")[0].strip() for line in requirements.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("--hash")]
    return bool(wanted) and all("==" in line and not line.startswith("-") for line in wanted)


def _plain(root: Path, path: str) -> Iterator[str]:
    """The files at `path`, or in the folder there, that can go along."""
    place = root / path
    inside = sorted(place.rglob("*"))[:MAX_PLOTS] if place.is_dir() else [place]
    for file in inside:
        if file.is_file() and file.stat().st_size <= MAX_PLOT:
            yield file.relative_to(root).as_posix()


def _ours(root: Path, out: str) -> Iterator[tuple[str, Path]]:
    """(place, file) of each record of ours that is the output `out`, or lies in it."""
    for place, read in READERS.items():
        name = PurePosixPath(place).name
        file = root / out if PurePosixPath(out).name == name else root / out / name
        if not file.is_file():
            continue
        try:
            read(file)
        except GlasshouseError:
            continue
        yield place, file
        if place == layout.DATA_SUMMARY:
            rows = file.with_name(data_manifest.read_summary(file).stored_in)
            yield from [(f"{layout.PROVENANCE}/{rows.name}", rows)] if rows.is_file() else []
