"""Statements of others read here, and those of a release read by in-toto's own library.

    ours     each bundle of a release of ours: by in-toto's library, and its predicate by the protobuf of that
    theirs   each whole example of the specification and of its libraries, through `Statement.parse`
    bundles  each Sigstore bundle in slsa-verifier's test data: seen, then verified by the signer that was seen

A thing of theirs passes where it is read, or refused as one that Glasshouse says it does not read: another version,
subjects by other digests than SHA-256. A crash fails, and so does any other refusal of what in-toto holds for valid.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from registry import api
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.statement import STATEMENT_TYPE, Statement
from registry.attest.verifier import Trust, Verifier
from tests.peers.tally import Tally

EXAMPLES = ("spec/**/*.md", "docs/*.md", "python/**/*.py", "java/**/*.java", "go/**/*.go", "rust/**/*.rs")
_FENCED = re.compile(r"```jsonc?\s*\n(.*?)```", re.DOTALL)
_QUOTED = re.compile(r"['`\"]+(\{\s*\\?\"_type.*?\})['`\"]+\s*;?\s*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?m)(?<!:)//.*$")
_TRAILING = re.compile(r",(\s*[}\]])")
MAX_BYTES = 1 << 20


def run(attestation: Path, release: Path, verifier: Path | None, tally: Tally) -> None:
    """`attestation`, `verifier`: checkouts of in-toto/attestation and slsa-verifier.  release: a signed one of ours."""
    sys.path.insert(0, str(attestation / "python"))  # the library of that checkout, before the one that is installed
    for name in [name for name in sys.modules if name.partition(".")[0] == "in_toto_attestation"]:
        del sys.modules[name]
    ours(release, tally)
    theirs(attestation, tally)
    if verifier is not None:
        bundles(verifier, tally)


def predicates() -> dict[str, type[Message]]:
    """What in-toto defines a message for, of all that we sign."""
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2

    return {
        "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
        "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
    }


def valid(text: str | bytes) -> str | None:
    """What in-toto's own library has against a statement; None where it has nothing."""
    from in_toto_attestation.v1 import statement, statement_pb2

    try:
        found = json_format.Parse(text, statement_pb2.Statement())
        statement.Statement.copy_from_pb(found).validate()
    except Exception as problem:  # noqa: BLE001 - it has no word of its own for it
        return f"{type(problem).__name__}: {problem}"
    return None


def ours(release: Path, tally: Tally) -> None:
    """Hold every bundle of `release` to in-toto's definitions."""
    messages = predicates()
    for path in sorted([*release.rglob("*.sigstore.json"), *release.rglob("model.sig")]):
        payload = Bundle.parse(path.read_bytes(), max_bytes=MAX_MODEL_BYTES).envelope.payload
        document = json.loads(payload)
        words = valid(payload)
        if words is None and document["predicateType"] in messages:
            try:
                json_format.ParseDict(document["predicate"], messages[document["predicateType"]]())
            except json_format.ParseError as problem:
                words = str(problem)
        tally.tell(words is None, f"ours/{path.relative_to(release)}", words or document["predicateType"])


def examples(repository: Path) -> Iterator[tuple[str, str]]:
    """(where it stands, text) of each whole statement that a page or a test of `repository` shows."""
    for path in sorted(path for pattern in EXAMPLES for path in repository.glob(pattern)):
        text = path.read_text(errors="replace")
        for number, block in enumerate((_FENCED if path.suffix == ".md" else _QUOTED).findall(text)):
            body = _TRAILING.sub(r"\1", _COMMENT.sub("", block)).replace('\\"', '"')
            try:
                document = json.loads(body)
            except ValueError:
                continue
            if isinstance(document, dict) and "_type" in document:
                yield f"{path.relative_to(repository)}#{number}", body


def theirs(repository: Path, tally: Tally) -> None:
    """Read every example as a statement."""
    for name, body in examples(repository):
        amiss = valid(body)
        try:
            Statement.parse(body.encode())
            good, words = amiss is None, "read" if amiss is None else f"read, and in-toto's own library says: {amiss}"
        except api.GlasshouseError as problem:
            good, words = amiss is not None or outside(json.loads(body)), problem.message
        except Exception as problem:  # noqa: BLE001 - whatever breaks is what is looked for
            good, words = False, f"broke: {type(problem).__name__}: {problem}"
        tally.tell(good, f"theirs/{name}", words)


def outside(document: dict[str, Any]) -> bool:
    """Whether a statement is one that Glasshouse says it does not read."""
    subjects = document.get("subject") or []
    names = {key for subject in subjects for key in (subject.get("digest") or {})}
    whole = names == {"sha256"} and all(re.fullmatch("[0-9a-f]{64}", each["digest"]["sha256"]) for each in subjects)
    return document["_type"] != STATEMENT_TYPE or not whole or not all(subject.get("name") for subject in subjects)


def bundles(folder: Path, tally: Tally) -> None:
    """See every bundle in `folder`, and verify it by whoever signed it."""
    trust = Trust()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts):
        if path.suffix in (".go", ".md") or path.stat().st_size > MAX_BYTES:
            continue
        data = path.read_bytes()
        try:
            document = json.loads(data)
            media = document["mediaType"]
        except (ValueError, LookupError, TypeError):
            continue
        if not str(media).startswith("application/vnd.dev.sigstore.bundle"):
            continue
        good, words = read(data, promised(document), trust)
        tally.tell(good, f"bundles/{path.relative_to(folder)}", words)


def promised(document: dict[str, Any]) -> bool:
    """Whether a bundle is one that Glasshouse says it reads."""
    if not document["mediaType"].endswith("v0.3+json") or "dsseEnvelope" not in document:
        return False
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    return bool(payload.get("_type") == STATEMENT_TYPE)


def read(data: bytes, ours_to_read: bool, trust: Trust) -> tuple[bool, str]:
    """Whether a bundle came out as it must, and what was said."""
    try:
        seen = trust.see(data)
        if seen.rule is None:
            return not ours_to_read, str(seen.hint)
        verified = Verifier(api.Policy(signers=(seen.rule,)), trust=trust).verify(data)
    except api.GlasshouseError as problem:
        return not ours_to_read, problem.message
    except Exception as problem:  # noqa: BLE001 - whatever breaks is what is looked for
        return False, f"broke: {type(problem).__name__}: {problem}"
    return True, f"verified: {verified.signer}"
