"""SLSA provenance of the weights: what `dvc repro` was given, by digest.

Source: https://slsa.dev/spec/v1.0/provenance. The build was run by the maintainer, on the maintainer's machine: no more
isolation than that is claimed, and the builder's id says so.
"""

from __future__ import annotations

from pathlib import Path

from registry import strict_yaml
from registry.attest.predicates import BuildDefinition, Builder, Provenance, Resource, RunDetails
from registry.digest import sha256_file
from registry.records import release as layout
from registry.records.release import ReleaseRecord

BUILD_TYPE = "https://glasshouse.dev/build/dvc-repro/v1"
BUILDER = "https://glasshouse.dev/builder/maintainer/v1"

RESOLVED = {
    "data-manifest": layout.DATA_SUMMARY,
    "pipeline": layout.PIPELINE,
    "params": layout.PARAMS,
    "lock": layout.LOCK,
    "requirements": layout.REQUIREMENTS,
    "environment": layout.ENVIRONMENT,
}
"""Name of a dependency -> the file of the release that holds it."""


def provenance(root: Path, record: ReleaseRecord) -> Provenance:
    """The predicate for the weights of the release at `root`.

    `resolvedDependencies` names the git commit, and of RESOLVED each file that the release has.
    """
    commit = {"gitCommit": record.source.commit}
    files = {name: path for name, path in RESOLVED.items() if (root / path).is_file()}
    return Provenance(
        build_definition=BuildDefinition(
            build_type=BUILD_TYPE,
            external_parameters={"command": "dvc repro", "params": strict_yaml.read(root / layout.PARAMS)},
            resolved_dependencies=(
                Resource(name="source", uri=record.source.uri, digest=commit),
                *(
                    Resource(name=name, uri=path, digest={"sha256": sha256_file(root / path)})
                    for name, path in files.items()
                ),
            ),
        ),
        run_details=RunDetails(builder=Builder(id=BUILDER)),
    )


def resolved(predicate: Provenance) -> dict[str, str]:
    """Name -> digest of the dependencies that a predicate lists; those without a name are left out."""
    rows = predicate.build_definition.resolved_dependencies
    return {row.name: next(iter(row.digest.values())) for row in rows if row.name and len(row.digest) == 1}
