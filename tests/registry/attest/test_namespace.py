"""Our URIs: under whichever of our prefixes a statement was written, it says the same; moving changes no verdict."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.attest import namespace
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.predicates import Predicate
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from registry.audit.publish import proposal
from registry.errors import InputError
from registry.hub.reference import DirectoryReference
from registry.provenance import slsa
from registry.release.signing import sign
from registry.verification.steps import verify
from tests import synthetic_release, verdict_files
from tests.goldens.make_releases import found
from tests.reference import DOCS
from tests.registry.attest.test_predicates import EXAMPLES, SUBJECTS

OURS = [example for example in EXAMPLES if example.TYPE.startswith(namespace.WRITTEN)]
ELSEWHERE = (
    "http://glasshouse.dev/",
    "https://glasshouse.dev.example/",
    "https://w3id.org/glasshouse-2/",
    "https://w3id.org/",
    "",
)


def under(prefix: str, uri: str) -> str:
    """Our `uri`, with another prefix."""
    return prefix + uri.removeprefix(namespace.WRITTEN)


@pytest.mark.parametrize("prefix", namespace.PREFIXES)
@pytest.mark.parametrize("example", OURS, ids=lambda example: type(example).__name__)
def test_a_statement_is_read_alike_under_each_prefix(example: Predicate, prefix: str) -> None:
    statement = Statement(SUBJECTS, under(prefix, example.TYPE), example.as_json())
    assert type(example).of(statement) == example


@pytest.mark.parametrize("prefix", ELSEWHERE)
def test_no_other_prefix_is_ours(prefix: str) -> None:
    for example in OURS:
        with pytest.raises(InputError, match="is expected"):
            type(example).of(Statement(SUBJECTS, under(prefix, example.TYPE), example.as_json()))


@pytest.mark.parametrize("prefix", namespace.PREFIXES)
def test_an_auditor_signs_and_offers_a_verdict_under_each_prefix(prefix: str) -> None:
    file = verdict_files.replay()
    about = file.statement | {"predicateType": under(prefix, file.statement["predicateType"])}
    statement = file.model_copy(update={"statement": about}).signable()
    assert proposal(statement).path.startswith("v1.0.0/replay-")


@given(st.text(max_size=60) | st.builds(str.__add__, st.sampled_from(namespace.PREFIXES), st.text(max_size=20)))
def test_reading_a_name_twice_changes_nothing_and_others_names_stay(uri: str) -> None:
    read = namespace.read(uri)
    assert namespace.read(read) == read
    assert read == uri or (uri.startswith(namespace.PREFIXES) and read.startswith(namespace.WRITTEN))


MOVED = """
import json, sys
from pathlib import Path
from registry.attest import namespace
namespace.WRITTEN = namespace.PREFIXES[1]
from registry.attest.localkey import KeySigner
from registry.release.signing import sign
from tests import synthetic_release
from tests.goldens.make_releases import found, goldens
from tests.registry.attest.conftest import write_key
folder = Path(sys.argv[1])
signer = KeySigner(write_key(folder / "private.pem"))
(folder / "public.pem").write_text(signer.public_key.pem)
synthetic_release.write(folder / "release", weights_bytes=512)
sign(folder / "release", signer)
for golden in goldens():
    with golden.unpacked() as root:
        report = golden.verified(root)
        assert report.verdict == "PASS" and found(report) == json.loads(golden.report_path.read_bytes()), golden.name
"""
"""What writes under the second prefix from its start on: it signs a release, and verifies those of before."""


def test_a_release_that_was_signed_after_the_move_verifies_before_it_and_the_other_way_round(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MOVED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    release = tmp_path / "release"
    assert any(namespace.PREFIXES[1].encode() in _payload(path) for path in release.glob("attestations/stage-*"))
    policy = Policy.of({"signers": [{"kind": "key", "pem": (tmp_path / "public.pem").read_text()}]}, name="here")
    stayed = tmp_path / "stayed"
    synthetic_release.write(stayed, weights_bytes=512)
    sign(stayed, KeySigner(tmp_path / "private.pem"))
    report, other = (verify(root, DirectoryReference(root), "", Verifier(policy, None)) for root in (release, stayed))
    assert found(report) == found(other)
    assert report.verdict == "PASS"


def _payload(bundle: Path) -> bytes:
    return base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])


def test_the_claim_leads_from_each_name_to_a_heading_that_is_there() -> None:
    headings = (DOCS / "reference" / "predicates.md").read_text().lower().replace(" ", "-")
    rules = [line.split() for line in (DOCS / "w3id/glasshouse/.htaccess").read_text().splitlines()]
    leads = {rule[1].strip("^$"): rule[2].partition("#")[2] for rule in rules if rule[0] == "RewriteRule"}
    names = {example.TYPE for example in OURS} | {slsa.BUILD_TYPE, slsa.STAGE_TYPE, slsa.BUILDER}
    assert {namespace.WRITTEN + path for path in leads if path} == names
    assert all(f"\n##-{section}\n" in headings for path, section in leads.items() if path)
