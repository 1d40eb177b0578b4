"""One attestation, written in several ways, is one: told apart by what it says and who signed it, never by its bytes.

Other people's tools write bundles as they like, and whoever has a signature by ECDSA can make another, (r, n - s),
without the key (OpenSSL does not normalise S). Nothing of that may count twice, hide a word, or part two that are one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from registry.attest.bundle import Bundle
from registry.attest.localkey import ORDER, KeySigner
from registry.attest.predicates import Status
from registry.attest.statement import Statement
from registry.audit.publish import proposal
from registry.digest import sha256_bytes
from registry.errors import SignatureError
from registry.report import Report, Verdict
from registry.verification.case import Evidence
from tests.registry.attest.conftest import write_key
from tests.registry.verification.conftest import MAINTAINER
from tests.registry.verification.test_s6_policy import rebuilt
from tests.registry.verification.words import Sign, answers, named, statement_of


def _spaced(data: bytes) -> bytes:
    return json.dumps(json.loads(data), indent=64).encode() + b"\n" * 100_000


def _escaped(data: bytes) -> bytes:
    return data.replace(b"application/", b"\\u0061pplicatio\\u006e\\/").replace(b'"dsse', b'"\\u0064sse')


def _hinted(data: bytes) -> bytes:
    document = json.loads(data)
    document["dsseEnvelope"]["signatures"][0]["keyid"] = "x" * 1000
    if "publicKey" in document["verificationMaterial"]:
        document["verificationMaterial"]["publicKey"] = {"hint": "somebody else"}
    return json.dumps(document).encode()


def _mirrored(data: bytes) -> bytes:
    """The other signature that verifies: (r, n - s)."""
    document = json.loads(data)
    (signature,) = document["dsseEnvelope"]["signatures"]
    r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
    signature["sig"] = base64.b64encode(encode_dss_signature(r, ORDER - s)).decode()
    return json.dumps(document).encode()


def _cosigned(data: bytes) -> bytes:
    """A foreign signature under the log's checkpoint, which nobody asked for."""
    document = json.loads(data)
    for entry in document["verificationMaterial"].get("tlogEntries", []):
        checkpoint = entry["inclusionProof"]["checkpoint"]
        checkpoint["envelope"] += "\u2014 stranger " + base64.b64encode(bytes(4) + b"not a signature").decode() + "\n"
    return json.dumps(document).encode()


RESPELT: tuple[Callable[[bytes], bytes], ...] = (_spaced, _escaped, _hinted, _mirrored, _cosigned)
LOGGED = (_spaced, _escaped, _hinted, _cosigned)
"""Those that hold for a bundle in a log, too: its entry is of one signature."""


@pytest.fixture
def key(tmp_path: Path) -> KeySigner:
    return KeySigner(write_key(tmp_path / "second.pem"))


@pytest.mark.parametrize("respelt", RESPELT)
def test_a_cosigner_counts_once_however_often_it_is_written(
    ask: Callable[..., Report], release: Path, key: KeySigner, respelt: Callable[[bytes], bytes]
) -> None:
    signed = key.sign(statement_of(release))
    other = respelt(signed)
    assert other != signed and Bundle.parse(other).envelope.payload == Bundle.parse(signed).envelope.payload
    rules = [named(MAINTAINER), {"kind": "key", "pem": key.public_key.pem}, named("third@example.org")]
    evidence = (Evidence("one", signed), Evidence("other", other))
    assert answers(ask(evidence[1], signers=rules, threshold=2))["signers"] is Verdict.PASS
    assert answers(ask(*evidence, signers=rules, threshold=3))["signers"] is Verdict.FAIL


@pytest.mark.parametrize("respelt", LOGGED)
def test_a_rebuild_counts_once_however_often_it_is_written(
    ask: Callable[..., Report], say: Sign, release: Path, respelt: Callable[[bytes], bytes]
) -> None:
    one = say("a@audit.test", rebuilt(release))
    other = Evidence("again", respelt(one.data))
    rules = [named(f"{who}@audit.test") for who in "ab"]

    def verdict(at_least: int, *evidence: Evidence) -> Verdict:
        return answers(ask(*evidence, rebuilders={"atLeast": at_least, "signers": rules}))["rebuilders"]

    assert verdict(1, other) is Verdict.PASS
    assert verdict(2, one, other) is Verdict.UNKNOWN


def test_a_logged_signature_is_one_that_the_log_knows(ask: Callable[..., Report], say: Sign, release: Path) -> None:
    other = Evidence("mirrored", _mirrored(say("a@audit.test", rebuilt(release)).data))
    asked: dict[str, Any] = {"rebuilders": {"atLeast": 1, "signers": [named("a@audit.test")]}}
    assert answers(ask(other, **asked))["rebuilders"] is Verdict.UNKNOWN


@pytest.mark.parametrize("respelt", RESPELT)
def test_a_word_that_is_written_twice_is_one_word_and_the_next_still_follows_it(
    ask: Callable[..., Report], release: Path, key: KeySigner, respelt: Callable[[bytes], bytes]
) -> None:
    subject, previous, words = statement_of(release).subjects[0], None, []
    for number in (1, 2):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = Status(standing="active", reason="so it is", stated_at=now, number=number, previous=previous)
        statement = said.about([subject])
        previous = sha256_bytes(statement.to_bytes())
        words.append(Evidence(str(number), key.sign(statement)))
    again = [Evidence(f"{word.name} again", respelt(word.data)) for word in words]
    rules = [named(MAINTAINER), {"kind": "key", "pem": key.public_key.pem}]

    def standing(*evidence: Evidence) -> set[Verdict]:
        return set(answers(ask(*evidence, signers=rules), 7).values())

    assert standing(*words, *again) == standing(again[0], words[1]) == standing(*again) == {Verdict.PASS}
    assert standing(again[1]) == {Verdict.UNKNOWN}  # the word before is missing, however this one is written


@pytest.mark.parametrize("respelt", RESPELT)
def test_an_audit_is_proposed_under_one_name_however_it_is_written(
    release: Path, key: KeySigner, respelt: Callable[[bytes], bytes]
) -> None:
    signed = key.sign(rebuilt(release).about([statement_of(release).subjects[0]]))
    one, other = (Statement.parse(Bundle.parse(data).envelope.payload) for data in (signed, respelt(signed)))
    assert proposal(one) == proposal(other)


def test_what_is_unbounded_in_a_bundle_is_bounded(release: Path, key: KeySigner) -> None:
    document = json.loads(key.sign(statement_of(release)))
    hinted = document["dsseEnvelope"] | {"signatures": [{"sig": "AAAA", "keyid": "x" * 1_000_000}]}
    with pytest.raises(SignatureError, match="keyid has 1000000 characters"):
        Bundle.parse(json.dumps(document | {"dsseEnvelope": hinted}).encode())
    checkpoint = {"checkpoint": {"envelope": "\u2014 stranger AAAA\n" * 50_000}}
    logged = {"certificate": {}, "tlogEntries": [{"inclusionProof": checkpoint}]}
    with pytest.raises(SignatureError, match="envelope has"):
        Bundle.parse(json.dumps(document | {"verificationMaterial": logged}).encode())
