"""From a draft to a release that is ready to sign: the lock, the commit and the version join it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry import strict_yaml, tensors, versions
from registry.digest import sha256_file
from registry.errors import InputError, Refused
from registry.files import directory_beside, write_atomic
from registry.manifest import Manifest
from registry.project import dvc_lock, dvc_yaml, git, stage_runs
from registry.project.committed import Committed
from registry.records import layout, project
from registry.records.kinds import ModelFolder
from registry.records.release_record import ReleaseRecord, SourceCode, Weights
from registry.records.run import Stages
from registry.release import card, companions, rebuildable, replayable, weights
from registry.release import draft as drafts
from registry.release.companions import PlannedCompanion
from registry.release.config import ReleaseConfig
from registry.release.kinds import doors
from registry.suffixes import SAFETENSORS

PIPELINE = ("dvc.yaml", "dvc.lock")
"""What says how the model was built: files of git, which no stage can write."""
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


def plan(root: Path, config: ReleaseConfig, version: str) -> ReleasePlan:
    """Check everything that must hold before a release of `version` is prepared; write its draft, if no stage does.

    Raises Refused, with the mend, for a dirty tree, a lock that is not committed or that DVC calls stale, a dependency
    that is not as the commit has it, a stage whose record is not of the files as they are, weights that are not
    safetensors, and a contract of replay or of rebuilding that does not hold.
    """
    versions.parse(version)
    _check_tree(root)
    draft = drafts.made(root, config)
    source = git.source(root)
    manifest = Manifest.of_directory(draft)
    model = ModelFolder.at(draft)
    weights.check_all(model, {row.path for row in config.declared})
    files = [entry for entry in manifest.entries if entry.path in model.weights]
    code = SourceCode(
        commit=source.commit, committed_at=source.committed_at, remote=source.remote, folder=source.folder
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
        lock=sha256_file(root / "dvc.lock"),
        weights=tuple(
            Weights(path=entry.path, sha256=entry.sha256, tensors=_tensors(draft / entry.path)) for entry in files
        ),
        companions=tuple(companion.record for companion in beside),
        declared=config.declared,
        rebuild=rebuildable.declared(root, config),
    )
    stages = stage_runs.gather(root)
    replayable.check(root, [one.run.stage for one in stages.stages])
    folder = root / RELEASES / config.name / record.tag
    return ReleasePlan(record, stages, folder, draft, beside, tuple(unreachable(source)))


def _parameters(model: ModelFolder) -> int | None:
    """How many numbers its weights hold; None where a file of them does not tell."""
    if not all(path.endswith(SAFETENSORS) for path in model.weights):
        return None
    return sum(tensors.parameters(model.root / path) for path in model.weights)


def _tensors(path: Path) -> str | None:
    return tensors.tensors_digest(path) if path.suffix == SAFETENSORS else None


def prepare(root: Path, config: ReleaseConfig, planned: ReleasePlan) -> Path:
    """Write the release that `planned` says, unsigned, whole or not at all, and return its directory.

    Preparing again what was prepared gives the same bytes.
    """
    planned.folder.parent.mkdir(parents=True, exist_ok=True)
    if not (ignored := root / RELEASES / ".gitignore").exists():
        write_atomic(ignored, b"*\n")  # a release is no part of the project that it was made from
    for companion in planned.companions:
        companion.write(companions.place(planned.folder, companion.repo))
    with directory_beside(planned.folder) as folder:
        shutil.copytree(planned.draft, folder, dirs_exist_ok=True)
        for name in _settings(root):
            write_atomic(folder / layout.PROVENANCE / name, (root / name).read_bytes())
        for path, data in _joined(planned).items():
            write_atomic(folder / path, data)
        card.write(root, config, folder, version=planned.record.version)
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


def _settings(root: Path) -> list[str]:
    """The files of git that say how the model was built: PIPELINE, and of SETTINGS what is there."""
    return [*PIPELINE, *(name for name in SETTINGS if (root / name).is_file())]


def unreachable(source: git.GitSource) -> Iterator[str]:
    """Why others will not be able to fetch `source`, in words and with the mend; nothing where they seem able to."""
    if source.remote is None:
        yield "no remote of the repository is a place to fetch from, so nobody can audit it: git remote add origin URL"
    elif not source.pushed:
        yield f"no branch of a remote has the commit {source.commit[:12]}, so nobody can fetch it: git push"


def _check_tree(root: Path) -> None:
    """Refuse a tree, or a lock, that another person's clone would not give."""
    for needed in PIPELINE:
        if not (root / needed).is_file():
            raise InputError(f"{root} has no {needed}", mend="run this at the root of a DVC project, after `dvc repro`")
    if changed := git.changes(root):
        raise Refused(
            f"the tree is dirty: {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}",
            mend="git add --all && git commit",
        )
    held = Committed.at_head(root)
    for needed in _settings(root):
        if needed not in held:
            raise Refused(f"{needed} is not committed", mend=f"git add --force {needed} && git commit")
    held.check(_settings(root))
    if (root / dvc_yaml.PARAMS).is_file():
        dvc_yaml.check_finite(dvc_yaml.PARAMS, strict_yaml.read(root / dvc_yaml.PARAMS, aliases=True))
    if stages := dvc_lock.stale(root):
        below = " --all-pipelines" if any(":" in name for name in stages) else ""  # those of a dvc.yaml in a folder
        raise Refused(
            f"dvc calls these stages out of date: {', '.join(stages)}",
            mend=f"dvc repro{below} && git add --all && git commit; or, where another copy ran them and pushed: "
            "dvc pull",
        )
