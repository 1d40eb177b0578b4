"""Who may sign, and what a policy can ask: never nobody in particular, and never more than was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from registry import strict_yaml
from registry.attest import revocation
from registry.attest.policy import (
    AllowedSigner,
    CertificateHolder,
    CiWorkflow,
    IdentityPattern,
    Policy,
    PublicKey,
    SigstoreIdentity,
)
from registry.attest.signature import CiClaims, SignedByIdentity, SignedByKey, Verified, persons
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Trust, Verifier
from registry.errors import InputError, SignerError
from tests.authority import DAY
from tests.registry.attest.conftest import MAINTAINER, STATEMENT
from tests.registry.attest.test_statement import VALUES
from tests.sigstore_instance import ISSUER, SigstoreInstance

FORMAT = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PEM = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*FORMAT).decode()
REPOSITORY = "https://github.com/org/model"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1.0.0"
CLAIMS = CiClaims(REPOSITORY, WORKFLOW, "refs/tags/v1.0.0", "a" * 40, f"{REPOSITORY}/actions/runs/1")


NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "site")])


def _list() -> str:
    """A revocation list."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME).last_update(now)
    return revocation.pem(builder.next_update(now + DAY).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))


IDENTITY = {"kind": "identity", "identity": MAINTAINER, "issuer": ISSUER}
DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"
AUTHORITY = (Path(__file__).parent / "goldens" / "v2" / "ca.pem").read_text()
LIST = _list()
SIGNERS = st.lists(
    st.sampled_from(
        [
            SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER),
            IdentityPattern(pattern="*@example.org", issuer=ISSUER, signs=("release", "model.sig")),
            CiWorkflow(issuer=ISSUER, repository=REPOSITORY, ref="refs/heads/main"),
            PublicKey(pem=PEM, signs=("release",)),
            CertificateHolder(
                identity="CN=Release",
                authorities=AUTHORITY,
                signs=("data",),
                timestamp_authorities=AUTHORITY,
                revocation_lists=(LIST,),
            ),
        ]
    ),
    min_size=1,
)
KINDS = ("identity", "pattern", "ci", "key", "certificate")


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Draft202012Validator:
    """docs/reference/policy.schema.json."""
    return jsonschema_rs.Draft202012Validator(json.loads((DOCS / "policy.schema.json").read_text()))


def signed(identity: str = MAINTAINER, issuer: str = ISSUER, claims: CiClaims = CLAIMS) -> SignedByIdentity:
    return SignedByIdentity(identity, issuer, "log", 0, datetime(2026, 1, 1, tzinfo=UTC), claims)


def test_a_policy_that_names_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="no signer"):
        Policy(signers=())


@pytest.mark.parametrize(("identity", "issuer"), [("", "https://issuer.test"), ("somebody@example.org", ""), ("", "")])
def test_an_identity_needs_its_issuer_and_an_issuer_its_identity(identity: str, issuer: str) -> None:
    with pytest.raises(InputError):
        SigstoreIdentity(identity=identity, issuer=issuer)


def test_a_key_is_the_same_key_however_its_pem_is_written() -> None:
    other = f"made by hand\n{PEM}".replace("\n", "\r\n")
    assert PublicKey(pem=other) == PublicKey(pem=PEM)
    assert PublicKey(pem=other).matches(SignedByKey(PublicKey(pem=PEM).sha256))
    assert not PublicKey(pem=other).matches(SignedByKey("0" * 64))


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no key",
        "\ud800",
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*FORMAT).decode(),
        ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*FORMAT).decode(),
    ],
)
def test_anything_but_a_p256_public_key_is_refused(pem: str) -> None:
    with pytest.raises(InputError, match="P-256"):
        PublicKey(pem=pem)


def test_a_private_key_is_no_public_key(private_key: Path) -> None:
    with pytest.raises(InputError):
        PublicKey(pem=private_key.read_text())


@pytest.mark.parametrize("name", ["release@example.org", "rerelease-bot@example.org"])
def test_a_pattern_fits_the_whole_name(name: str) -> None:
    rule = IdentityPattern(pattern="re*@example.org", issuer=ISSUER)
    assert rule.matches(signed(name))
    for other in (f"{name}.evil.test", f"x{name}", f"{name}\n", name.replace(".", "x"), name + "a" * 2000):
        assert not rule.matches(signed(other)), other
    assert not rule.matches(signed(name, issuer="https://other.test"))
    assert not rule.matches(SignedByKey("0" * 64))


@pytest.mark.parametrize(
    "pattern",
    [
        ".*", ".+", "", "[^ ]*", ".*@.*", "https://.*", "(", "x|y", "(?s:.)*", "*", "*@*", "*@*.org", "*@example", "a*",
        "https://*", "https://github.com/*", "https://*/org/x", "https://github.com/*/model", "*://github.com/org/x*",
        ".*@.*\\.(com|org|net|io)", "[^h].*[^d]", "release@example.org", "*****@example.org", "*@example.org@evil.test",
        "https://github.com/org/*/*/*", "http://github.com/org/x*", "*@exa mple.org", "spiffe://*/x",
    ],
)  # fmt: skip
def test_a_pattern_that_fits_just_anybody_is_refused(pattern: str) -> None:
    with pytest.raises(InputError):
        IdentityPattern(pattern=pattern, issuer=ISSUER)


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("*@example.org", "a@example.org", "a@b@example.org"),
        (f"{REPOSITORY}/.github/workflows/*@refs/tags/v*", f"{REPOSITORY}/.github/workflows/r.yml@refs/tags/v1",
         f"{REPOSITORY}/.github/workflows/r.yml@refs/heads/v1"),
        (f"{REPOSITORY}/*", f"{REPOSITORY}/x", f"{REPOSITORY}/x/y"),
        ("spiffe://example.org/ns/*", "spiffe://example.org/ns/a", "spiffe://example.org/other/a"),
    ],
)  # fmt: skip
def test_a_star_stands_for_no_slash_and_no_at(pattern: str, fits: str, not_fits: str) -> None:
    rule = IdentityPattern(pattern=pattern, issuer=ISSUER)
    assert rule.matches(signed(fits)) and not rule.matches(signed(not_fits))


def test_a_long_name_is_answered_at_once() -> None:
    rule = IdentityPattern(pattern="a*a*@example.org", issuer=ISSUER)
    assert not rule.matches(signed("a" * 1000 + "!@example.com"))


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"workflow": ".github/workflows/release.yml"}, True),
        ({"workflow": ".github/workflows/release.yml", "ref": "refs/tags/v1.0.0", "commit": "a" * 40}, True),
        ({"workflow": ".github/workflows/test.yml"}, False),
        ({"workflow": "workflows/release.yml"}, False),
        ({"ref": "refs/heads/main"}, False),
        ({"commit": "b" * 40}, False),
        ({"repository": "https://github.com/org/model2"}, False),
        ({"repository": "https://github.com/org"}, False),
        ({"issuer": "https://other.test"}, False),
    ],
)
def test_every_claim_that_is_named_must_be_in_the_certificate(fields: dict[str, Any], fits: bool) -> None:
    rule = CiWorkflow(**{"issuer": ISSUER, "repository": REPOSITORY, **fields})
    assert rule.matches(signed()) is fits
    assert not rule.matches(signed(claims=CiClaims()))


def test_claims_come_from_the_certificate(instance: SigstoreInstance) -> None:
    token = instance.token(WORKFLOW, claims=CLAIMS.as_json())
    bundle = SigstoreSigner(instance.trust_config_path, identity_token=token).sign(STATEMENT)
    rule = CiWorkflow(issuer=ISSUER, repository=REPOSITORY, workflow=".github/workflows/release.yml")
    verified = Verifier(Policy(signers=(rule,)), instance.trusted_root_path).verify(bundle)
    assert isinstance(verified.signer, SignedByIdentity) and verified.signer.claims == CLAIMS
    assert verified.signer.as_json()["claims"]["commit"] == "a" * 40
    other = Policy(signers=(rule.model_copy(update={"ref": "refs/heads/main"}),))
    with pytest.raises(SignerError, match="refs/heads/main"):
        Verifier(other, instance.trusted_root_path).verify(bundle)


def test_a_signer_of_one_thing_signs_no_other(bundles: dict[str, bytes], instance: SigstoreInstance) -> None:
    rule = SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER, signs=("data",))
    verifier = Verifier(Policy(signers=(rule,)), instance.trusted_root_path)
    assert verifier.verify(bundles["rekor1"], name="data").rule == 0
    for name in ("release", None):
        with pytest.raises(SignerError):
            verifier.verify(bundles["rekor1"], name=name)


def test_whoever_is_seen_is_not_thereby_trusted(bundles: dict[str, bytes], instance: SigstoreInstance) -> None:
    seen = Trust(instance.trusted_root_path).see(bundles["rekor2"])
    assert seen.rule == SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER) and not isinstance(seen, Verified)


@given(SIGNERS)
def test_a_policy_is_read_back_as_it_was_written(signers: list[AllowedSigner]) -> None:
    policy = Policy(signers=tuple(signers))
    assert Policy.of(policy.as_json()) == policy
    assert TypeAdapter(Policy).validate_python(policy) == policy


def test_a_policy_file_says_everything_there_is(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        f"""\
schema: glasshouse.policy/v1
signers:
  - {{kind: identity, identity: {MAINTAINER}, issuer: "{ISSUER}"}}
  - kind: pattern
    pattern: '*@example.org'
    issuer: {ISSUER}
threshold: 2
attestations: [openness]
openness: II
licenses: {{weights: [Apache-2.0], data: [MIT, CC0-1.0]}}
evaluation: {{bitsPerByte: {{max: 3}}}}
rebuilders: {{atLeast: 1, verdict: TENSORS, signers: [{{kind: identity, identity: a@b.org, issuer: "{ISSUER}"}}]}}
status: {{maxAgeDays: 30}}
"""
    )
    policy = Policy.load(path)
    assert policy.threshold == 2 and policy.openness == "II" and policy.evaluation["bitsPerByte"].max == 3
    assert policy.rebuilders is not None and policy.rebuilders.verdict == "TENSORS"
    assert policy.names(signed(MAINTAINER)) == 0 and policy.names(signed("b@example.org")) == 1
    assert policy.names(signed("b@example.com")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"signers": []},
        {"signers": [{"identity": MAINTAINER, "issuer": ISSUER}]},
        {"signers": [IDENTITY | {"kind": "anybody"}]},
        {"signers": [IDENTITY | {"extra": 1}]},
        {"threshold": 2},
        {"threshold": 0},
        {"threshold": True},
        {"unknown": 1},
        {"openness": "IV"},
        {"status": {"maxAgeDays": 0}},
        {"status": {"max_age_days": 3}},
        {"evaluation": {"bitsPerByte": {"max": "3"}}},
        {"rebuilders": {"atLeast": 2, "signers": [IDENTITY]}},
        {"rebuilders": {"atLeast": 1, "signers": []}},
        {"rebuilders": {"atLeast": 1, "verdict": "DIFFERENT", "signers": [IDENTITY]}},
    ],
)
def test_what_a_policy_cannot_mean_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        Policy.of({"signers": [IDENTITY], **change})
    assert refused.value.mend


def _logged(identity: str, repository: str | None = None) -> SignedByIdentity:
    return SignedByIdentity(identity, IDENTITY["issuer"], "log", 1, datetime.now(UTC), CiClaims(repository=repository))


@pytest.mark.parametrize(("one", "other", "same"), [
    ("A@site.test", "a@SITE.test", True),
    ("\uff4d@site.test", "m@site.test", True),
    ("josé@site.test", "jose\u0301@site.test", True),
    ("https://ci.test/org/model", "https://ci.test/org/model/", True),
    ("https://ci.test:443/org/model", "https://ci.test./org/model", True),
    ("https://ci.test/org/m%6Fdel", "https://ci.test/org/model", True),
    ("https://ci.test:8443/org/model", "https://ci.test/org/model", False),
    ("https://ci.test/org/model", "https://ci.test/org/model2", False),
    ("a.b@site.test", "ab@site.test", False),
])  # fmt: skip
def test_a_name_is_one_persons_however_it_is_spelt(one: str, other: str, same: bool) -> None:
    assert len(persons([_logged(one), _logged(other)])) == 2 - same
    assert len(persons([_logged("x", repository=one), _logged("y", repository=other)])) == 2 - same


def test_a_rule_counts_once_and_so_does_a_person() -> None:
    """Two people whom one pattern fits are one of the signers, and one person whom two rules fit, too."""
    issuer, place = IDENTITY["issuer"], "https://github.com/org/model"
    pattern = {"kind": "pattern", "pattern": "*@example.org", "issuer": issuer}
    pipeline = {"kind": "ci", "issuer": issuer, "repository": place}
    two, other = _logged("b@example.org"), _logged("c@elsewhere.org")
    one = _logged("a@example.org")
    by_name = [IDENTITY | {"identity": name} for name in ("a@example.org", "A@example.org", "b@example.org")]
    first, second = (_logged(f"{place}/.github/workflows/{name}.yml@refs/heads/main", place) for name in "ab")

    def counted(rules: list[Any], *signers: SignedByIdentity) -> int:
        return Policy.of({"signers": rules}).counted(signers, "release")

    assert counted([pattern, by_name[2]], one, two) == 2 and counted([pattern, by_name[2]], two, one) == 2
    assert counted([pattern, IDENTITY | {"identity": "c@elsewhere.org"}], one, two) == 1
    assert counted([pattern, IDENTITY | {"identity": "c@elsewhere.org"}], one, other, two) == 2
    assert counted(by_name[:2], one, _logged("A@example.org")) == 1
    assert counted([pipeline, IDENTITY | {"identity": first.identity}], first, second) == 1
    assert counted([pattern], other) == 0 and counted([pattern | {"signs": ["data"]}], one) == 0


@given(VALUES)
def test_a_hostile_policy_raises_our_error_and_no_other(value: Any) -> None:
    for document in (value, {"signers": value}, {"signers": [value]}, {"signers": [IDENTITY], "licenses": value}):
        try:
            Policy.of(document)
        except InputError as problem:
            assert problem.mend


@given(st.binary(max_size=200))
def test_a_hostile_policy_file_raises_our_error_and_no_other(data: bytes) -> None:
    try:
        Policy.of(strict_yaml.parse(data))
    except InputError as problem:
        assert problem.mend


def documented() -> Any:
    """The policy that docs/reference/policy.md shows."""
    example = (DOCS / "policy.md").read_text().split("```yaml\n")[1].split("```")[0]
    return strict_yaml.parse(example.encode())


def test_the_policy_in_the_documentation_is_one_and_shows_every_field_and_kind_of_signer() -> None:
    policy = Policy.of(documented())
    assert set(documented()) == {field.alias or name for name, field in Policy.model_fields.items()}
    shown = {rule.kind for rule in (*policy.signers, *(policy.rebuilders.signers if policy.rebuilders else ()))}
    assert shown == set(KINDS)


def test_the_schema_accepts_what_the_documentation_shows(schema: jsonschema_rs.Draft202012Validator) -> None:
    schema.validate(documented())


@given(SIGNERS)
def test_the_schema_accepts_whatever_we_do(
    schema: jsonschema_rs.Draft202012Validator, signers: list[AllowedSigner]
) -> None:
    schema.validate(Policy(signers=tuple(signers)).as_json())


@given(VALUES)
def test_we_refuse_whatever_the_schema_does(schema: jsonschema_rs.Draft202012Validator, value: Any) -> None:
    for document in (
        value,
        {"signers": value},
        {"signers": [IDENTITY], "status": value},
        {"signers": [IDENTITY | {"x": value}]},
    ):
        if not schema.is_valid(document):
            with pytest.raises(InputError):
                Policy.of(document)


REBUILT = "signers: [{kind: identity, identity: a@b.org, issuer: x}]"


@pytest.mark.parametrize(
    "text",
    [
        "rebuilders:", "status:", "openness:", "licenses: {weights: }", "attestations: [~]", "threshold: 010",
        "evaluation: {bitsPerByte: {max: 1:30}}", "threshold: !!int '1'", "openness: no", "threshold: 0b1",
        "evaluation: {bitsPerByte: }", f"rebuilders: {{atLeast: 1, verdict: WITHIN, {REBUILT}}}",
        f"rebuilders: {{atLeast: 1, maxTolerance: 0.1, {REBUILT}}}",
    ],
)  # fmt: skip
def test_what_says_nothing_or_two_things_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"signers: [{{kind: identity, identity: {MAINTAINER}, issuer: '{ISSUER}'}}]\n{text}\n")
    with pytest.raises(InputError) as refused:
        Policy.load(path)
    assert refused.value.mend
