"""One document of the training data, proven to be in it: an inclusion proof against the signed Merkle root.

Whoever has the proof and the root needs nothing else: not the other rows, not the data, not the maintainer.

Law: `check(prove(folder, wanted), root)` holds for each row of the manifest in `folder` whose root is `root`, and for
no row that is not in it. Memory does not grow with the manifest: the rows are read twice, and never kept.
Source: RFC 6962, section 2.1.1.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import Field

from registry import canonical
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.predicates import DataManifest
from registry.attest.verifier import Verifier
from registry.digest import is_sha256, sha256_bytes
from registry.errors import DigestMismatch, InputError, Unavailable, VerificationError
from registry.hub.client import HubClient
from registry.hub.reference import DirectoryReference, HubReference, Reference
from registry.merkle import root, root_of_proof
from registry.records import data_manifest, layout
from registry.records.data_row import Row
from registry.records.record import Count, Record, Sha256
from registry.verification.case import mistaken
from registry.verification.evidence import read_bundle
from registry.verification.s4_complete import stated

MEND = "make the proof from the manifest of that very release: glasshouse data prove"


class Proof(Record):
    """That a row is in a data manifest."""

    schema_: Literal["glasshouse.inclusion/v1"] = Field("glasshouse.inclusion/v1", alias="schema")
    """The format, with its version."""
    root: Sha256
    """The Merkle root that the proof leads to; what counts is the one that was signed."""
    rows: Count
    """How many rows the manifest has."""
    index: Count
    """Which of them this one is, from 0."""
    row: Row
    """The row."""
    path: tuple[Sha256, ...] = Field(max_length=64)
    """Sibling hashes, from the leaf upwards."""


def prove(folder: Path, wanted: str) -> Proof:
    """The proof for the document `wanted`, named by its path or its SHA-256, of the manifest in `folder`.

    Raises InputError where there is no such document, or the path means several; VerificationError where the rows are
    not those of the summary.
    """
    summary = data_manifest.read_summary(folder / data_manifest.SUMMARY)
    rows = folder / summary.stored_in
    index, row = _find(rows, wanted)
    lines = data_manifest.iter_leaves(rows)
    siblings = _siblings(index, summary.rows)
    roots, taken = {}, 0
    for start, end in sorted(siblings):
        next(islice(lines, start - taken, start - taken), None)  # passes over the row itself, between two siblings
        roots[start, end] = root(islice(lines, end - start))
        taken = end
    path = tuple(roots[sibling] for sibling in siblings)
    proof = Proof(root=summary.root, rows=summary.rows, index=index, row=row, path=path)
    check(proof, summary.root)
    return proof


def check(proof: Proof, signed: str, rows: int | None = None) -> None:
    """Raise VerificationError unless the row of `proof` is in the manifest with the Merkle root `signed`.

    rows: how many the manifest has, where that is signed too. A root alone does not tell: the row is in it all the
    same, but its place and their number are then only what the proof says.
    """
    found = root_of_proof(proof.row.to_bytes(), proof.index, proof.rows, proof.path)
    if rows is not None and rows != proof.rows:
        raise VerificationError(
            f"the proof is for a manifest of {proof.rows} rows, and {rows} rows are signed", mend=MEND
        )
    if found != signed:
        raise VerificationError(
            f"the proof leads to the root {found or 'of no such tree'}, expected {signed}",
            mend=MEND,
        )


def signed_manifest(reference: Reference, verifier: Verifier, *, endpoint: str | None) -> DataManifest:
    """What the data statement of a release signs, held to the release as steps 3 and 4 of `verify` do; no other file of
    the release is fetched or verified.

    1. the release statement verifies, by as many signers as the policy asks for, and is of the release that is named
    2. it lists this very data statement, which verifies
    3. the data statement speaks of files as the release has them

    Raises VerificationError where one of them does not hold, Unavailable where the policy asks for a second signer, and
    as the Hub client does.
    """
    bundles = _bundles(reference, endpoint)
    verified = verifier.verify(bundles(layout.RELEASE_ATTESTATION), name="release")
    release = stated(verified.statement)
    if amiss := mistaken(reference, release):
        raise VerificationError(f"{reference}: {amiss}", mend=MEND)
    if verifier.policy.threshold > 1:
        raise Unavailable(
            f"the policy asks for {verifier.policy.threshold} signers of the release, and one is looked at here",
            mend="verify the release with all its signatures, then check the proof by its root: --root HEX",
        )
    path = layout.attestation("data")
    data = bundles(path)
    listed = {row.name: row.sha256 for row in release.attestations}.get(path)
    if listed != sha256_bytes(data):
        raise DigestMismatch(path, signed=listed or "nothing", found=sha256_bytes(data))
    statement = verifier.verify(data, name="data").statement
    files = {file.path: file.sha256 for file in release.files}
    if foreign := [subject.name for subject in statement.subjects if files.get(subject.name) != subject.sha256]:
        raise VerificationError(f"the data statement speaks of {foreign[0]}, not as the release has it", mend=MEND)
    return DataManifest.of(statement)


def _bundles(reference: Reference, endpoint: str | None) -> Callable[[str], bytes]:
    """What reads the bundle at a path of the release."""
    match reference:
        case HubReference(repository, revision):
            hub = HubClient(endpoint)
            commit = hub.refs.resolve(repository, revision)
            return lambda path: hub.files.read(repository, commit, path, max_bytes=MAX_MODEL_BYTES)
        case DirectoryReference():
            return lambda path: read_bundle(reference.root / path)


def read(path: Path) -> Proof:
    """The proof in the file at `path`. Raises InputError."""
    return Proof.from_json(canonical.read(path, max_bytes=1 << 20), name=path.name)


def _find(rows: Path, wanted: str) -> tuple[int, Row]:
    """The one row that `wanted` names. Where a digest names several equal documents, the first one that is used."""
    hint = canonical.dumps(wanted.rpartition("/")[2])[1:-1]  # a row that it names has this in its line
    found = [
        (index, row)
        for index, line in enumerate(data_manifest.iter_leaves(rows))
        if hint in line
        and wanted in _names(row := Row.from_canonical(line, name=f"{rows.name}, line {index + 1}"), is_sha256(wanted))
    ]
    if is_sha256(wanted) and found:
        return min(found, key=lambda item: (item[1].use == "excluded", item[0]))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"no document {wanted[:200]!r} is in {rows.name}", mend="name it by its path as in the manifest, or SHA-256"
        )
    others = ", ".join(f"{row.source}/{row.path}" for _, row in found[:5])
    raise InputError(f"{wanted[:200]!r} names {len(found)} documents", mend=f"name one of: {others}")


def _names(row: Row, digest: bool) -> tuple[str, ...]:
    """What `row` can be called."""
    return (row.sha256,) if digest else (row.path, f"{row.source}/{row.path}")


def _siblings(index: int, count: int) -> list[tuple[int, int]]:
    """The rows (start, end) under each sibling on the way from leaf `index` of `count` up to the root."""
    start, end, found = 0, count, []
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]
