"""SLSA provenance: of the weights, what `dvc repro` was given; of each stage, what it read and what it wrote.

A directory is a subject, or a dependency, whose name ends in a slash. Its SHA-256 is that of the listing which
`sha256sum` prints of its files (`registry.records.run.directory_digest`). Each file inside is a subject of its own.

Law: `stage_run(stage(run, record)) == run`.
Source: https://slsa.dev/spec/v1.0/provenance. The build was run by the maintainer, on the maintainer's machine: no more
isolation than that is claimed, and the builder's id says so.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from registry import strict_yaml
from registry.attest import namespace
from registry.attest.intoto import BuildDefinition, Builder, BuildMetadata, Provenance, Resource, RunDetails
from registry.attest.statement import Statement, Subject
from registry.errors import Malformed
from registry.records import layout
from registry.records.base_record import Base
from registry.records.record import Record
from registry.records.release_record import ReleaseRecord
from registry.records.run import Evidence, Measured, OutsideInput, StageRun, touches

BUILD_TYPE = namespace.WRITTEN + "build/dvc-repro/v1"
STAGE_TYPE = namespace.WRITTEN + "build/dvc-stage/v1"
BUILDER = namespace.WRITTEN + "builder/maintainer/v1"

RESOLVED = {
    "data-manifest": layout.DATA_SUMMARY,
    "pipeline": layout.PIPELINE,
    "params": layout.PARAMS,
    "lock": layout.LOCK,
    "settings": layout.SETTINGS,
    "environment": layout.ENVIRONMENT,
    "base-record": layout.BASE,
    **{
        "requirements" if path == layout.REQUIREMENTS else f"packages:{name}": path
        for name, path in ((name, f"{layout.PROVENANCE}/{name}") for name in layout.PACKAGE_LOCKS)
    },
}
"""Name of a dependency -> the file of the release that holds it."""
BELOW = {"dvc.yaml": "pipeline", "dvc.lock": "lock", "params.yaml": "params"}
"""The last part of a file's path below layout.PIPELINES -> what the names of such dependencies begin with."""
FILES = "files"
"""The annotation of a directory with SHA-256 by the path inside."""
FROM = "from"
"""The annotation of a dependency that is in the git commit, which has COMMIT for its value."""
COMMIT = "source"
COMMITTED = "committed"
"""The annotation of a directory with those of its files that are in the git commit, where others are not."""
OUTSIDE = "outside"
"""The annotation of what a stage read that is not in the project: its key by DVC, or null. It has no digest."""
TRACKED = "dvc"
"""The annotation of a dependency with what .dvc files of the commit name of it: path, md5, and where it came from."""


class Chosen(Record):
    """`externalParameters` of a stage's provenance: what the person who wrote dvc.yaml and params.yaml chose."""

    stage: str
    """Its name, as dvc.lock has it."""
    command: str
    """Its command there: templates resolved, several commands one a line."""
    params: dict[str, dict[str, Any]]
    """By file and key, the settings it depends on."""


class Known(Record):
    """`internalParameters` of a stage's provenance."""

    evidence: Evidence
    """`ran`, `restored` or `unrecorded`: how its outputs came to be where the release was made."""


def provenance(root: Path, record: ReleaseRecord, digests: Mapping[str, str]) -> Provenance:
    """The predicate for the weights of the release at `root`, whose files have the SHA-256 `digests` by path.

    `resolvedDependencies` names the git commit, the base where there is one, and of RESOLVED each file that the release
    has.
    """
    files = named(digests)
    params = strict_yaml.read(root / layout.PARAMS, aliases=True) if layout.PARAMS in digests else {}
    return Provenance(
        build_definition=BuildDefinition(
            build_type=BUILD_TYPE,
            external_parameters={"command": "dvc repro", "params": params},
            resolved_dependencies=(
                _source(record),
                *([base(root)] if layout.BASE in digests else []),
                *(Resource(name=name, uri=path, digest={"sha256": digests[path]}) for name, path in files.items()),
            ),
        ),
        run_details=RunDetails(builder=Builder(id=BUILDER)),
    )


def base(root: Path) -> Resource:
    """The dependency that is the base of the release at `root`. Raises Malformed where its record is none."""
    record = Base.read(root / layout.BASE)
    return Resource(name="base", uri=record.uri, digest={"sha256": record.sha256})


def named(paths: Collection[str]) -> dict[str, str]:
    """Name of a dependency -> its file, of a release that has the files `paths`."""
    start = f"{layout.PIPELINES}/"
    below = [path.removeprefix(start).rpartition("/") for path in sorted(paths) if path.startswith(start)]
    return {
        **{name: path for name, path in RESOLVED.items() if path in paths},
        **{f"{BELOW[file]}:{folder}": f"{start}{folder}/{file}" for folder, _, file in below if file in BELOW},
    }


def resolved(predicate: Provenance) -> dict[str, str]:
    """Name -> digest of the dependencies that a predicate lists; those without a name are left out."""
    rows = predicate.build_definition.resolved_dependencies
    return {row.name: next(iter(row.digest.values())) for row in rows if row.name and len(row.digest) == 1}


def stage(known: StageRun, record: ReleaseRecord) -> Statement:
    """The statement of one stage of the release that `record` is of: subjects are what it wrote."""
    run = known.run
    chosen = Chosen(stage=run.stage, command=run.command, params=run.params)
    metadata = None if known.evidence == "unrecorded" else BuildMetadata(invocation_id=f"sha256:{run.digest}")
    return Provenance(
        build_definition=BuildDefinition(
            build_type=STAGE_TYPE,
            external_parameters=chosen.as_json(),
            internal_parameters=Known(evidence=known.evidence).as_json(),
            resolved_dependencies=(
                _source(record),
                *(_resource(dep, known) for dep in run.deps),
                *(_elsewhere(row) for row in known.outside),
            ),
        ),
        run_details=RunDetails(builder=Builder(id=BUILDER), metadata=metadata),
    ).about(subject for item in run.outs for subject in _subjects(item))


def renamed(statement: Statement) -> Statement:
    """The provenance `statement` with those of its names that are ours as they would be written today."""
    match statement.predicate:
        case {
            "buildDefinition": {"buildType": str(build), **definition},
            "runDetails": {"builder": {"id": str(identity), **builder}, **details},
            **rest,
        } if (build, identity) != (namespace.read(build), namespace.read(identity)):
            predicate = {
                "buildDefinition": {"buildType": namespace.read(build), **definition},
                "runDetails": {"builder": {"id": namespace.read(identity), **builder}, **details},
            }
            return Statement(statement.subjects, statement.predicate_type, {**predicate, **rest})
    return statement


def stage_run(statement: Statement) -> tuple[StageRun, str]:
    """What a stage's statement says: its run, and the git commit. Raises Malformed for any other statement."""
    predicate = Provenance.of(renamed(statement))
    definition, details = predicate.build_definition, predicate.run_details
    if definition.build_type != STAGE_TYPE or details.builder.id != BUILDER or not definition.resolved_dependencies:
        raise Malformed(f"it is not a provenance of {STAGE_TYPE}", mend="do not trust the release")
    source, *rest = definition.resolved_dependencies
    deps = [resource for resource in rest if OUTSIDE not in (resource.annotations or {})]
    outside = [resource for resource in rest if OUTSIDE in (resource.annotations or {})]
    chosen = Chosen.from_json(definition.external_parameters, name="externalParameters")
    known = Known.from_json(definition.internal_parameters, name="internalParameters")
    run = {
        "schema": "glasshouse.run/v1",
        **chosen.as_json(),
        "deps": [_dependency(resource) for resource in deps],
        "outs": list(_outputs(statement.digests)),
    }
    told = {
        **known.as_json(),
        "committed": sorted({path for resource in deps for path in _committed(resource)}),
        "tracked": _tracked(deps),
        "outside": [{"place": row.name, "key": (row.annotations or {})[OUTSIDE]} for row in outside],
        "run": run,
    }
    found = StageRun.from_json(told, name=f"the statement of the stage {chosen.stage[:80]}")
    return found, source.digest.get("gitCommit", "none")


def _source(record: ReleaseRecord) -> Resource:
    return Resource(name="source", uri=record.source.uri, digest={"gitCommit": record.source.commit})


def _resource(item: Measured, known: StageRun) -> Resource:
    """A dependency: its files, and where it is from as far as that is known."""
    parts = known.committed_inside(item.path)
    rows = [row.as_json() for row in known.tracked if touches(row.path, item.path)]
    told: dict[str, Any] = {
        **({FILES: item.files} if item.files else {}),
        **({FROM: COMMIT} if known.is_committed(item.path) else {}),
        **({COMMITTED: list(parts)} if parts else {}),
        **({TRACKED: rows} if rows else {}),
    }
    url = next((row.url for row in known.tracked if row.path == item.path), None)
    return Resource(name=item.name, uri=url, digest={"sha256": item.sha256}, annotations=told or None)


def _elsewhere(row: OutsideInput) -> Resource:
    """What nobody measured: it has no digest."""
    return Resource(
        name=row.place, uri=row.place if "://" in row.place else None, digest={}, annotations={OUTSIDE: row.key}
    )


def _committed(resource: Resource) -> list[str]:
    """The files of the commit that a dependency is, or has in it."""
    told = resource.annotations or {}
    parts = told.get(COMMITTED, [])
    if not isinstance(parts, list) or not all(isinstance(path, str) for path in parts):
        raise Malformed(f"its {COMMITTED} is not a list of paths", mend="do not trust the release")
    return [*([_path(resource)] if told.get(FROM) == COMMIT else []), *parts]


def _tracked(deps: Iterable[Resource]) -> list[Any]:
    """What .dvc files name, of all dependencies, by path."""
    found: dict[str, Any] = {}
    for resource in deps:
        rows = (resource.annotations or {}).get(TRACKED, [])
        for row in rows if isinstance(rows, list) else [None]:
            if not isinstance(row, dict) or not isinstance(row.get("path"), str):
                raise Malformed(f"its {TRACKED} is not a list of what .dvc files name", mend="do not trust the release")
            found[row["path"]] = row
    return [row for _, row in sorted(found.items())]


def _path(resource: Resource) -> str:
    return (resource.name or "").removesuffix("/")


def _dependency(resource: Resource) -> dict[str, Any]:
    name = resource.name or ""
    files = (resource.annotations or {}).get(FILES, {}) if name.endswith("/") else None
    return {"path": _path(resource), "sha256": resource.digest.get("sha256"), "files": files}


def _subjects(item: Measured) -> Iterator[Subject]:
    yield Subject(item.name, item.sha256)
    yield from (Subject(path, sha256) for path, sha256 in item.inside().items())


def _outputs(digests: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The outputs that subjects name: each directory with the files that follow it."""
    within, files = "", {}
    for name, sha256 in digests.items():
        if within and name.startswith(within):
            files[name.removeprefix(within)] = sha256
            continue
        within, files = (name, {}) if name.endswith("/") else ("", {})
        yield {"path": name.removesuffix("/"), "sha256": sha256, "files": files if within else None}
