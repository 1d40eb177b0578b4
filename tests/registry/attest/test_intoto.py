"""What we sign, read by those who define it: in-toto's own protobuf messages, which allow no field more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from sigstore.dsse import Statement as SigstoreStatement

from registry.attest.intoto import Provenance, TestResult
from registry.attest.localkey import KeySigner
from registry.attest.statement import Statement
from registry.release.signing import sign
from registry.verification.case import short
from tests import synthetic_release
from tests.e2e.tampering.gone_bad import payload
from tests.reference import predicate_schemas
from tests.registry.attest.conftest import write_key
from tests.registry.attest.test_predicates import EXAMPLES, SUBJECTS

DEFINITIONS: dict[str, type[Message]] = {
    Provenance.TYPE: provenance_pb2.Provenance,
    TestResult.TYPE: test_result_pb2.TestResult,
}
STATEMENTS = {
    "provenance", "data", "checkpoints", "evaluation", "card", "release", "stage-corpus", "stage-train",
    "stage-evaluate@all",
}  # fmt: skip


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every statement of a release, by its short name, as it stands in its bundle."""
    scratch = tmp_path_factory.mktemp("intoto")
    synthetic_release.write(scratch / "release")
    sign(scratch / "release", KeySigner(write_key(scratch / "private.pem")))
    folder = scratch / "release" / "attestations"
    return {short(f"attestations/{path.name}"): payload(path) for path in folder.iterdir()}


def test_every_statement_is_one_by_in_toto_s_definition_and_by_sigstore_s(signed: dict[str, dict[str, Any]]) -> None:
    assert signed.keys() == STATEMENTS
    for document in signed.values():
        message = json_format.Parse(json.dumps(document), statement_pb2.Statement())
        InTotoStatement.copy_from_pb(message).validate()
        assert json_format.MessageToDict(message)["predicate"] == document["predicate"]
        SigstoreStatement(json.dumps(document).encode())


def test_predicates_of_others_are_as_they_define_them(signed: dict[str, dict[str, Any]]) -> None:
    theirs = [document for document in signed.values() if document["predicateType"] in DEFINITIONS]
    assert len(theirs) == 5
    for document in theirs:
        kind = DEFINITIONS[document["predicateType"]]
        message = json_format.ParseDict(document["predicate"], kind())
        assert json_format.ParseDict(json_format.MessageToDict(message), kind()) == message
        with pytest.raises(json_format.ParseError, match="no field named"):
            json_format.ParseDict({**document["predicate"], "notTheirs": 1}, kind())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_what_is_signed_holds_the_documented_schema(example: Any) -> None:
    schema = json.loads(predicate_schemas())[example.TYPE]
    validator = jsonschema_rs.Draft202012Validator(schema)
    predicate = json.loads(Statement.parse(example.about(SUBJECTS).to_bytes()).to_bytes())["predicate"]
    validator.validate(predicate)
    assert not validator.is_valid({**predicate, "notOurs": 1})


def test_every_statement_of_a_release_holds_the_documented_schema(signed: dict[str, dict[str, Any]]) -> None:
    schemas = json.loads(predicate_schemas())
    for document in signed.values():
        jsonschema_rs.Draft202012Validator(schemas[document["predicateType"]]).validate(document["predicate"])


def test_the_schemas_beside_the_documentation_are_these() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "predicates.schema.json"
    assert json.loads(page.read_text()) == json.loads(predicate_schemas())
