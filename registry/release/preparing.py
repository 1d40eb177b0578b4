"""From a draft to a release that is ready to sign: the lock, the commit and the version join it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry import strict_yaml, tensors, versions
from registry.digest import sha256_file
from registry.errors import InputError, Refused
from registry.files import directory_beside, write_atomic
from registry.manifest import Manifest
from registry.openness.documents import every
from registry.project import dvc_index, dvc_lock, dvc_yaml, git, stage_runs
from registry.project.committed import Committed
from registry.project.known_digests import KnownDigests
from registry.project.measure import listing_of
from registry.records import layout, listing, project
from registry.records.kinds import ModelFolder
from registry.records.release_record import ReleaseRecord, SourceCode, Weights
from registry.records.run import Stages, directory_digest
from registry.release import card, companions, open_record, rebuildable, replayable, weights
from registry.release import draft as drafts
from registry.release import scope as scopes
from registry.release.companions import PlannedCompanion
from registry.release.config import ReleaseConfig
from registry.release.kinds import doors
from registry.release.scope import Scope
from registry.suffixes import SAFETENSORS

PIPELINE = (dvc_yaml.FILE, dvc_lock.LOCK)
"""What says in a folder of stages how the model was built: files of git, which no stage can write."""
SETTINGS = (project.PARAMS, project.SETTINGS)
"""What a project can have beside them, with its settings."""
RELEASES = "releases"
"""Where prepared releases stand, below the project's root."""


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What `prepare` will do, made without changing anything."""

    record: ReleaseRecord
    """The release record, complete."""
    stages: Stages
    """The runs behind it."""
    folder: Path
    """Where the release will stand."""
    draft: Path
    """What it is made of."""
    companions: tuple[PlannedCompanion, ...] = ()
    """What will stand beside it."""
    warnings: tuple[str, ...] = ()
    """What will keep others from checking it, in words."""
    settings: tuple[str, ...] = ()
    """The files of git that say how the model was built."""


def plan(root: Path, config: ReleaseConfig, version: str, *, rehash: bool = False) -> ReleasePlan:
    """Check everything that must hold before a release of `version` is prepared; write its draft, if no stage does.

    rehash: hash also what stages read and wrote and what has not changed since.

    Raises Refused, with the mend, for a dirty tree, a lock that is not committed or that DVC calls stale, a dependency
    that is not as the commit has it, a stage whose record is not of the files as they are, weights that are not
    safetensors, and a contract of replay or of rebuilding that does not hold.
    """
    versions.parse(version)
    if not (root / ".dvc").is_dir():
        raise InputError(f"{root} has no {dvc_yaml.FILE} of DVC", mend="run this at the root of a DVC project")
    scope = scopes.of(root, config)
    _check_tree(root, scope)
    draft = drafts.made(root, config, scope)
    source = git.source(root)
    manifest = Manifest.of_directory(draft)
    model = ModelFolder.at(draft)
    weights.check_all(model, {row.path for row in config.declared})
    files = [entry for entry in manifest.entries if entry.path in model.weights]
    code = SourceCode(
        commit=source.commit,
        committed_at=source.committed_at,
        remote=source.remote,
        pushed=source.pushed or source.remote is None,
        folder=source.folder,
    )
    beside = companions.planned(root, config, version, code, draft)
    record = ReleaseRecord(
        repo=config.repo,
        version=version,
        source=code,
        license=config.spdx,
        kind=doors.kind_of(model, config.kind).name,
        parameters=_parameters(model),
        content=manifest.sha256,
        lock=_lock({folder: sha256_file(root / folder / dvc_lock.LOCK) for folder in scope.folders}),
        weights=tuple(
            Weights(path=entry.path, sha256=entry.sha256, tensors=_tensors(draft / entry.path)) for entry in files
        ),
        companions=tuple(companion.record for companion in beside),
        declared=config.declared,
        licenses=config.licenses,
        rebuild=rebuildable.declared(root, config, scope),
    )
    stages = stage_runs.gather(root, scope.folders, rehash=rehash)
    replayable.check(root, [one.run.stage for one in stages.stages])
    folder = root / RELEASES / config.name / record.tag
    return ReleasePlan(
        record, stages, folder, draft, beside, tuple(unreachable(source)), tuple(_settings(root, scope.folders))
    )


def _lock(locks: Mapping[str, str]) -> str:
    """The digest that the record has of the lock. locks: SHA-256 of each by its folder."""
    if locks.keys() == {""}:
        return locks[""]
    return directory_digest({PurePosixPath(folder, dvc_lock.LOCK).as_posix(): sha for folder, sha in locks.items()})


def _parameters(model: ModelFolder) -> int | None:
    """How many numbers its weights hold; None where a file of them does not tell."""
    if not all(path.endswith(SAFETENSORS) for path in model.weights):
        return None
    return sum(tensors.parameters(model.root / path) for path in model.weights)


def _tensors(path: Path) -> str | None:
    return tensors.tensors_digest(path) if path.suffix == SAFETENSORS else None


def prepare(root: Path, config: ReleaseConfig, planned: ReleasePlan) -> Path:
    """Write the release that `planned` says, unsigned, whole or not at all, and return its directory.

    Preparing again what was prepared gives the same bytes. Raises Refused where the project declares a more open class
    than the release shows.
    """
    planned.folder.parent.mkdir(parents=True, exist_ok=True)
    if not (ignored := root / RELEASES / ".gitignore").exists():
        write_atomic(ignored, b"*\n")  # a release is no part of the project that it was made from
    for companion in planned.companions:
        companion.write(companions.place(planned.folder, companion.repo))
    with directory_beside(planned.folder) as folder:
        shutil.copytree(planned.draft, folder, dirs_exist_ok=True)
        for path in planned.settings:
            write_atomic(folder / layout.of_project(path), (root / path).read_bytes())
        for path, data in (*_joined(planned).items(), *_listings(root, planned.stages)):
            write_atomic(folder / path, data)
        every.write(folder)
        card.write(root, config, folder, version=planned.record.version)
        open_record.write(config, folder, planned.record)
    return planned.folder


def is_prepared(planned: ReleasePlan) -> bool:
    """Whether the release that `planned` says stands prepared already, signed or not."""
    return all(
        (planned.folder / path).is_file() and (planned.folder / path).read_bytes() == data
        for path, data in _joined(planned).items()
    )


def _joined(planned: ReleasePlan) -> dict[str, bytes]:
    """The records that no stage could write, by their path."""
    return {layout.RECORD: planned.record.to_bytes(), layout.STAGES: planned.stages.to_bytes()}


def _listings(root: Path, stages: Stages) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of each part of the listings of directories that `stages` names by their digest alone."""
    items = [item for known in stages.stages for item in (*known.run.deps, *known.run.outs)]
    large = {item.sha256: item for item in items if item.files is not None and not item.listed}
    known = KnownDigests(root, anew=not stages.kept)
    for sha256, item in sorted(large.items()):
        yield from listing.parts(sha256, listing_of(root, item, known))


def _settings(root: Path, folders: Iterable[str]) -> list[str]:
    """The files of git that say how the model was built: PIPELINE of each folder, and of SETTINGS what is there."""
    below = [PurePosixPath(folder, name).as_posix() for folder in folders for name in (*PIPELINE, project.PARAMS)]
    found = dict.fromkeys((*below, *SETTINGS))
    return [path for path in found if path.endswith(PIPELINE) or (root / path).is_file()]


def unreachable(source: git.GitSource) -> Iterator[str]:
    """Why others will not be able to fetch `source`, in words and with the mend; nothing where they seem able to."""
    if source.remote is None:
        yield "no remote of the repository is a place to fetch from, so nobody can audit it: git remote add origin URL"
    elif not source.pushed:
        yield f"no branch of a remote has the commit {source.commit[:12]}, so nobody can fetch it: git push"


def _check_tree(root: Path, scope: Scope) -> None:
    """Refuse a tree, or a lock, that another person's clone would not give."""
    settings = _settings(root, scope.folders)
    if absent := [path for path in settings if not (root / path).is_file()]:
        raise InputError(f"{root} has no {', '.join(absent[:5])}", mend="dvc repro --all-pipelines")
    if not scope.folders:
        raise InputError(f"{root} has no {dvc_yaml.FILE} with a stage", mend="dvc stage add: a stage writes the model")
    if changed := git.changes(root):
        raise Refused(
            f"the tree is dirty: {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}",
            mend="git add --all && git commit",
        )
    held = Committed.at_head(root)
    for needed in settings:
        if needed not in held:
            raise Refused(f"{needed} is not committed", mend=f"git add --force {needed} && git commit")
    held.check(settings)
    for path in settings:
        if path.endswith(dvc_yaml.PARAMS):
            dvc_yaml.check_finite(path, strict_yaml.read(root / path, aliases=True))
    if stages := _stale(root, scope):
        below = " --all-pipelines" if any(":" in name for name in stages) else ""  # those of a dvc.yaml in a folder
        raise Refused(
            f"dvc calls these stages out of date: {', '.join(stages)}",
            mend=f"dvc repro{below} && git add --all && git commit; or, where another copy ran them and pushed: "
            "dvc pull",
        )


def _stale(root: Path, scope: Scope) -> list[str]:
    """The stages that keep the model from being released: those that it has to do with, and those of their locks.

    Another that never ran is nothing to it.
    """
    locks = (dvc_lock.read_lock(root / folder / dvc_lock.LOCK, folder) for folder in scope.folders)
    counted = scope.stages | dvc_lock.merged(locks).stages.keys()
    return [stage for stage in dvc_index.stale(root) if stage in counted]
