"""Whether MLflow and the signed releases say the same. The releases are right: MLflow is a place to look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from registry.attest.bundle import MAX_MODEL_BYTES
from registry.catalog import entry, shelves
from registry.catalog.entry import ReleaseEntry, Whom
from registry.digest import sha256_bytes
from registry.doctor.condition import Condition, bad, good, unknown
from registry.errors import GlasshouseError
from registry.project.mlflow_versions import RecordedVersion, recorded
from registry.records import layout, tracking
from registry.report import Verdict
from registry.versions import order

NAME = "MLflow and releases"
MEND = "glasshouse release publish DIR tells MLflow again; versions and aliases are put right there"


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """What a release says of itself, as far as MLflow speaks of it."""

    name: str
    """`owner/name@version`."""
    statement: str
    """SHA-256 of the bundle of its release statement."""
    lock: str
    """SHA-256 of its dvc.lock."""
    weights: Mapping[str, str]
    """SHA-256 of each file of weights, by the file's name."""
    yanked: bool = False
    """Whether it was taken back, by whom the policy names."""

    @classmethod
    def of(cls, found: ReleaseEntry) -> SignedRelease:
        """What the release says. Raises GlasshouseError where its record is not the signed one."""
        bundle = found.shelf.read(layout.RELEASE_ATTESTATION, MAX_MODEL_BYTES)
        weights = {PurePosixPath(file.path).name: file.sha256 for file in found.record.weights}
        yanked = found.newest is not None and found.standing[0] is Verdict.FAIL
        return cls(found.name, sha256_bytes(bundle), found.record.lock, weights, yanked)


def compared(project: Path, where: str, whom: Whom, *, endpoint: str | None) -> Iterator[Condition]:
    """Each disagreement between the project's MLflow and the releases at `where` (a Hub, a namespace, a folder)."""
    releases = []
    for shelf in shelves.find_all(where, endpoint=endpoint):
        try:
            releases.append(SignedRelease.of(entry.read(shelf, whom)))
        except GlasshouseError as problem:
            yield unknown(NAME, f"{shelf.reference} cannot be read: {problem.message}", mend=problem.mend)
    versions = recorded(project, {name for release in releases for name in release.weights})
    if versions is None:
        yield good(NAME, "the project keeps no store of runs")
        return
    found = list(disagreements(versions, releases))
    unread = [version for version in versions if version.held is None]
    yield from (bad(NAME, words, mend=MEND) for words in found)
    for version in unread:
        yield unknown(NAME, f"{version}: its artifacts cannot be read", mend="see where they lie")
    if not found and not unread:
        yield good(NAME, f"{len(releases)} releases and {len(versions)} versions agree")


def disagreements(versions: Sequence[RecordedVersion], releases: Sequence[SignedRelease]) -> Iterator[str]:
    """Each place where MLflow contradicts the releases. A store without versions contradicts nothing."""
    by_name = {release.name: release for release in releases}
    pointing: dict[tuple[str, str], list[RecordedVersion]] = defaultdict(list)
    for version in versions:
        if named := version.tags.get(tracking.RELEASE, "").removeprefix("hf://"):
            pointing[version.model, named].append(version)
            release = by_name.get(named)
            if release is None:
                yield f"{version} points to {named}, which is not among the releases"
            else:
                yield from _differing(version, release)
    for (model, named), several in pointing.items():
        if len(several) > 1:
            numbers = ", ".join(str(version.number) for version in sorted(several, key=lambda one: one.number))
            yield f"versions {numbers} of {model} all say that they are {named}"
    told = {named for _, named in pointing}
    if versions:
        yield from (f"no version points to {name}" for name in sorted(by_name.keys() - told))
    yield from _aliases(versions, by_name)


def _differing(version: RecordedVersion, release: SignedRelease) -> Iterator[str]:
    """How a version departs from the release that it points to."""
    for tag, signed in ((tracking.STATEMENT, release.statement), (tracking.LOCK, release.lock)):
        if version.tags.get(tag) != signed:
            yield f"{version}: its tag {tag} is {version.tags.get(tag, 'not there')}, signed as {signed}"
    said = version.tags.get(tracking.WEIGHTS)
    if said is not None and said not in release.weights.values():
        yield f"{version}: its tag {tracking.WEIGHTS} names weights {said[:16]}, which {release.name} has not"
    if version.run and not version.run_stands:
        yield f"{version}: its run {version.run} was deleted, or is not there"
    if version.held is None:
        return  # it cannot be told
    for name, signed in release.weights.items():
        held = version.held.get(name)
        if held is None:
            yield f"{version}: its artifact {name} is not there"
        elif held != signed:
            yield f"{version}: its artifact {name} is {held[:16]}, signed as {signed[:16]}"


def _aliases(versions: Sequence[RecordedVersion], by_name: Mapping[str, SignedRelease]) -> Iterator[str]:
    """Where the alias `released` is not at the newest release that stands."""
    for model in sorted({version.model for version in versions}):
        own = [version for version in versions if version.model == model]
        standing = [
            (order(named.partition("@")[2]), version.number, version)
            for version in own
            if (named := version.tags.get(tracking.RELEASE, "").removeprefix("hf://")) in by_name
            and not by_name[named].yanked
        ]
        at = next((version for version in own if version.alias), None)
        wanted = max(standing, key=lambda row: row[:2])[2] if standing else None
        if wanted is not None and (at is None or at.tags.get(tracking.RELEASE) != wanted.tags.get(tracking.RELEASE)):
            where = f"at {at}" if at else "nowhere"
            yield f"the alias `released` is {where}, and {wanted} is the newest release that stands"
        elif wanted is None and at is not None:
            yield f"the alias `released` is at {at}, which is not a release that stands"
