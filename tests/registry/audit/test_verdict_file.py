"""A verdict becomes a signed statement as it was made, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest.audits import Reevaluation, Replay, ReplayVerdict
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.predicates import Rebuild, Status
from registry.attest.verifier import Verifier
from registry.audit.compare import answer
from registry.audit.rebuild_verdict import Details
from registry.audit.verdict_file import VerdictFile, sign
from registry.errors import GlasshouseError, InputError, Malformed, Refused
from registry.report import Verdict
from tests.verdict_files import OTHER, SAME, SUBJECT, details, evaluation, rebuild, replay


def edited(file: VerdictFile, **changes: Any) -> VerdictFile:
    """The same, with other words in its predicate, and the details untouched."""
    predicate = file.statement["predicate"] | changes
    return file.model_copy(update={"statement": file.statement | {"predicate": predicate}})


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
    path.write_bytes(replay().to_bytes())
    signer = KeySigner(key)
    bundle = sign(path, signer, tmp_path / "out/replay.json")
    verified = Verifier(Policy(signers=(signer.public_key,))).verify(bundle.read_bytes())
    assert verified.statement == replay().signable()


def test_details_that_were_edited_are_refused() -> None:
    with pytest.raises(Refused, match="not those that the statement's reason names"):
        rebuild().model_copy(update={"details": details(OTHER).as_json()}).signable()


@pytest.mark.parametrize(
    "found",
    [
        details(SAME, OTHER, departs=("tokenizer.json: other bytes",)),
        details(OTHER, cannot=("another CPU",)),
        details(environment=None, outputs=()),
        details(SAME | {"verdict": "WITHIN", "found": "f" * 64}, tolerance=0.5),
        details(),
    ],
    ids=lambda found: found.verdict,
)
def test_a_verdict_that_was_edited_is_refused_and_the_honest_one_is_signed(found: Details) -> None:
    honest = rebuild(found)
    assert Rebuild.of(honest.signable()).verdict == found.verdict
    for verdict in ("BITWISE", "TENSORS", "WITHIN", "DIFFERENT", "UNSUPPORTED"):
        if verdict != found.verdict:
            with pytest.raises((Refused, Malformed), match=r"verdict is|the whole is said"):
                edited(honest, verdict=verdict).signable()
    digest = canonical.digest(honest.details)
    with pytest.raises(Refused, match=r"statement's (reason|verdict)"):
        edited(honest, reason=f"all is well; details sha256:{digest}").signable()
    with pytest.raises(Refused, match="statement's tolerance"):
        edited(honest, tolerance=0.25).signable()


def test_a_different_one_edited_in_every_word_of_the_statement_is_refused_by_its_details() -> None:
    honest = rebuild(details(SAME, OTHER))
    outputs = [{"path": one["path"], "sha256": "f" * 64, "verdict": "BITWISE"} for one in (SAME, OTHER)]
    with pytest.raises(Refused, match="statement's verdict is 'BITWISE', its details come to 'DIFFERENT'"):
        edited(honest, verdict="BITWISE", outputs=outputs).signable()
    with pytest.raises(Refused, match="statement's outputs"):
        edited(honest, outputs=[outputs[0], outputs[1] | {"verdict": "DIFFERENT", "path": "another"}]).signable()


def test_details_whose_digests_do_not_bear_them_out_are_refused() -> None:
    for output in (OTHER | {"verdict": "BITWISE"}, SAME | {"verdict": "WITHIN"}):
        with pytest.raises(Refused, match="and its digests do not"):
            rebuild(details(output)).signable()


@pytest.mark.parametrize("verdicts", [("DIFFERENT", "BITWISE"), ("BITWISE", "UNAVAILABLE"), ("UNSUPPORTED",)])
def test_a_replay_that_was_edited_is_refused(verdicts: tuple[ReplayVerdict, ...]) -> None:
    same: ReplayVerdict = "BITWISE"
    honest, good = replay(*verdicts), replay(*[same] * len(verdicts))
    assert Replay.of(honest.signable()).verdict != "BITWISE"
    with pytest.raises(Refused, match="the statement says BITWISE"):
        edited(honest, verdict="BITWISE").signable()
    with pytest.raises(Refused, match="the segments of the statement are not those of its details"):
        honest.model_copy(update={"statement": good.statement}).signable()
    with pytest.raises(Refused, match="the segments"):
        edited(honest, replayed=honest.statement["predicate"]["replayed"][1:]).signable()
    with pytest.raises(Refused, match="its details are of another"):
        honest.model_copy(update={"details": honest.details | {"subject": "another"}}).signable()
    odd = honest.details["checks"][0] | {"step": 77}
    with pytest.raises(Refused, match="that no audit asks"):
        honest.model_copy(update={"details": honest.details | {"checks": [odd]}}).signable()


def test_an_auditor_signs_no_other_statement() -> None:
    status = Status(standing="active", reason="x", stated_at="2026-01-01T00:00:00Z").about([SUBJECT])
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


def test_an_evaluation_that_was_edited_is_refused() -> None:
    honest, good = evaluation("DIFFERENT"), evaluation("BITWISE")
    assert Reevaluation.of(good.signable()).verdict == "BITWISE"
    assert Reevaluation.of(honest.signable()).verdict == "DIFFERENT"
    with pytest.raises(Refused, match="the statement's verdict is 'BITWISE', its details come to 'DIFFERENT'"):
        edited(honest, verdict="BITWISE").signable()
    with pytest.raises(Refused, match="the details are not those that the statement's reason names"):
        honest.model_copy(update={"details": good.details}).signable()
    with pytest.raises(Refused, match="and its digests do not"):
        evaluation("BITWISE", found="b" * 64).signable()
