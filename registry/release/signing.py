"""Sign a prepared release: one attestation for each claim, the release statement over them, model.sig over everything.

What is written last means complete: a directory with a model.sig was signed to the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from registry.attest import oms, predicates
from registry.attest.signature import Signer
from registry.attest.statement import Statement, Subject
from registry.digest import sha256_file
from registry.errors import Refused
from registry.files import write_atomic
from registry.manifest import Manifest, check_portable
from registry.provenance import claims
from registry.records import layout
from registry.records.kinds import ModelFolder
from registry.records.release_record import ReleaseRecord
from registry.release import weights


def is_signed(folder: Path) -> bool:
    """Whether the release in `folder` was signed to the end."""
    return (folder / layout.SIGNATURE).is_file()


def sign(folder: Path, signer: Signer) -> None:
    """Sign the release in `folder`, anew if it was signed before.

    Raises Refused for weights that are not safetensors, or that are not the weights the record names; what the signer
    raises where it has no identity, or its services do not answer.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    (folder / layout.SIGNATURE).unlink(missing_ok=True)
    shutil.rmtree(folder / layout.ATTESTATIONS, ignore_errors=True)
    bare = Manifest.of_directory(folder)
    _check_weights(folder, bare, record)
    listed = []
    for name, statement in _claims(folder, bare, record):
        path = layout.attestation(name)
        write_atomic(folder / path, signer.sign(statement))
        listed.append(
            predicates.ListedAttestation(
                name=path, predicate_type=statement.predicate_type, sha256=sha256_file(folder / path)
            )
        )
    release = _release_statement(Manifest.of_directory(folder), tuple(listed), record)
    write_atomic(folder / layout.RELEASE_ATTESTATION, signer.sign(release))
    write_atomic(folder / layout.SIGNATURE, oms.sign(folder, signer, name=f"{record.repo}@{record.tag}"))


def _claims(folder: Path, bare: Manifest, record: ReleaseRecord) -> Iterator[tuple[str, Statement]]:
    """(name, statement) of each claim but the release statement."""
    return claims.every(folder, record, {entry.path: entry.sha256 for entry in bare.entries})


def _release_statement(
    complete: Manifest, listed: tuple[predicates.ListedAttestation, ...], record: ReleaseRecord
) -> Statement:
    return predicates.Release(
        name=record.repo,
        version=record.tag,
        repository=f"hf://{record.repo}",
        source=predicates.SourceCommit(repository=record.source.remote, commit=record.source.commit),
        files=tuple(
            predicates.ReleasedFile(path=entry.path, sha256=entry.sha256, size=entry.size, blake3=entry.blake3)
            for entry in complete.entries
        ),
        attestations=listed,
        weights=tuple(file.path for file in record.weights),
    ).about([Subject(f"{record.repo}@{record.tag}", complete.sha256)])


def _check_weights(folder: Path, bare: Manifest, record: ReleaseRecord) -> None:
    told = {row.path for row in record.declared}
    model = ModelFolder(folder, tuple(entry.path for entry in bare.entries))
    for entry in bare.entries:
        check_portable(entry.path)
    weights.check_all(model, told)
    found = {entry.path: entry.sha256 for entry in bare.entries if entry.path in model.weights}
    if found != {file.path: file.sha256 for file in record.weights}:
        raise Refused(
            "the weights are not those that the release record names",
            mend="prepare the release anew: glasshouse release prepare",
        )
