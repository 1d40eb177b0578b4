"""A maintainer who signs what does not hold: every signature is good, and it is refused all the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry import canonical
from registry.attest import oms, predicates
from registry.attest.signature import Signer
from registry.attest.statement import Statement, Subject
from registry.manifest import Manifest
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.release import signing
from tests.e2e.tampering.spoil import NEST, PICKLE, gzip_bomb
from tests.e2e.tampering.world import Case, World, record


def cases() -> Iterator[Case]:
    """Every one of them."""
    yield from _names()
    yield from _weights()
    yield from _records()


def _names() -> Iterator[Case]:
    for path in ("../outside", "/etc/passwd", "a\\b", "a/../../b", "a//b", "./a", "C:/a", "e\u0301", "a.", "README.MD"):
        yield Case(f"a signed file called {path!r}", _signed_path(path), 4, layout.RELEASE_ATTESTATION)
        subject = path if path == "README.MD" else "model.sig"
        yield Case(f"model.sig names {path!r}", _model_signature_path(path), 2, subject)
        yield Case(f"a signed attestation called {path!r}", _signed_attestation(path), 4, path, ("not there",))
    yield Case("a signed file with NUL in its name", _signed_path("a\0b"), 4, layout.RELEASE_ATTESTATION)
    yield Case("model.sig names one with NUL in it", _model_signature_path("a\0b"), 2, "model.sig", ("not allowed",))
    yield Case("a signed size of 1 TB", _signed_size(1 << 40), 2, "README.md")
    yield Case("a signed size below zero", _signed_size(-1), 4, layout.RELEASE_ATTESTATION)
    yield Case("a statement of other files than its subject", _other_subject, 4, layout.RELEASE_ATTESTATION)


def _weights() -> Iterator[Case]:
    pickled = resigned("model.safetensors", lambda data: PICKLE)
    yield Case("signed weights that are a pickle", pickled, 0, "model.safetensors", ("pickle",))
    for name, change in {
        "a header longer than the file": lambda data: (1 << 40).to_bytes(8, "little") + data[8:],
        "a header cut short": lambda data: (int.from_bytes(data[:8], "little") - 3).to_bytes(8, "little") + data[8:],
        "tensors past the end": lambda data: data[:-10],
        "bytes that no tensor names": lambda data: data + bytes(10),
        "a header that is no JSON": lambda data: (8).to_bytes(8, "little") + b"notjson!" + data[8:],
        "10 MB of nesting in their header": lambda data: _with_header(data, b"[" * NEST),
        "a tensor of 1 TB": lambda data: _with_header(data, _tensor([0, 1 << 40], [1 << 40])),
        "a tensor that ends before it begins": lambda data: _with_header(data, _tensor([8, 0], [8])),
        "a tensor that begins before the file": lambda data: _with_header(data, _tensor([-8, 0], [8])),
        "a tensor of another shape than its bytes": lambda data: _with_header(data, _tensor([0, 8], [1 << 40, 0])),
        "a tensor of 100,000 dimensions": lambda data: _with_header(data, _tensor([0, 8], [2**53 - 1] * 100_000)),
        "a tensor twice": lambda data: _with_header(data, b'{"a":{},"a":{}}'),
    }.items():
        yield Case(f"signed weights with {name}", resigned("model.safetensors", change), 5, "weights <- checkpoints")


def _records() -> Iterator[Case]:
    for path, link in (
        (layout.CHECKPOINTS, "weights <- checkpoints"), (layout.TOKENS, "checkpoints <- tokens"),
        (layout.EVALUATION, "evaluation <- weights"), (layout.LOCK, "every stage <- dvc.lock"),
    ):  # fmt: skip
        yield Case(f"signed, 10 MB of nesting in {path}", resigned(path, lambda data: b"[" * NEST), 5, link)
        yield Case(f"signed, nothing in {path}", resigned(path, lambda data: b""), 5, link)
    laughs = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (i + 1, i + 1, i, i) for i in range(97, 120))
    yield Case("signed, a YAML bomb", resigned(layout.LOCK, lambda data: laughs), 5, "every stage <- dvc.lock")
    for place, value, step, subject in (
        (("weights", 0, "path"), "../outside.safetensors", 4, layout.RECORD),
        (("weights", 0, "path"), "not-there.safetensors", 5, "weights <- provenance"),
        (("weights",), [], 5, "weights <- provenance"),
        (("repo",), "some/other", 4, layout.RECORD),
        (("version",), "9.9.9", 4, layout.RECORD),
        (("source", "commit"), "0" * 40, 4, layout.RECORD),
        (("formatVersion",), 1, 4, layout.RECORD),
    ):
        change = partial(_with, place=place, value=value)
        lie = resigned(layout.RECORD, lambda data, change=change: canonical.dumps(change(json.loads(data))))  # type: ignore[misc]
        yield Case(f"signed, a record that says {place} is {value!r}", lie, step, subject)
    for name, rows in {
        "rows of other data": lambda data: data[:-1] + b" \n",
        "a gzip bomb for rows": lambda data: gzip_bomb(),
    }.items():
        yield Case(f"signed, {name}", resigned(layout.DATA_ROWS, rows), 5, "data manifest <- its rows")


def _with(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    *parents, last = place
    inner = document
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return document


def _with_header(data: bytes, header: bytes) -> bytes:
    """The tensors of a safetensors file, under another header."""
    return len(header).to_bytes(8, "little") + header + data[8 + int.from_bytes(data[:8], "little") :]


def _tensor(offsets: list[int], shape: list[int]) -> bytes:
    return json.dumps({"layer": {"dtype": "U8", "shape": shape, "data_offsets": offsets}}).encode()


def payload(path: Path) -> dict[str, Any]:
    payload = json.loads(path.read_bytes())["dsseEnvelope"]["payload"]
    value: dict[str, Any] = json.loads(base64.b64decode(payload))
    return value


def _signed(world: World, root: Path, predicate: dict[str, Any], digest: str | None = None) -> None:
    """Sign a release statement that says `predicate`, and model.sig over what is then there."""
    subject = payload(root / layout.RELEASE_ATTESTATION)["subject"][0]
    files = [{"path": f["path"], "sha256": f["sha256"], "size": f["size"]} for f in predicate["files"]]
    whole = canonical.digest(sorted(files, key=lambda row: str(row["path"])))
    statement = Statement((Subject(subject["name"], digest or whole),), predicates.Release.TYPE, predicate)
    (root / layout.RELEASE_ATTESTATION).write_bytes(world.signer.sign(statement))
    (root / layout.SIGNATURE).write_bytes(oms.sign(root, world.signer))


def _signed_path(path: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        predicate = payload(root / layout.RELEASE_ATTESTATION)["predicate"]
        predicate["files"].append({"path": path, "sha256": "0" * 64, "size": 1})
        _signed(world, root, predicate)

    return spoil


def _signed_attestation(path: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        predicate = payload(root / layout.RELEASE_ATTESTATION)["predicate"]
        predicate["attestations"].append({**predicate["attestations"][0], "name": path})
        _signed(world, root, predicate)

    return spoil


def _signed_size(size: int) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        predicate = payload(root / layout.RELEASE_ATTESTATION)["predicate"]
        row = next(row for row in predicate["files"] if row["path"] == layout.CARD)
        row["size"] = size
        _signed(world, root, predicate)

    return spoil


def _other_subject(world: World, root: Path) -> None:
    _signed(world, root, payload(root / layout.RELEASE_ATTESTATION)["predicate"], "1" * 64)


def _model_signature_path(path: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        statement = Statement.parse(canonical.dumps(payload(root / layout.SIGNATURE)))
        rows = [*statement.predicate["resources"], {"name": path, "algorithm": "sha256", "digest": "0" * 64}]
        digest = oms._root_digest(row["digest"] for row in rows)
        changed = Statement(
            (Subject("model", digest),), statement.predicate_type, {**statement.predicate, "resources": rows}
        )
        (root / layout.SIGNATURE).write_bytes(world.signer.sign(changed))

    return spoil


def resigned(path: str, change: Callable[[bytes], bytes]) -> Callable[[World, Path], None]:
    """Change a file and sign the whole release anew."""
    return lambda world, root: resign(root, path, change, world.signer)


def resign(root: Path, path: str, change: Callable[[bytes], bytes], signer: Signer) -> None:
    """Change the file at `path` of a release, and sign it anew with the checks of signing switched off."""
    claims = list(signing._claims(root, Manifest.of_directory(root), record(root)))
    signed = record(root)
    (root / path).write_bytes(change((root / path).read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "_check_weights", lambda *_: None)
        patch.setattr(signing, "_claims", lambda folder, bare, record: _about(claims, bare))
        patch.setattr(ReleaseRecord, "read", lambda path: signed)
        signing.sign(root, signer)


def _about(claims: list[tuple[str, Statement]], bare: Any) -> Iterator[tuple[str, Statement]]:
    """The claims, made of the files as they are now."""
    found = bare.by_path()
    for name, claim in claims:
        subjects = tuple(Subject(s.name, found[s.name].sha256 if s.name in found else s.sha256) for s in claim.subjects)
        predicate = dict(claim.predicate)
        if name == "provenance":
            definition = dict(predicate["buildDefinition"])
            rows = [
                {**row, "digest": {"sha256": found[row["uri"]].sha256}} if row.get("uri") in found else row
                for row in definition["resolvedDependencies"]
            ]
            predicate["buildDefinition"] = {**definition, "resolvedDependencies": rows}
        yield name, Statement(subjects, claim.predicate_type, predicate)
