"""How the release that is being prepared can be rebuilt: what its project declares, made whole.

dvc.yaml                the stages that wrote what is released, and where each file lies
`release.rebuild`       what a person says otherwise: command or targets, environment, tolerances
    -> DeclaredRebuild  in the release record, so that the maintainer signs it
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from registry.digest import sha256_file
from registry.errors import Refused
from registry.project.dvc_index import Index
from registry.records import layout
from registry.records.rebuild import (
    COMPARABLE,
    MAX_OUTPUTS,
    REPRO,
    DeclaredEnvironment,
    DeclaredOutput,
    DeclaredRebuild,
    EnvironmentContract,
)
from registry.release import draft, found
from registry.release.config import ReleaseConfig
from registry.release.scope import Scope

MEND = "mend release.rebuild: docs/how-to/audit.md"


def declared(root: Path, config: ReleaseConfig, scope: Scope) -> DeclaredRebuild | None:
    """How the release of the project at `root` is rebuilt; None where no stage wrote any file of it.

    Raises Refused where `release.rebuild` names what is not there, and InputError where the draft cannot be told.
    """
    index = scope.index
    places = draft.sources(root, config, scope)
    outputs = tuple(sorted(_outputs(root, config, places, index), key=lambda output: output.path))
    if not outputs:
        return None
    if len(outputs) > MAX_OUTPUTS:
        raise Refused(
            f"{len(outputs)} files of the release were written by stages; {MAX_OUTPUTS} at most can be rebuilt",
            mend="release fewer, larger files",
        )
    _check_tolerances(config, outputs)
    return DeclaredRebuild(
        command=config.rebuild.command or (*REPRO, *(config.rebuild.targets or _targets(outputs, index))),
        environment=_environment(root, config, scope),
        outputs=outputs,
    )


def _outputs(root: Path, config: ReleaseConfig, places: dict[str, Path], index: Index) -> Iterator[DeclaredOutput]:
    for place, path in places.items():
        source = path.relative_to(root).as_posix() if path.is_relative_to(root) else None
        if source and not layout.is_joined_later(place) and index.maker(source):
            near = config.rebuild.tolerance(source)
            yield DeclaredOutput(path=place, source=source, rtol=near.rtol, atol=near.atol)


def _targets(outputs: tuple[DeclaredOutput, ...], index: Index) -> tuple[str, ...]:
    """The stages that wrote them, each once. DVC runs what they need, too."""
    makers = (index.maker(output.source) for output in outputs)
    return tuple(sorted({maker.address for maker in makers if maker}))


def _check_tolerances(config: ReleaseConfig, outputs: tuple[DeclaredOutput, ...]) -> None:
    """Refuse a tolerance that speaks of nothing, or of bytes that cannot be near one another."""
    for path in config.rebuild.tolerances:
        inside = [o for o in outputs if o.source == path or o.source.startswith(f"{path}/")]
        if not any(output.path.endswith(COMPARABLE) for output in inside):
            raise Refused(
                f"release.rebuild.tolerances: {path} is not released, or ends neither in {' nor in '.join(COMPARABLE)}",
                mend=MEND,
            )


def _environment(root: Path, config: ReleaseConfig, scope: Scope) -> DeclaredEnvironment | None:
    """What it is rebuilt in: as declared, else the lock that stands in the release."""
    asked = config.rebuild.environment or _lock(root, config, scope)
    if asked is None:
        return None
    if asked.file is None:
        return DeclaredEnvironment(kind="image", image=asked.image)
    path, name = root / asked.file, PurePosixPath(asked.file).name
    kind = asked.kind or layout.LOCK_TOOLS.get(name)
    if kind is None:
        raise Refused(f"release.rebuild.environment: whose format {asked.file} has is not known", mend="say its `kind`")
    if not path.is_file() or path.is_symlink():
        raise Refused(f"release.rebuild.environment: there is no file {asked.file}", mend=MEND)
    return DeclaredEnvironment(kind=kind, file=asked.file, sha256=sha256_file(path))


def _lock(root: Path, config: ReleaseConfig, scope: Scope) -> EnvironmentContract | None:
    """The lock of packages that the release has among its records."""
    if config.provenance is None:
        lock, whole = found.lock_of_packages(root, scope.index, config.model), root.resolve()
        name = lock.relative_to(whole).as_posix() if lock and lock.is_relative_to(whole) else None
    else:
        name = next((path for path in config.provenance if PurePosixPath(path).name in layout.LOCK_TOOLS), None)
    return EnvironmentContract(file=name) if name else None
