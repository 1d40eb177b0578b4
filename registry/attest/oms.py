"""model.sig: the one signature over a whole directory, in the format of OpenSSF Model Signing. Door to model_signing.

model_signing says what is covered and hashes it; our `Signer` signs that statement, so that one identity and one
certificate serve for the attestations and for model.sig. What comes out verifies with the stock command:

    model_signing verify sigstore --signature model.sig --identity WHO --identity_provider ISSUER DIRECTORY

Not covered by it: model.sig itself, and `.git`, `.gitattributes`, `.github`, `.gitignore`, which the stock command
never looks at (a signature that names them would not verify). The release statement covers `.gitattributes`.

A signer with another tool can leave out further paths: `covered` names them, and nobody vouches for what stands there.
What model_signing wrote before 1.0 is told apart, and not read.

Law: `resources(sign(...)'s statement)` is the path and SHA-256 of every file below the root, but for those.
Source: OpenSSF Model Signing specification 1.0; model_signing 1.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NoReturn

from registry.attest.bundle import MAX_MODEL_BYTES, MEND, Bundle
from registry.attest.signature import Signer, Verified
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from registry.digest import is_sha256
from registry.errors import InputError, SignatureError, Unsupported
from registry.later import Later, put_off
from registry.manifest import check_path, walk

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
SIGNATURE_FILE = "model.sig"
GIT_PATHS = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
IGNORED = GIT_PATHS | {SIGNATURE_FILE}
"""What a signature of ours leaves out."""
NOT_HASHING = ("signing", "verifying")
"""Modules of model_signing that sign and ask services: what they load takes longer than most releases to be hashed."""
METHOD = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
BEFORE_1_0 = "https://model_signing/Digests/v0.1"
"""The predicate of model_signing 0.2, whose signature is over another encoding than DSSE's."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What a model.sig speaks of."""

    files: dict[str, str]
    """SHA-256 of each file by its path."""
    left_out: frozenset[str] = frozenset()
    """Files and folders that its signer chose to leave out beyond IGNORED, as the signature writes them."""

    def leaves_out(self, path: str) -> bool:
        """Whether the file at `path` is one of those left out, or stands in a folder that is."""
        return any(place in self.left_out for place in accumulate(path.split("/"), "{}/{}".format))


def sign(root: Path, signer: Signer, *, name: str | None = None) -> bytes:
    """The bundle to be written as `model.sig` in the directory `root`. Each file is read once.

    name: of the model, as the statement's subject; default the directory's.
    Raises InputError for links, devices, forbidden paths and an empty directory, and as `signer` does.
    """
    return signer.sign(describe(root, name=name))


def describe(root: Path, *, name: str | None = None) -> Statement:
    """The statement over every file below `root` but those in IGNORED. Raises InputError as `sign` says."""
    covered = [path for path, _ in walk(root) if not _ignored(path)]
    if not covered:
        raise InputError(f"{root} holds nothing to sign", mend="give the directory that holds the release")
    with put_off(Later(f"model_signing.{each}") for each in NOT_HASHING):
        import model_signing  # verifying does without

    hashing = model_signing.hashing.Config().use_file_serialization(hashing_algorithm="sha256")
    hashed = hashing.set_ignored_paths(paths=[SIGNATURE_FILE]).hash(root)
    rows = [(item.identifier, item.digest.digest_hex) for item in hashed.resource_descriptors()]
    if sorted(covered) != sorted(path for path, _ in rows):
        raise InputError(f"{root} changed while it was hashed", mend="sign again when nothing writes to it")
    return Statement(
        (Subject(name or root.resolve().name, _root_digest(digest for _, digest in rows)),),
        PREDICATE_TYPE,
        {
            "serialization": {**METHOD, "ignore_paths": sorted(IGNORED)},
            "resources": [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in rows],
        },
    )


def resources(statement: Statement) -> dict[str, str]:
    """SHA-256 of each file by its path, as the model.sig of a release of ours states it.

    Raises as `covered` does, and SignatureError for paths left out beyond IGNORED.
    """
    found = covered(statement)
    if found.left_out:
        told = str(sorted(found.left_out))[:200]
        _refuse(f"it leaves out {told}; nothing may be left out but {', '.join(sorted(IGNORED))}")
    return found.files


def covered(statement: Statement) -> Covered:
    """What a model.sig states, whoever's tool made it.

    Raises SignatureError for another predicate, another method than files with SHA-256, links, forbidden or repeated
    paths, and a root that is not the digest over the files' digests; Unsupported for what model_signing wrote before
    1.0.1: another predicate, and a file without its name.
    """
    _check_age(statement)
    match statement.predicate_type, statement.predicate:
        case kind, {"serialization": dict(serialization), "resources": list(rows)} if kind == PREDICATE_TYPE:
            pass
        case kind, _:
            _refuse(f"its predicate is {kind}, or lacks serialization and resources")
    if {**serialization, "ignore_paths": None} != {**METHOD, "ignore_paths": None}:
        _refuse(f"it must be made by files, with sha256 and without links; found {str(serialization)[:200]}")
    ignored = serialization.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(path, str) for path in ignored):
        _refuse(f"its ignore_paths must be a list of paths; found {str(ignored)[:200]}")
    pairs = [_resource(row) for row in rows]
    if len(statement.subjects) != 1 or statement.subjects[0].sha256 != _root_digest(digest for _, digest in pairs):
        _refuse("its root is not the digest over the files' digests")
    found = dict(pairs)
    if len(found) != len(pairs) or not found:
        _refuse("it names a file twice, or none")
    return Covered(found, frozenset(path.removesuffix("/") for path in ignored) - IGNORED)


def verified(data: bytes, verifier: Verifier) -> Verified:
    """Who signed the model.sig `data`. Raises as `Verifier.verify` does, and Unsupported for one before 1.0."""
    try:
        return verifier.verify(data, name=SIGNATURE_FILE, max_bytes=MAX_MODEL_BYTES)
    except SignatureError as problem:
        try:
            _check_age(Statement.parse(Bundle.parse(data, max_bytes=MAX_MODEL_BYTES).envelope.payload))
        except (InputError, SignatureError):
            raise problem from None
        raise


def verify(data: bytes, verifier: Verifier) -> tuple[Verified, Covered]:
    """Who signed the model.sig `data`, and what it states. Raises as `verified` and `covered` do.

    It reads no file: compare the digests with the files as `registry.manifest` found them.
    """
    found = verified(data, verifier)
    return found, covered(found.statement)


def _check_age(statement: Statement) -> None:
    if statement.predicate_type == BEFORE_1_0:
        _pass_over("signs digests in the way of model_signing 0.2")


def _ignored(path: str) -> bool:
    return path.split("/", 1)[0] in IGNORED


def _root_digest(digests: Iterable[str]) -> str:
    """SHA-256 over the files' digests in their order. It does not bind their names: the predicate does."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def _resource(row: Any) -> tuple[str, str]:
    match row:
        case {"name": "."}:
            _pass_over("signs one file without its name, as model_signing did before 1.0.1")
        case {"name": str(name), "algorithm": "sha256", "digest": str(digest)} if len(row) == 3 and is_sha256(digest):
            try:
                check_path(name)
            except InputError as problem:
                raise SignatureError(f"model.sig: {problem.message}", mend=MEND) from problem
            return name, digest
    _refuse(f"a resource is {{name, algorithm: sha256, digest}}, found {str(row)[:120]}")


def _pass_over(found: str) -> NoReturn:
    raise Unsupported(
        f"model.sig {found}: that is not supported, so whether it holds is not known here",
        mend="verify it with model_signing, or have it signed anew",
    )


def _refuse(found: str) -> NoReturn:
    raise SignatureError(f"model.sig is not a signature over every file: {found}", mend=MEND)
