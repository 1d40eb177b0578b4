"""Signing with an identity and verifying it: the real client against the Sigstore instance."""

from __future__ import annotations

import base64
import copy
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import canonical
from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.signature import SignedByIdentity
from registry.attest.sigstore import LATER
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.errors import CredentialsError, GlasshouseError, InputError, SignatureError, SignerError, Unavailable
from tests.registry.attest.conftest import MAINTAINER, STATEMENT
from tests.registry.attest.test_statement import VALUES
from tests.sigstore_instance import ISSUER, SigstoreInstance

VERSIONS = ["rekor1", "rekor2"]

UNSIGNED: dict[str, set[str]] = {
    "rekor1": set(),
    "rekor2": {
        "verificationMaterial.tlogEntries.0.logIndex",
        "verificationMaterial.tlogEntries.0.integratedTime",
        "verificationMaterial.tlogEntries.0.logId.keyId",
    },
}
"""What nobody signs. Nothing is made of it: the facts of a signature are taken from elsewhere."""


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_signed_verifies_and_says_who_signed_it(
    bundles: dict[str, bytes], verifier: Verifier, version: str
) -> None:
    verified = verifier.verify(bundles[version])
    assert verified.statement == STATEMENT
    assert isinstance(verified.signer, SignedByIdentity)
    assert (verified.signer.identity, verified.signer.issuer) == (MAINTAINER, ISSUER)
    assert verified.signer.log == f"sigstore-instance.test/{version}"
    assert MAINTAINER in str(verified.signer)


def test_the_log_index_is_the_entry_s_own(signer: SigstoreSigner, verifier: Verifier) -> None:
    first, second = (verifier.verify(signer.sign(STATEMENT)).signer for _ in range(2))
    assert isinstance(first, SignedByIdentity)
    assert isinstance(second, SignedByIdentity)
    assert second.log_index == first.log_index + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_verifying_asks_no_network(
    bundles: dict[str, bytes], instance: SigstoreInstance, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was asked for")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    policy = _trusting((MAINTAINER, ISSUER))
    for root in (instance.trusted_root_path, instance.trust_config_path):
        assert Verifier(policy, root).verify(bundles[version]).statement == STATEMENT


@pytest.mark.parametrize(
    ("identity", "issuer"),
    [
        ("somebody@example.org", ISSUER),
        (MAINTAINER.removesuffix("rg"), ISSUER),
        (f"{MAINTAINER}.evil.test", ISSUER),
        (MAINTAINER.upper(), ISSUER),
        (".*", ISSUER),
        (MAINTAINER, f"{ISSUER}/"),
        (MAINTAINER, "https://accounts.google.com"),
    ],
)
def test_a_good_signature_by_anybody_else_is_a_signer_error_that_names_them(
    bundles: dict[str, bytes], instance: SigstoreInstance, identity: str, issuer: str
) -> None:
    stranger = Verifier(_trusting((identity, issuer)), instance.trusted_root_path)
    with pytest.raises(SignerError, match=f"signed by {MAINTAINER}"):
        stranger.verify(bundles["rekor1"])


def test_any_one_of_the_policy_s_signers_will_do(bundles: dict[str, bytes], instance: SigstoreInstance) -> None:
    two = Policy(
        signers=(
            SigstoreIdentity(identity="somebody@example.org", issuer=ISSUER),
            SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER),
        )
    )
    assert Verifier(two, instance.trusted_root_path).verify(bundles["rekor1"]).statement == STATEMENT


def test_a_bad_signature_by_somebody_else_is_a_bad_signature(
    bundles: dict[str, bytes], instance: SigstoreInstance
) -> None:
    stranger = Verifier(_trusting(("somebody@example.org", ISSUER)), instance.trusted_root_path)
    with pytest.raises(SignatureError):
        stranger.verify(_with(bundles["rekor1"], "dsseEnvelope.payload"))


def test_a_workflow_signs_by_its_uri(instance: SigstoreInstance) -> None:
    workflow = "https://github.com/org/model/.github/workflows/release.yml@refs/tags/v1"
    bundle = SigstoreSigner(instance.trust_config_path, identity_token=instance.token(workflow)).sign(STATEMENT)
    policy = _trusting((workflow, ISSUER))
    assert Verifier(policy, instance.trusted_root_path).verify(bundle).statement == STATEMENT


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_a_bundle_is_bound(bundles: dict[str, bytes], verifier: Verifier, version: str) -> None:
    accepted = set()
    for field in _leaves(json.loads(bundles[version])):
        try:
            verifier.verify(_with(bundles[version], field))
        except SignatureError:
            continue
        accepted.add(field)
    assert accepted == UNSIGNED[version]


def test_what_nobody_signs_changes_no_fact(bundles: dict[str, bytes], verifier: Verifier) -> None:
    for field in UNSIGNED["rekor2"]:
        assert verifier.verify(_with(bundles["rekor2"], field)) == verifier.verify(bundles["rekor2"])


@pytest.mark.parametrize("version", VERSIONS)
def test_no_field_of_a_bundle_can_be_left_out(bundles: dict[str, bytes], verifier: Verifier, version: str) -> None:
    optional = {f"verificationMaterial.tlogEntries.0.{name}" for name in ("integratedTime",)}
    for field in _leaves(json.loads(bundles[version])):
        document = json.loads(bundles[version])
        _remove(document, field)
        if version == "rekor2" and field in optional:
            continue
        with pytest.raises(SignatureError):
            verifier.verify(json.dumps(document).encode())


def test_parts_of_two_bundles_make_no_third(signer: SigstoreSigner, verifier: Verifier) -> None:
    one, two = (json.loads(signer.sign(STATEMENT)) for _ in range(2))
    for part in ("verificationMaterial", "dsseEnvelope"):
        with pytest.raises(SignatureError):
            verifier.verify(json.dumps(one | {part: two[part]}).encode())


def test_another_instance_s_signature_does_not_hold(
    bundles: dict[str, bytes], tmp_path: Path, verifier: Verifier
) -> None:
    with SigstoreInstance.start(tmp_path) as other:
        bundle = SigstoreSigner(other.trust_config_path, identity_token=other.token(MAINTAINER)).sign(STATEMENT)
        elsewhere = Verifier(verifier.policy, other.trusted_root_path)
    assert elsewhere.verify(bundle).statement == STATEMENT
    for mismatch, data in ((verifier, bundle), (elsewhere, bundles["rekor1"])):
        with pytest.raises(SignatureError):
            mismatch.verify(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data(), version=st.sampled_from(VERSIONS), value=VALUES)
def test_nothing_but_our_errors_comes_of_a_hostile_bundle(
    bundles: dict[str, bytes], verifier: Verifier, data: st.DataObject, version: str, value: Any
) -> None:
    document = json.loads(bundles[version])
    field = data.draw(st.sampled_from(sorted(_nodes(document))))
    _set(document, field, value)
    try:
        verifier.verify(json.dumps(document).encode())
    except GlasshouseError as problem:
        assert isinstance(problem, SignatureError)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data(), version=st.sampled_from(VERSIONS), noise=st.binary(max_size=80))
def test_nothing_but_our_errors_comes_of_hostile_bytes_inside(
    bundles: dict[str, bytes], verifier: Verifier, data: st.DataObject, version: str, noise: bytes
) -> None:
    document = json.loads(bundles[version])
    field = data.draw(st.sampled_from(sorted(_leaves(document))))
    text = _get(document, field)
    place = data.draw(st.integers(0, 2000))
    inside = bytearray(_decoded(text) or text.encode())
    inside[place : place + len(noise)] = noise
    _set(document, field, base64.b64encode(inside).decode())
    try:
        verifier.verify(json.dumps(document).encode())
    except GlasshouseError as problem:
        assert isinstance(problem, SignatureError)


def test_a_good_signature_over_something_else_than_a_statement_is_refused(
    instance: SigstoreInstance, verifier: Verifier, signer: SigstoreSigner
) -> None:
    class Odd:
        """Stands for a statement that another tool wrote."""

        @staticmethod
        def to_bytes() -> bytes:
            """With a second digest, which we do not allow."""
            digest = {"sha256": "0" * 64, "sha512": "0" * 128}
            document = json.loads(STATEMENT.to_bytes()) | {"subject": [{"name": "a", "digest": digest}]}
            return canonical.dumps(document)

    with pytest.raises(SignatureError, match="not an in-toto statement"):
        verifier.verify(signer.sign(Odd()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ({"lifetime": -60}, CredentialsError),
        ({"audience": "somebody-else"}, CredentialsError),
    ],
)
def test_a_token_that_cannot_serve_is_a_matter_of_credentials(
    instance: SigstoreInstance, token: dict[str, Any], expected: type[GlasshouseError]
) -> None:
    with pytest.raises(expected):
        SigstoreSigner(instance.trust_config_path, identity_token=instance.token(MAINTAINER, **token))


def test_a_malformed_token_is_a_matter_of_credentials(instance: SigstoreInstance) -> None:
    with pytest.raises(CredentialsError):
        SigstoreSigner(instance.trust_config_path, identity_token="no token")


def test_a_token_of_another_issuer_is_declined_by_the_certificate_authority(
    instance: SigstoreInstance, tmp_path: Path
) -> None:
    with SigstoreInstance.start(tmp_path) as other:
        foreign = other.token(MAINTAINER)
    with pytest.raises(CredentialsError, match="declined"):
        SigstoreSigner(instance.trust_config_path, identity_token=foreign).sign(STATEMENT)


def test_without_any_identity_there_is_no_signing(instance: SigstoreInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.attest.sigstore.sign.detect_credential", lambda: None)
    with pytest.raises(CredentialsError, match="no identity") as caught:
        SigstoreSigner(instance.trust_config_path)
    assert "--identity-token" in caught.value.mend


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[SigstoreInstance]:
    """An instance that no longer answers."""
    with SigstoreInstance.start(tmp_path / "stopped") as gone:
        pass
    yield gone


def test_services_that_do_not_answer_are_unavailable(stopped: SigstoreInstance) -> None:
    signer = SigstoreSigner(stopped.trust_config_path, identity_token=stopped.token(MAINTAINER))
    with pytest.raises(Unavailable, match="did not answer"):
        signer.sign(STATEMENT)


@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls", "tsaUrls"])
def test_a_service_that_is_not_there_is_unavailable(instance: SigstoreInstance, tmp_path: Path, service: str) -> None:
    config = json.loads(instance.trust_config_rekor2_path.read_text())
    config["signingConfig"][service][0]["url"] = (
        f"{instance.url}/not/here" if service != "caUrls" else "http://127.0.0.1:9"
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    signer = SigstoreSigner(tmp_path / "config.json", identity_token=instance.token(MAINTAINER))
    with pytest.raises(Unavailable):
        signer.sign(STATEMENT)


def test_one_certificate_serves_until_it_is_old(instance: SigstoreInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = SigstoreSigner(instance.trust_config_path, identity_token=instance.token(MAINTAINER))

    def certificate() -> str:
        return str(_get(json.loads(signer.sign(STATEMENT)), "verificationMaterial.certificate.rawBytes"))

    first = certificate()
    assert certificate() == first
    monkeypatch.setattr("registry.attest.sigstore.sign.RENEW_AFTER", -1.0)
    assert certificate() != first


def test_services_of_another_instance_than_the_trust_root_s_are_seen_while_signing(
    instance: SigstoreInstance, tmp_path: Path
) -> None:
    with SigstoreInstance.start(tmp_path / "other") as other:
        config = json.loads(other.trust_config_path.read_text())
        config["trustedRoot"] = json.loads(instance.trusted_root_path.read_text())
        (tmp_path / "config.json").write_text(json.dumps(config))
        signer = SigstoreSigner(tmp_path / "config.json", identity_token=other.token(MAINTAINER))
        with pytest.raises(SignatureError, match="not those that the trust config describes"):
            signer.sign(STATEMENT)


def test_a_trust_root_that_is_none_is_bad_input(tmp_path: Path, bundles: dict[str, bytes], verifier: Verifier) -> None:
    path = tmp_path / "root.json"
    for content in (b"", b"{}", b"[]", b'{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'):
        path.write_bytes(content)
        with pytest.raises(InputError):
            Verifier(verifier.policy, path).verify(bundles["rekor1"])
        with pytest.raises(InputError):
            SigstoreSigner(path, identity_token="x")
    with pytest.raises(InputError):
        Verifier(verifier.policy, tmp_path / "missing.json").verify(bundles["rekor1"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.data(), noise=st.binary(max_size=60), value=VALUES)
def test_any_root_of_trust_is_one_or_bad_input(
    instance: SigstoreInstance, bundles: dict[str, bytes], tmp_path: Path, data: st.DataObject, noise: bytes, value: Any
) -> None:
    """Changed at any place: it is refused, or it does not hold, or (where nothing needs that place) it holds."""
    source = data.draw(st.sampled_from([instance.trusted_root_path, instance.trust_config_rekor2_path]))
    content = source.read_bytes()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + noise + content[place + data.draw(st.integers(0, 60)) :]
    else:
        document = json.loads(content)
        _set(document, data.draw(st.sampled_from(sorted(_nodes(document)))), value)
        content = json.dumps(document).encode()
    path = tmp_path / "root.json"
    path.write_bytes(content)
    for bundle in bundles.values():
        try:
            Verifier(_trusting((MAINTAINER, ISSUER)), path).verify(bundle)
        except GlasshouseError as problem:
            assert isinstance(problem, (InputError, SignatureError)) and problem.mend
    try:
        SigstoreSigner(path, identity_token=instance.token(MAINTAINER))
    except GlasshouseError as problem:
        assert problem.mend


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_trust_root_without_a_part_trusts_nothing(
    tmp_path: Path, instance: SigstoreInstance, bundles: dict[str, bytes], verifier: Verifier, part: str
) -> None:
    path = tmp_path / "root.json"
    path.write_text(json.dumps(json.loads(instance.trusted_root_path.read_text()) | {part: []}))
    with pytest.raises((InputError, SignatureError)):
        Verifier(verifier.policy, path).verify(bundles["rekor1"])


def test_the_public_trust_root_is_at_hand_offline_and_does_not_trust_this_instance(
    bundles: dict[str, bytes], verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SignatureError):
        Verifier(verifier.policy).verify(bundles["rekor1"])


def test_without_any_trust_root_nothing_could_be_checked(
    bundles: dict[str, bytes], verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="trust root of the public Sigstore instance cannot be had"):
        Verifier(verifier.policy).verify(bundles["rekor1"])


def _trusting(*who: tuple[str, str]) -> Policy:
    return Policy(signers=tuple(SigstoreIdentity(identity=identity, issuer=issuer) for identity, issuer in who))


def _nodes(value: Any, place: str = "") -> Iterator[str]:
    """Dotted places of everything in `value` but the whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield f"{place}{key}"
        yield from _nodes(inner, f"{place}{key}.")


def _leaves(document: Any) -> list[str]:
    return [place for place in _nodes(document) if isinstance(_get(document, place), str)]


def _get(document: Any, place: str) -> Any:
    for key in place.split("."):
        document = document[int(key) if isinstance(document, list) else key]
    return document


def _set(document: Any, place: str, value: Any) -> None:
    above, _, key = place.rpartition(".")
    parent = _get(document, above) if above else document
    parent[int(key) if isinstance(parent, list) else key] = copy.deepcopy(value)


def _remove(document: Any, place: str) -> None:
    above, _, key = place.rpartition(".")
    parent = _get(document, above) if above else document
    del parent[int(key) if isinstance(parent, list) else key]


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _with(bundle: bytes, place: str) -> bytes:
    """The bundle with one bit of the text or base64 at `place` changed, a number raised by one."""
    document = json.loads(bundle)
    text = _get(document, place)
    if text.isdecimal():
        changed = str(int(text) + 1)
    elif raw := bytearray(_decoded(text) or b""):
        raw[len(raw) // 2] ^= 1
        changed = base64.b64encode(raw).decode()
    else:
        at = len(text) * 3 // 4  # in a checkpoint, inside its signature
        changed = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]
    _set(document, place, changed)
    return json.dumps(document).encode()


def test_loading_the_door_leaves_no_trace_in_what_others_load() -> None:
    code = (
        f"import sys; import registry.attest.sigstore; hidden = {['boto3', *LATER, 'sigstore.sign']};"
        "print([name for name in hidden if name in sys.modules]);"
        "from pydantic import BaseModel; print('defer_build' in BaseModel.model_config); import boto3, requests, jwt;"
        "from tuf.ngclient import Updater; print(boto3.Session, requests.Session, jwt.PyJWT, Updater)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.split("\n")
    assert found[:2] == ["[]", "False"]
    names = ("boto3.session.Session", "requests.sessions.Session", "jwt.api_jwt.PyJWT", "tuf.ngclient.updater.Updater")
    assert found[2] == " ".join(f"<class '{name}'>" for name in names)


def test_what_the_door_puts_off_is_what_it_stands_for_once_it_is_used() -> None:
    code = (
        "import sys; import registry.attest.sigstore; from sigstore._internal import USER_AGENT, fulcio, tuf;"
        "late = fulcio.client.requests; session = late.Session(); import requests;"
        "print(late is not requests, type(session) is requests.Session, late.HTTPError is requests.HTTPError,"
        "USER_AGENT.endswith(f'(python-requests/{requests.__version__})'));"
        "print(type(tuf.UpdaterConfig()).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4 + ["tuf.ngclient.config"]


def test_a_form_of_log_entries_that_was_put_off_reads_what_it_always_did() -> None:
    code = (
        "import sys; import registry.attest.sigstore; import rekor_types; from pydantic import TypeAdapter;"
        "form = 'rekor_types._internal.rfc3161'; print(form in sys.modules);"
        'said = \'{"kind": "rfc3161", "spec": {"tsr": {"content": "AA=="}}}\';'
        "entry = TypeAdapter(rekor_types.ProposedEntry).validate_json(said);"
        "print(form in sys.modules, type(entry.spec).__module__, entry.spec.root.tsr.content)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "rekor_types._internal.rfc3161", "AA=="]


def test_signing_builds_the_forms_of_log_entries_once_and_not_for_each_answer_of_the_log() -> None:
    code = (
        "from typing import get_args; import registry.attest.sigstore; from sigstore.models import ProposedEntry;"
        "forms = get_args(get_args(ProposedEntry)[0]); print({form.__pydantic_complete__ for form in forms});"
        "import registry.attest.sigstore.sign; print({form.__pydantic_complete__ for form in forms})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["{False}", "{True}"]
