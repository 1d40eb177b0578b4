"""Each predicate, as it was signed once, verifies and is understood for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.attest.policy import Policy, PublicKey, SigstoreIdentity
from registry.attest.predicates import Predicate
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from tests.registry.attest.conftest import MAINTAINER
from tests.registry.attest.make_predicate_goldens import GOLDENS, name, signed
from tests.registry.attest.test_predicates import EXAMPLES
from tests.sigstore_instance import ISSUER

STATEMENTS = sorted(GOLDENS.glob("predicates-*/*.statement.json"))
KINDS: dict[str, type[Predicate]] = {example.TYPE: type(example) for example in EXAMPLES}


@pytest.mark.parametrize("golden", STATEMENTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_golden_predicate_verifies_and_is_understood(golden: Path) -> None:
    signers = (
        SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER),
        PublicKey(pem=(golden.parent / "public.pem").read_text()),
    )
    verifier = Verifier(Policy(signers=signers), golden.parent / "trusted-root.json")
    data = golden.read_bytes()
    for by in ("key", "identity"):
        bundle = golden.with_name(golden.name.replace(".statement.json", f".{by}.sigstore.json"))
        assert verifier.verify(bundle.read_bytes()).statement.to_bytes() == data
    statement = Statement.parse(data)
    predicate = KINDS[statement.predicate_type].of(statement)
    assert predicate.about(statement.subjects).to_bytes() == data


def test_every_predicate_has_a_golden() -> None:
    assert {name(example) for example in EXAMPLES} <= signed()
