"""A verdict becomes a signed statement as it was made, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest.audits import Challenge, Replay, ReplayedSegment
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.predicates import Rebuild, Status
from registry.attest.statement import Subject
from registry.attest.verifier import Verifier
from registry.audit.compare import answer
from registry.audit.verdict_file import VerdictFile, sign
from registry.errors import GlasshouseError, InputError, Refused
from registry.report import Verdict

SUBJECT = Subject("glasshouse/small@v1.0.0", "a" * 64)
NOW = "2026-01-01T00:00:00Z"
DETAILS: dict[str, object] = {"outputs": []}


def rebuild(details: dict[str, object] = DETAILS) -> VerdictFile:
    predicate = Rebuild(
        verdict="BITWISE",
        reason=f"15 BITWISE of the outputs; details sha256:{canonical.digest(DETAILS)}",
        profile="portable",
        machine="a machine",
        started_at=NOW,
        finished_at=NOW,
    )
    return VerdictFile(statement=canonical.parse(predicate.about([SUBJECT]).to_bytes(), name="x"), details=details)


def replay(**changes: object) -> Replay:
    segment = ReplayedSegment(number=0, after=0, until=1, verdict="BITWISE", reason="the same", seconds=1.5)
    asked = Challenge(nonce="00" * 16, head="b" * 64, segments=3, chosen=(0,))
    facts = {
        "verdict": "BITWISE", "reason": "1 of 1", "source": "c" * 40, "tokens": "d" * 64, "challenge": asked,
        "replayed": (segment,), "environment": "current", "profile": "portable", "machine": "a machine",
        "started_at": NOW, "finished_at": NOW, **changes,
    }  # fmt: skip
    return Replay.model_validate(facts)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "private.pem"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


def test_a_verdict_is_signed_as_it_was_made(tmp_path: Path, key: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_bytes(rebuild().to_bytes())
    signer = KeySigner(key)
    bundle = sign(path, signer)
    assert bundle == tmp_path / "verdict.sigstore.json"
    verified = Verifier(Policy(signers=(signer.public_key,))).verify(bundle.read_bytes(), name="rebuild")
    assert Rebuild.of(verified.statement).verdict == "BITWISE" and verified.statement.subjects == (SUBJECT,)


def test_a_replay_is_signed_too(tmp_path: Path, key: Path) -> None:
    path = tmp_path / "verdict.json"
    statement = canonical.parse(replay().about([SUBJECT]).to_bytes(), name="x")
    path.write_bytes(VerdictFile(statement=statement, details={}).to_bytes())
    signer = KeySigner(key)
    bundle = sign(path, signer, tmp_path / "out/replay.json")
    verified = Verifier(Policy(signers=(signer.public_key,))).verify(bundle.read_bytes())
    assert Replay.of(verified.statement) == replay()


def test_details_that_were_edited_are_refused() -> None:
    with pytest.raises(Refused, match="not those that the statement's reason names"):
        rebuild({"outputs": ["another"]}).signable()


def test_an_auditor_signs_no_other_statement() -> None:
    status = Status(standing="active", reason="x", stated_at=NOW).about([SUBJECT])
    with pytest.raises(InputError, match="not an auditor's to sign"):
        VerdictFile(statement=canonical.parse(status.to_bytes(), name="x"), details={}).signable()


def test_a_statement_that_breaks_its_model_is_refused() -> None:
    good = rebuild()
    predicate = good.statement["predicate"] | {"verdict": "PERFECT"}
    with pytest.raises(InputError, match="verdict"):
        good.model_copy(update={"statement": good.statement | {"predicate": predicate}}).signable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=200) | JSON.map(canonical.dumps))
def test_hostile_bytes_are_no_verdict(data: bytes) -> None:
    with pytest.raises(GlasshouseError):
        VerdictFile.from_bytes(data, name="verdict.json").signable()


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=4), st.sampled_from(["statement", "details"]))
def test_a_verdict_with_foreign_parts_signs_nothing(value: dict[str, object], part: str) -> None:
    if part == "details" and value == DETAILS:
        return
    with pytest.raises(GlasshouseError):
        rebuild().model_copy(update={part: value}).signable()


def test_round_trip() -> None:
    assert VerdictFile.from_bytes(rebuild().to_bytes(), name="v") == rebuild()


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("BITWISE", Verdict.PASS), ("TENSORS", Verdict.PASS), ("WITHIN", Verdict.PASS), ("DIFFERENT", Verdict.FAIL),
     ("UNSUPPORTED", Verdict.UNKNOWN), ("UNAVAILABLE", Verdict.UNKNOWN)],
)  # fmt: skip
def test_what_a_verdict_says(verdict: str, expected: Verdict) -> None:
    assert answer(verdict) is expected
