"""Ways to tamper with a release, as many as come to mind: each with what the report must say of it.

A case spoils a copy of a good release, and knows which step must fail, and on what. The cases do not depend on the
release, but for its files: they run over a synthetic one in a moment, and over one that was really trained.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from registry import canonical
from registry.attest import oms, predicates
from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.signature import Signer
from registry.attest.statement import Statement, Subject
from registry.attest.verify import Verifier
from registry.hub.reference import HubReference, Reference
from registry.manifest import Manifest
from registry.records import release as layout
from registry.release import sign as signing

REGIONS = 5
"""Places in each file where a byte is flipped: its first and last byte, and between."""
PICKLE = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07weights\x94."
NEST = 10 << 20


class NotAsExpected(AssertionError):
    """A release was not refused, or for another reason than the case is about."""


@dataclass(frozen=True)
class World:
    """What a tamperer has at hand. good: the release. later: the next one, by the same maintainer. timed: the same,
    with Rekor 2 and timestamps. foreign: the same, signed in the maintainer's name by another Sigstore instance.
    signer: the maintainer, gone bad. identity, issuer: who must have signed."""

    good: Path
    later: Path
    timed: Path
    foreign: Path
    signer: Signer
    verifier: Verifier
    identity: str
    issuer: str

    def trusting(self, identity: str, issuer: str) -> Verifier:
        return self.verifier.with_policy(Policy(signers=(SigstoreIdentity(identity=identity, issuer=issuer),)))


@dataclass(frozen=True)
class Attempt:
    """How the spoilt copy is verified, where not as usual."""

    reference: Reference | None = None
    verifier: Verifier | None = None


@dataclass(frozen=True)
class Case:
    """name: of the case.  spoil: does it, to a copy.  step: which must fail (or one of which).

    subject: on what it must fail; "" is on anything.  words: that the reason must hold.
    """

    name: str
    spoil: Callable[[World, Path], Attempt | None]
    step: int | tuple[int, ...]
    subject: str = ""
    words: tuple[str, ...] = field(default=())


def world(good: Path, scratch: Path, *, signer: Signer, timed: Signer, foreign: Signer, verifier: Verifier) -> World:
    """The world around the release `good`, its doubles made in `scratch`. verifier: trusts one identity, offline."""
    (expected,) = verifier.policy.signers
    assert isinstance(expected, SigstoreIdentity)
    record = _record(good)
    major = int(record.version.split(".")[0])
    for name, by in (("later", signer), ("timed", timed), ("foreign", foreign)):
        folder = Path(shutil.copytree(good, scratch / name))
        if name == "later":
            changed = record.model_copy(update={"version": f"{major + 1}.0.0"})
            (folder / layout.RECORD).write_bytes(changed.to_bytes())
        signing.sign(folder, by)
    names = {name: scratch / name for name in ("later", "timed", "foreign")}
    return World(good, **names, signer=signer, verifier=verifier, identity=expected.identity, issuer=expected.issuer)


def attempt_all(around: World, scratch: Path) -> list[tuple[Case, int, str]]:
    """Every case with its exit code and reason. Raises NotAsExpected that names each case that ends otherwise."""
    outcomes, otherwise = [], []
    for case in cases(around):
        try:
            outcomes.append((case, *run(around, case, scratch)))
        except NotAsExpected as problem:
            otherwise.append(str(problem))
    if otherwise:
        raise NotAsExpected("\n".join(otherwise))
    return outcomes


def told(outcomes: Sequence[tuple[Case, int, str]], seconds: float) -> str:
    """The count and time, in a line."""
    steps = Counter("2 or 3" if isinstance(case.step, tuple) else str(case.step) for case, _, _ in outcomes)
    reasons = len({reason for _, _, reason in outcomes})
    by_step = ", ".join(f"{count} at step {step}" for step, count in sorted(steps.items()))
    return f"{len(outcomes)} ways of tampering, all refused, in {seconds:.1f} s ({by_step}; {reasons} reasons)"


def cases(world: World) -> Iterator[Case]:
    """All of them, for the release of `world`."""
    paths = [path.relative_to(world.good).as_posix() for path in sorted(world.good.rglob("*")) if path.is_file()]
    yield from _bytes(world, paths)
    yield from _names(world, paths)
    yield from _other_releases(world)
    yield from _bundles(world)
    yield from _signers(world)
    yield from _paths()
    yield from _sizes()
    yield from _gone_bad()


def _bytes(world: World, paths: list[str]) -> Iterator[Case]:
    for path in _kinds(paths):
        step = (2, 3) if path in layout.COVERED_LAST else 2  # nothing lists them but their own signature
        size = (world.good / path).stat().st_size
        for place in sorted({region * (size - 1) // (REGIONS - 1) for region in range(REGIONS)}):
            yield Case(f"flip byte {place} of {path}", _flip(path, place), step, path)
        yield Case(f"cut the last byte off {path}", _edit(path, lambda data: data[:-1]), step, path)
        yield Case(f"append a byte to {path}", _edit(path, lambda data: data + b"!"), step, path)
        yield Case(f"empty {path}", _edit(path, lambda data: b""), step, path)


def _names(world: World, paths: list[str]) -> Iterator[Case]:
    for path in paths:
        yield Case(f"drop {path}", _drop(path), 2, path, ("missing",))
        yield Case(f"rename {path}", _rename(path), 2, f"{path}x", ("unexpected",))
    for path in ("extra.txt", "provenance/extra.json", ".gitignore", "attestations/extra.sigstore.json", "a/b/c/d"):
        yield Case(f"add {path}", _write(path, b"{}"), 2, path, ("unexpected",))
    for one, other in combinations(paths, 2):
        contents = (world.good / one).read_bytes(), (world.good / other).read_bytes()
        same = len(contents[0]) == len(contents[1]) and contents[0] != contents[1]
        if same or {one.split("/")[0], other.split("/")[0]} == {layout.ATTESTATIONS}:
            yield Case(f"swap {one} and {other}", _swap(one, other), 2, one, ("altered",) if same else ())


def _other_releases(world: World) -> Iterator[Case]:
    bundles = _bundle_paths(world)
    for path in bundles:
        subject = "" if path in layout.COVERED_LAST else path
        yield Case(f"take {path} of the next release", _take("later", path), 2, subject)
    yield Case("take every attestation of the next release", _take("later", *bundles), 2)
    record = layout.ReleaseRecord.read(world.good / layout.RECORD)
    for tag in ("v1.0.1", "v9.9.9", f"{record.tag}0"):
        there = HubReference(record.repo, tag)
        yield Case(f"replay it under the tag {tag}", _as(Attempt(there)), 4, str(there), ("another tag",))
    for repo in ("somebody/else", f"{record.repo}2"):
        there = HubReference(repo, record.tag)
        yield Case(f"replay it as {repo}", _as(Attempt(there)), 4, str(there), ("a release of",))


def _bundles(world: World) -> Iterator[Case]:
    entry = "verificationMaterial.tlogEntries"
    for path in _kinds(_bundle_paths(world)):
        for name, change in {
            "strip the log entry": lambda d: _set(d, entry, []),
            "strip the log's promise": lambda d: _set(d, f"{entry}.0.inclusionPromise", None),
            "strip the proof of inclusion": lambda d: _set(d, f"{entry}.0.inclusionProof", None),
            "strip the checkpoint": lambda d: _set(d, f"{entry}.0.inclusionProof.checkpoint", None),
            "double the log entry": lambda d: _set(d, entry, d["verificationMaterial"]["tlogEntries"] * 2),
            "move the log entry": lambda d: _set(d, f"{entry}.0.logIndex", "0" * 3 + "7"),
            "strip the certificate": lambda d: _set(d, "verificationMaterial.certificate", None),
            "call the certificate a key": _as_key,
            "sign twice": lambda d: _set(d, "dsseEnvelope.signatures", d["dsseEnvelope"]["signatures"] * 2),
            "strip the signature": lambda d: _set(d, "dsseEnvelope.signatures", []),
            "sign another payload": lambda d: _set(d, "dsseEnvelope.payload", _b64(b'{"_type":"x"}')),
            "call the payload something else": lambda d: _set(d, "dsseEnvelope.payloadType", "text/plain"),
        }.items():
            yield Case(f"{path}: {name}", _in_json(path, change), 3, path)
        yield Case(f"{path}: by another authority", _take("foreign", path), 3, path, ("does not hold",))
        yield Case(f"{path}: an expired certificate, no timestamp", _untimed(path), 3, path)
        yield Case(f"{path}: 10 MB of nesting", _write(path, b"[" * NEST), 3, path, ("nested",))
        yield Case(f"{path}: a key twice", _edit(path, lambda data: b'{"a":1,"a":2}'), 3, path, ("twice",))
        yield Case(f"{path}: not JSON at all", _write(path, os.urandom(100)), 3, path)


def _signers(world: World) -> Iterator[Case]:
    who, issuer = world.identity, world.issuer
    names = [
        who[:-1],
        who + ".evil.example",
        "x" + who,
        who.upper(),
        who.replace(".", "x"),
        ".*",
        who + "\n",
        " " + who,
    ]
    for name in names:
        yield Case(f"expect {name!r}", _as(Attempt(None, world.trusting(name, issuer))), 3, "model.sig")
    for other in (issuer + "/", issuer[:-1], issuer.replace("https", "http"), issuer.upper(), "https://other.example"):
        yield Case(f"expect issuer {other!r}", _as(Attempt(None, world.trusting(who, other))), 3, "model.sig")


def _paths() -> Iterator[Case]:
    for name in ("a\\b", "a\nb", "a\x7fb", "e\u0301", "dot.", "space ", "C:", "a\u0085b"):
        yield Case(f"a file called {name!r}", _write(name, b""), 0, "", ("not allowed",))
    for twin in ("readme.md", "CONFIG.json", "provenance/DVC.lock", "Model.sig"):
        yield Case(f"a case twin {twin}", _write(twin, b""), 0, "", ("case",))
    yield Case("a link to a file", _do(lambda root: (root / "link").symlink_to("/etc/hostname")), 0, "", ("a link",))
    yield Case("a link inside", _do(lambda root: (root / "link").symlink_to("README.md")), 0, "", ("a link",))
    yield Case("a link to a directory", _do(lambda root: (root / "link").symlink_to("..")), 0, "", ("a link",))
    yield Case("a link to nowhere", _do(lambda root: (root / "link").symlink_to("nowhere")), 0, "", ("a link",))
    yield Case("a pipe", _do(lambda root: os.mkfifo(root / "pipe")), 0, "", ("a device",))
    yield Case("a release that is a link", _as_link, 0)


def _sizes() -> Iterator[Case]:
    for path in ("provenance/evaluation.json", "README.md", "model.sig", "attestations/card.sigstore.json"):
        yield Case(f"{path} of 1 TB", _sparse(path), 0, "", ("allowed",))
    yield Case("weights of 1 TB", _sparse("model.safetensors"), 2, "model.safetensors", ("altered",))
    for name, data in {
        "pytorch_model.bin": b"", "weights.pt": b"", "model2.safetensors": PICKLE, "notes.txt": PICKLE,
        "vocab.json": b"PK\x03\x04" + bytes(100), "provenance/data.npz": b"", "sub/Model.PKL": b"",
    }.items():  # fmt: skip
        yield Case(f"a pickle called {name}", _write(name, data), 0, "", ("archive",) if data else ("carry code",))
    yield Case("weights that are a pickle", _write("model.safetensors", PICKLE), 0, "", ("pickle",))


def _gone_bad() -> Iterator[Case]:
    """A maintainer who signs what does not hold: every signature is good, and it is refused all the same."""
    for path in ("../outside", "/etc/passwd", "a\\b", "a/../../b", "a//b", "./a", "C:/a", "e\u0301", "a.", "README.MD"):
        yield Case(f"a signed file called {path!r}", _signed_path(path), 4, layout.RELEASE_ATTESTATION)
        yield Case(
            f"model.sig names {path!r}", _model_signature_path(path), 2, "" if path == "README.MD" else "model.sig"
        )
    yield Case("a signed file with NUL in its name", _signed_path("a\0b"), 4, layout.RELEASE_ATTESTATION)
    yield Case("a signed size of 1 TB", _signed_size(1 << 40), 2, "README.md")
    yield Case("a signed size below zero", _signed_size(-1), 4, layout.RELEASE_ATTESTATION)
    yield Case("a statement of other files than its subject", _other_subject, 4, layout.RELEASE_ATTESTATION)
    yield Case("signed weights that are a pickle", _resigned("model.safetensors", lambda data: PICKLE), 0)
    for name, change in {
        "a header longer than the file": lambda data: (1 << 40).to_bytes(8, "little") + data[8:],
        "a header cut short": lambda data: (int.from_bytes(data[:8], "little") - 3).to_bytes(8, "little") + data[8:],
        "tensors past the end": lambda data: data[:-10],
        "bytes that no tensor names": lambda data: data + bytes(10),
        "a header that is no JSON": lambda data: (8).to_bytes(8, "little") + b"notjson!" + data[8:],
    }.items():
        yield Case(f"signed weights with {name}", _resigned("model.safetensors", change), 5, "weights <- checkpoints")
    for path, link in (
        (layout.CHECKPOINTS, "weights <- checkpoints"), (layout.TOKENS, "checkpoints <- tokens"),
        (layout.EVALUATION, "evaluation <- weights"), (layout.LOCK, "every stage <- dvc.lock"),
    ):  # fmt: skip
        yield Case(f"signed, 10 MB of nesting in {path}", _resigned(path, lambda data: b"[" * (4 << 20)), 5, link)
        yield Case(f"signed, nothing in {path}", _resigned(path, lambda data: b""), 5, link)
    laughs = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (i + 1, i + 1, i, i) for i in range(97, 120))
    yield Case("signed, a YAML bomb", _resigned(layout.LOCK, lambda data: laughs), 5, "every stage <- dvc.lock")
    yield Case("signed rows of other data", _resigned(layout.DATA_ROWS, lambda data: data[:-1] + b" \n"), 5)
    yield from _restated()


def _restated() -> Iterator[Case]:
    """A maintainer whose statements do not fit one another, or the records."""
    two = ("stage-train", "stage-evaluate")
    yield Case("signed, two stages' statements swapped", _claimed(lambda said: _exchange(said, *two)), 5, "stage train")
    for name in two:
        yield Case(f"signed, another material of {name}", _claimed(_other_material(name)), 5, name.replace("-", " "))
        yield Case(f"signed, another output of {name}", _claimed(_other_output(name)), 5, name.replace("-", " "))
    for name, part, value in (
        ("evaluation", "result", "PASSED!"), ("evaluation", "failedTests", ["all"]), ("checkpoints", "entries", 1),
        ("checkpoints", "head", "1" * 64), ("data", "rows", 1), ("card", "license", "MIT"),
    ):  # fmt: skip
        change = _claimed(_saying(name, part, value))
        yield Case(f"signed, {name} says {part} {value}", change, 5, f"{name} statement <- records", (part,))
    for path in (layout.STAGES, layout.LOCK):
        yield Case(f"signed, {path} of another run", _resigned(path, _of_another_run), 5, "stage train")


def _do(change: Callable[[Path], Any]) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        change(root)

    return spoil


def _flip(path: str, place: int) -> Callable[[World, Path], None]:
    return _edit(path, lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def _edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[World, Path], None]:
    return _do(lambda root: (root / path).write_bytes(change((root / path).read_bytes())))


def _write(path: str, data: bytes) -> Callable[[World, Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    return _do(change)


def _drop(path: str) -> Callable[[World, Path], None]:
    return _do(lambda root: (root / path).unlink())


def _as(attempt: Attempt) -> Callable[[World, Path], Attempt]:
    return lambda world, root: attempt


def _rename(path: str) -> Callable[[World, Path], None]:
    return _do(lambda root: (root / path).rename(root / f"{path}x"))


def _swap(one: str, other: str) -> Callable[[World, Path], None]:
    def change(root: Path) -> None:
        data = (root / one).read_bytes()
        (root / one).write_bytes((root / other).read_bytes())
        (root / other).write_bytes(data)

    return _do(change)


def _sparse(path: str) -> Callable[[World, Path], None]:
    return _do(lambda root: os.truncate(root / path, 1 << 40))


def _as_link(world: World, root: Path) -> None:
    root.rename(root.with_name("moved"))
    root.symlink_to("moved")


def _take(where: str, *paths: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        for path in paths:
            shutil.copyfile(getattr(world, where) / path, root / path)

    return spoil


def _untimed(path: str) -> Callable[[World, Path], None]:
    """The bundle that a timestamp alone dates, without it; its certificate was for ten minutes."""

    def spoil(world: World, root: Path) -> None:
        document = json.loads((world.timed / path).read_bytes())
        document["verificationMaterial"].pop("timestampVerificationData")
        (root / path).write_text(json.dumps(document))

    return spoil


def _in_json(path: str, change: Callable[[Any], Any]) -> Callable[[World, Path], None]:
    def edited(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return _edit(path, edited)


def _set(document: Any, place: str, value: Any) -> None:
    """Set what stands at `place`, or, by None, take it away."""
    *parents, last = place.split(".")
    for part in parents:
        document = document[int(part)] if part.isdecimal() else document[part]
    if value is None:
        del document[last]
    else:
        document[last] = value


def _as_key(document: Any) -> None:
    material = document["verificationMaterial"]
    del material["certificate"]
    material["publicKey"] = {"hint": "0" * 64}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bundle_paths(world: World) -> list[str]:
    folder = world.good / layout.ATTESTATIONS
    return [*(f"{layout.ATTESTATIONS}/{path.name}" for path in sorted(folder.iterdir())), layout.SIGNATURE]


def _kinds(paths: list[str]) -> list[str]:
    """The paths, but of the stages' statements, which are all of one kind, only the first."""
    stages = [path for path in paths if path.startswith(f"{layout.ATTESTATIONS}/{layout.STAGE}")]
    return [path for path in paths if path not in stages[1:]]


def _payload(path: Path) -> dict[str, Any]:
    payload = json.loads(path.read_bytes())["dsseEnvelope"]["payload"]
    value: dict[str, Any] = json.loads(base64.b64decode(payload))
    return value


def _signed(world: World, root: Path, predicate: dict[str, Any], digest: str | None = None) -> None:
    """Sign a release statement that says `predicate`, and model.sig over what is then there."""
    subject = _payload(root / layout.RELEASE_ATTESTATION)["subject"][0]
    files = [{"path": f["path"], "sha256": f["sha256"], "size": f["size"]} for f in predicate["files"]]
    whole = canonical.digest(sorted(files, key=lambda row: str(row["path"])))
    statement = Statement((Subject(subject["name"], digest or whole),), predicates.Release.TYPE, predicate)
    (root / layout.RELEASE_ATTESTATION).write_bytes(world.signer.sign(statement))
    (root / layout.SIGNATURE).write_bytes(oms.sign(root, world.signer))


def _signed_path(path: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        predicate = _payload(root / layout.RELEASE_ATTESTATION)["predicate"]
        predicate["files"].append({"path": path, "sha256": "0" * 64, "size": 1})
        _signed(world, root, predicate)

    return spoil


def _signed_size(size: int) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        predicate = _payload(root / layout.RELEASE_ATTESTATION)["predicate"]
        row = next(row for row in predicate["files"] if row["path"] == layout.CARD)
        row["size"] = size
        _signed(world, root, predicate)

    return spoil


def _other_subject(world: World, root: Path) -> None:
    _signed(world, root, _payload(root / layout.RELEASE_ATTESTATION)["predicate"], "1" * 64)


def _model_signature_path(path: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        statement = Statement.parse(canonical.dumps(_payload(root / layout.SIGNATURE)))
        rows = [*statement.predicate["resources"], {"name": path, "algorithm": "sha256", "digest": "0" * 64}]
        digest = oms._root_digest(row["digest"] for row in rows)
        changed = Statement(
            (Subject("model", digest),), statement.predicate_type, {**statement.predicate, "resources": rows}
        )
        (root / layout.SIGNATURE).write_bytes(world.signer.sign(changed))

    return spoil


def _resigned(path: str, change: Callable[[bytes], bytes]) -> Callable[[World, Path], None]:
    """Change a file and sign the whole release anew, with the checks of signing switched off."""

    def spoil(world: World, root: Path) -> None:
        claims = list(signing._claims(root, Manifest.of_directory(root), _record(root)))
        (root / path).write_bytes(change((root / path).read_bytes()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing, "_check_weights", lambda *_: None)
            patch.setattr(signing, "_claims", lambda folder, bare, record: _about(claims, bare))
            signing.sign(root, world.signer)

    return spoil


def _claimed(change: Callable[[dict[str, Statement]], Any]) -> Callable[[World, Path], None]:
    """Let the statements, by their short names, say something else, and sign the whole release anew."""

    def spoil(world: World, root: Path) -> None:
        said = dict(signing._claims(root, Manifest.of_directory(root), _record(root)))
        change(said)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing, "_claims", lambda folder, bare, record: said.items())
            signing.sign(root, world.signer)

    return spoil


def _exchange(said: dict[str, Statement], one: str, other: str) -> None:
    said[one], said[other] = said[other], said[one]


def _saying(name: str, part: str, value: Any) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        old = said[name]
        said[name] = Statement(old.subjects, old.predicate_type, {**old.predicate, part: value})

    return change


def _other_material(name: str) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        definition = said[name].predicate["buildDefinition"]
        source, first, *rest = definition["resolvedDependencies"]
        other = {"name": first["name"], "digest": {"sha256": "1" * 64}}
        rows = {**definition, "resolvedDependencies": [source, other, *rest]}
        _saying(name, "buildDefinition", rows)(said)

    return change


def _other_output(name: str) -> Callable[[dict[str, Statement]], None]:
    def change(said: dict[str, Statement]) -> None:
        *first, last = said[name].subjects
        said[name] = Statement((*first, Subject(last.name, "1" * 64)), said[name].predicate_type, said[name].predicate)

    return change


def _of_another_run(data: bytes) -> bytes:
    """The same stages, with another command of the training."""
    return data.replace(b"-m pipelines.train", b"-m pipelines.train2")


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


def _record(root: Path) -> layout.ReleaseRecord:
    return layout.ReleaseRecord.read(root / layout.RECORD)


def run(world: World, case: Case, scratch: Path) -> tuple[int, str]:
    """Spoil a copy and verify it; (exit code, reason of the failure that was expected)."""
    from registry.audit.verify import verify
    from registry.hub.reference import DirectoryReference

    scratch.mkdir(exist_ok=True)
    root = Path(shutil.copytree(world.good, scratch / "release"))
    try:
        attempt = case.spoil(world, root) or Attempt()
        reference = attempt.reference or DirectoryReference(root)
        report = verify(root, reference, "a copy", attempt.verifier or world.verifier)
    finally:
        shutil.rmtree(scratch)
    steps = case.step if isinstance(case.step, tuple) else (case.step,)
    failed = {(check.step, check.subject): check.reason for check in report.checks if check.verdict == "FAIL"}
    fitting = [
        reason
        for (step, subject), reason in failed.items()
        if step in steps and case.subject in ("", subject) and all(word in reason for word in case.words)
    ]
    if not fitting:
        raise NotAsExpected(f"{case.name}: expected step {case.step} to fail on {case.subject!r}, found {failed}")
    return report.verdict.exit_code, fitting[0]
