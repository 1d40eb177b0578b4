"""A maintainer signs whatever there is: verifying it comes to a verdict, and raises nothing."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.errors import InputError
from registry.hub.reference import DirectoryReference
from registry.records import layout
from registry.records.record import Record
from registry.report import Verdict
from registry.tensors import read_header
from registry.verification.steps import verify
from tests import synthetic_release
from tests.e2e.tampering.gone_bad import resign
from tests.registry.attest.conftest import write_key
from tests.registry.attest.test_statement import VALUES

RECORDS = (
    layout.RECORD, layout.DATA_SUMMARY, layout.DATA_ROWS, layout.TOKENS, layout.CHECKPOINTS, layout.EVALUATION,
    layout.ENVIRONMENT, layout.LOCK, layout.WEIGHTS, layout.PARAMS, layout.CARD,
)  # fmt: skip
RECORD_TYPES = sorted(
    (kind for kind in Record.__subclasses__() if not inspect.isabstract(kind)), key=lambda kind: kind.__qualname__
)
EVERYTHING = {
    "licenses": {"weights": ["Apache-2.0"], "data": ["MIT", "CC0-1.0"]},
    "evaluation": {"bitsPerByte": {"max": 3}},
    "openness": "III",
    "attestations": ["card"],
    "status": {"maxAgeDays": 30},
}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> KeySigner:
    """A key, for it is quick."""
    return KeySigner(write_key(tmp_path_factory.mktemp("key") / "private.pem"))


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, before it is signed."""
    folder = tmp_path_factory.mktemp("unsigned") / "release"
    synthetic_release.write(folder)
    return folder


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a whole release takes minutes
    max_examples=60,
    deadline=None,
)
@given(data=st.data(), path=st.sampled_from(RECORDS), noise=st.binary(max_size=60), value=VALUES)
def test_no_record_makes_verification_fall_over(
    unsigned: Path, signer: KeySigner, tmp_path: Path, data: st.DataObject, path: str, noise: bytes, value: Any
) -> None:
    folder = Path(shutil.copytree(unsigned, tmp_path / "release"))
    try:
        resign(folder, path, lambda before: _changed(before, data, noise, value), signer)
        policy = Policy.of({"signers": [signer.public_key.as_json()], **EVERYTHING})
        report = verify(folder, DirectoryReference(folder), "a copy", Verifier(policy))
    finally:
        shutil.rmtree(folder)
    bounds, *others = report.checks
    signatures = {check.verdict for check in others if check.step == 3}
    assert signatures == {Verdict.PASS if bounds.verdict is Verdict.PASS else Verdict.UNKNOWN}
    assert {check.step for check in report.checks} == set(range(8))
    assert not [check for check in report.checks if not check.reason or not check.subject]


@given(st.data(), st.sampled_from(RECORD_TYPES), VALUES)
def test_any_value_is_a_record_or_bad_input(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: type[Record], value: Any
) -> None:
    named = {field.alias or name: value for name, field in kind.model_fields.items()}
    path = tmp_path_factory.getbasetemp() / "any-record.json"
    path.write_text(json.dumps(data.draw(st.sampled_from([value, named]))))
    try:
        kind.read(path)
    except InputError as problem:
        assert problem.mend


@given(st.binary(max_size=200) | VALUES.map(lambda v: json.dumps(v).encode()), st.integers(0, 1 << 63))
def test_any_header_of_weights_is_read_or_bad_input(
    tmp_path_factory: pytest.TempPathFactory, header: bytes, claimed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    for length in (len(header), claimed):
        path.write_bytes(length.to_bytes(8, "little") + header)
        try:
            read_header(path)
        except InputError as problem:
            assert problem.mend


def _changed(before: bytes, data: st.DataObject, noise: bytes, value: Any) -> bytes:
    """Another value somewhere in a JSON document, or other bytes anywhere."""
    try:
        document = json.loads(before)
    except ValueError:
        document = None
    if isinstance(document, dict) and data.draw(st.booleans()):
        parent, key = data.draw(st.sampled_from(list(_places(document))))
        parent[key] = value
        return json.dumps(document).encode()
    place = data.draw(st.integers(0, len(before)))
    return before[:place] + noise + before[place + data.draw(st.integers(0, 60)) :]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(parent, key) of everything in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
