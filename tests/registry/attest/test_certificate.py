"""Signing with a certificate of one's own authority: what holds, what does not, and what the stock tool says of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.attest import oms, revocation, x509_path
from registry.attest.certificate import CertificateSigner
from registry.attest.localkey import KeySigner
from registry.attest.policy import CertificateHolder, Policy
from registry.attest.signature import SignedByCertificate
from registry.attest.verifier import Trust, Verifier
from registry.digest import sha256_bytes
from registry.errors import CredentialsError, GlasshouseError, InputError, SignatureError, SignerError, Unavailable
from tests.authority import DAY, SIGNER, SIGNS, Authority, Holder, revoking
from tests.registry.attest.conftest import STATEMENT, write_key
from tests.registry.attest.test_statement import VALUES
from tests.sigstore_instance.ca import usage
from tests.sigstore_instance.keys import kept_key

STOCK = str(Path(sys.executable).with_name("model_signing"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The site's own authority."""
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def holder(site: Authority) -> Holder:
    """A signer whom the site certifies for a year."""
    return site.issue()


@pytest.fixture(scope="module")
def bundle(holder: Holder) -> bytes:
    """STATEMENT, signed by that signer."""
    return holder.signer.sign(STATEMENT)


def trusting(site: Authority, identity: str = SIGNER, now: datetime | None = None) -> Verifier:
    return Verifier(Policy(signers=(CertificateHolder(identity=identity, authorities=site.pem),)), now=now)


def test_what_it_signs_verifies_and_says_who_certified_it_and_that_nobody_logged_it(
    site: Authority, bundle: bytes
) -> None:
    verified = trusting(site).verify(bundle)
    assert verified.statement == STATEMENT and isinstance(verified.signer, SignedByCertificate)
    assert verified.signer.identity == SIGNER and "site-root" in verified.signer.authority
    assert "no transparency log" in str(verified.signer) and SIGNER in str(verified.signer)
    assert verified.signer.as_json()["kind"] == "certificate"


def test_without_a_name_beside_it_the_subject_is_the_identity(site: Authority) -> None:
    signed = site.issue("plain", identity=None).signer.sign(STATEMENT)
    assert trusting(site, "CN=plain").verify(signed).statement == STATEMENT
    with pytest.raises(SignerError):
        trusting(site, "plain").verify(signed)


@pytest.mark.parametrize("identity", [SIGNER[:-1], f"{SIGNER}.evil.test", SIGNER.upper(), "CN=signer", ".*"])
def test_a_good_signature_by_another_name_is_a_signer_error(site: Authority, bundle: bytes, identity: str) -> None:
    with pytest.raises(SignerError, match=SIGNER):
        trusting(site, identity).verify(bundle)


def test_another_authority_does_not_answer_for_it_whatever_it_is_called(
    site: Authority, bundle: bytes, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    assert other.root.subject == site.root.subject
    with pytest.raises(SignatureError, match="no authority that the policy names"):
        trusting(other).verify(bundle)
    forged = other.issue().signer.sign(STATEMENT)
    with pytest.raises(SignatureError, match="no authority that the policy names"):
        trusting(site).verify(forged)
    either = CertificateHolder(identity=SIGNER, authorities=other.pem + site.pem)
    assert Verifier(Policy(signers=(either,))).verify(bundle).statement == STATEMENT


def test_the_rule_that_fits_is_found_among_several(site: Authority, bundle: bytes, tmp_path: Path) -> None:
    rules = (
        CertificateHolder(identity=SIGNER, authorities=Authority(tmp_path).pem),
        CertificateHolder(identity="other@site.test", authorities=site.pem),
        CertificateHolder(identity=SIGNER, authorities=site.pem),
    )
    assert Verifier(Policy(signers=rules)).verify(bundle).rule == 2


def test_an_expired_certificate_is_refused_for_no_timestamp_shows_when_it_signed(site: Authority) -> None:
    now = datetime.now(UTC)
    end = (now + timedelta(hours=1)).replace(microsecond=0)
    signed = site.issue("short", end=end).signer.sign(STATEMENT)
    assert trusting(site, now=now).verify(signed).statement == STATEMENT
    for later in (end + timedelta(seconds=1), now + 3650 * DAY, now - 2 * DAY):
        with pytest.raises(SignatureError, match="no timestamp shows"):
            trusting(site, now=later).verify(signed)


def test_an_expired_authority_answers_for_nobody(site: Authority) -> None:
    now = datetime.now(UTC)
    signed = site.issue("eternal", end=now + 9000 * DAY).signer.sign(STATEMENT)
    with pytest.raises(SignatureError, match="valid at validation time"):
        trusting(site, now=now + 3700 * DAY).verify(signed)


AUTHORITY: tuple[x509.ExtensionType, bool] = (x509.BasicConstraints(ca=True, path_length=None), True)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ((), "does not say that it may sign"),
        (((usage(digital_signature=False), True),), "keyUsage does not allow"),
        (((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),), "extendedKeyUsage does not allow"),
        (((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False), SIGNS[0]), "extendedKeyUsage does not"),
        ((AUTHORITY, SIGNS[1], (usage(digital_signature=True, issuing=True), True)), "an authority's certificate"),
        ((AUTHORITY, SIGNS[1]), "an authority's certificate"),
    ],
)
def test_a_certificate_for_something_else_signs_no_release(
    site: Authority, bundle: bytes, more: Any, reason: str
) -> None:
    other = site.issue("other-purpose", more=more)
    with pytest.raises(InputError, match=reason):
        _ = other.signer
    with pytest.raises(SignatureError, match=reason):
        trusting(site).verify(other.forged().sign(STATEMENT))


def test_one_that_says_it_is_an_authority_and_may_not_certify_signs_as_others_do(site: Authority) -> None:
    """OpenSSF's conformance suite has signers with such certificates."""
    signed = site.issue("no-authority", more=(*SIGNS, AUTHORITY)).signer.sign(STATEMENT)
    assert trusting(site).verify(signed).signer.name.startswith(SIGNER)


def test_a_certificate_that_certifies_itself_holds_by_whoever_names_that_very_one(
    site: Authority, tmp_path: Path
) -> None:
    private, more = kept_key(tmp_path / "own.key"), (*SIGNS, AUTHORITY)
    builder = x509.CertificateBuilder().subject_name(site.root.subject).issuer_name(site.root.subject)
    builder = builder.public_key(private.public).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(datetime.now(UTC) - DAY).not_valid_after(datetime.now(UTC) + DAY)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    pem = builder.sign(private.private, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    (tmp_path / "own.pem").write_text(pem)
    signed = CertificateSigner(tmp_path / "own.key", tmp_path / "own.pem").sign(STATEMENT)
    who = site.root.subject.rfc4514_string()
    rule = CertificateHolder(identity=who, authorities=pem)
    found = Verifier(Policy(signers=(rule,))).verify(signed).signer
    assert isinstance(found, SignedByCertificate) and found.authority_sha256 == found.certificate_sha256
    with pytest.raises(SignatureError, match="no authority that the policy names"):
        trusting(site, who).verify(signed)
    now = datetime.now(UTC)
    lists = revocation.pem(revoking(site.root, site.root_key, {}, begin=now - DAY, end=now + DAY))
    listed = CertificateHolder(identity=who, authorities=pem, revocation_lists=(lists,))
    with pytest.raises(Unavailable, match="no revocation list tells"):  # it signs no lists
        Verifier(Policy(signers=(listed,))).verify(signed)


def test_an_extension_that_must_be_understood_and_is_not_is_refused(site: Authority) -> None:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    signed = site.issue("unknown", more=(*SIGNS, (unknown, True))).signer.sign(STATEMENT)
    with pytest.raises(SignatureError, match="no authority that the policy names"):
        trusting(site).verify(signed)


def test_another_curve_is_refused(site: Authority) -> None:
    other = site.issue("p384", public=ec.generate_private_key(ec.SECP256K1()).public_key())
    with pytest.raises(InputError, match="P-256"):
        _ = other.signer
    with pytest.raises(SignatureError, match="P-256"):
        trusting(site).verify(other.forged().sign(STATEMENT))


@pytest.mark.parametrize("name", ["CN=signer", "OU=x", ""])
def test_a_name_that_could_be_taken_for_a_subject_is_refused(site: Authority, name: str) -> None:
    other = site.issue("two-faced", identity=x509.UniformResourceIdentifier(name))
    with pytest.raises(InputError):
        _ = other.signer
    with pytest.raises(SignatureError):
        trusting(site, name or "CN=two-faced").verify(other.forged().sign(STATEMENT))


def test_several_names_are_none(site: Authority) -> None:
    names = [x509.RFC822Name(SIGNER), x509.RFC822Name("boss@site.test")]
    more = (*SIGNS, (x509.SubjectAlternativeName(names), False))
    with pytest.raises(InputError, match="one mail address"):
        _ = site.issue("many", identity=None, more=more).signer


def test_a_key_and_its_certificate_must_belong_together(site: Authority, holder: Holder, tmp_path: Path) -> None:
    stranger = write_key(tmp_path / "stranger.pem")
    with pytest.raises(InputError, match="not the certificate of the key"):
        CertificateSigner(stranger, holder.certificate, holder.chain)
    with pytest.raises(InputError, match="PEM"):
        CertificateSigner(holder.key, holder.key)
    with pytest.raises(InputError, match="cannot be read"):
        CertificateSigner(holder.key, tmp_path / "missing")
    with pytest.raises(SignatureError, match="was not made with the key"):
        trusting(site).verify(holder.forged(stranger).sign(STATEMENT))
    now = datetime.now(UTC)
    with pytest.raises(CredentialsError, match="not today"):
        _ = site.issue("old", begin=now - 9 * DAY, end=now - DAY).signer


def test_the_intermediate_must_be_there_and_nothing_else(site: Authority, holder: Holder, tmp_path: Path) -> None:
    alone = CertificateSigner(holder.key, holder.certificate)
    with pytest.raises(SignatureError, match="no authority that the policy names"):
        trusting(site).verify(alone.sign(STATEMENT))
    whole = tmp_path / "whole.pem"
    whole.write_bytes(holder.certificate.read_bytes() + site.chain_path.read_bytes() + site.root_path.read_bytes())
    assert trusting(site).verify(CertificateSigner(holder.key, whole).sign(STATEMENT)).statement == STATEMENT
    other = Authority(tmp_path / "other")
    more = CertificateSigner(holder.key, whole, other.chain_path)
    with pytest.raises(SignatureError, match="not part of the path"):
        trusting(site).verify(more.sign(STATEMENT))


def test_ways_of_signing_do_not_stand_in_for_each_other(
    site: Authority, holder: Holder, bundle: bytes, bundles: dict[str, bytes], verifier: Verifier
) -> None:
    key = KeySigner(holder.key)
    by_key = Verifier(Policy(signers=(key.public_key,)))
    with pytest.raises(SignatureError, match="names no authority"):
        by_key.verify(bundle)
    with pytest.raises(SignatureError, match="names no authority"):
        verifier.verify(bundle)
    with pytest.raises(SignatureError, match="bare key"):
        trusting(site).verify(key.sign(STATEMENT))
    by_site = Verifier(trusting(site).policy, verifier.trust_root)
    with pytest.raises(SignerError, match="certified by"):
        by_site.verify(bundles["rekor1"])


def test_sigstore_s_own_authority_is_not_reached_by_calling_its_certificate_a_chain(
    bundles: dict[str, bytes], verifier: Verifier, tmp_path: Path
) -> None:
    """The short-lived certificate of a Sigstore bundle, without its log entry, by the authority that issued it."""
    document = json.loads(bundles["rekor1"])
    root = json.loads((verifier.trust_root or tmp_path).read_text())
    authorities = root["certificateAuthorities"][0]["certChain"]["certificates"]
    pem = "".join(
        x509.load_der_x509_certificate(base64.b64decode(row["rawBytes"])).public_bytes(Encoding.PEM).decode()
        for row in authorities
    )
    own = document["verificationMaterial"]["certificate"]
    document["verificationMaterial"] = {"x509CertificateChain": {"certificates": [own]}, "tlogEntries": []}
    rule = CertificateHolder(identity="maintainer@example.org", authorities=pem)
    later = Verifier(Policy(signers=(rule,)), now=datetime.now(UTC) + timedelta(minutes=11))
    with pytest.raises(SignatureError, match="no timestamp shows"):
        later.verify(json.dumps(document).encode())


def test_every_byte_of_the_bundle_is_bound(site: Authority, bundle: bytes) -> None:
    verifier = trusting(site)
    for place in range(0, len(bundle), 7):
        changed = bundle[:place] + bytes([bundle[place] ^ 1]) + bundle[place + 1 :]
        with pytest.raises(SignatureError):
            verifier.verify(changed)


@pytest.mark.filterwarnings("default")
def test_a_certificate_that_breaks_the_rules_is_refused_and_no_warning_printed(
    site: Authority, bundle: bytes, bundles: dict[str, bytes], verifier: Verifier, recwarn: pytest.WarningsRecorder
) -> None:
    """A serial number below zero: cryptography reads it still, and warns."""
    for checker, data in ((trusting(site), bundle), (verifier, bundles["rekor1"])):
        document = json.loads(data)
        material = document["verificationMaterial"]
        row = material.get("certificate") or material["x509CertificateChain"]["certificates"][0]
        raw = bytearray(base64.b64decode(row["rawBytes"]))
        serial = x509.load_der_x509_certificate(bytes(raw)).serial_number
        raw[raw.index(serial.to_bytes(serial.bit_length() // 8 + 1, "big"))] |= 0x80
        row["rawBytes"] = base64.b64encode(raw).decode()
        with pytest.raises(SignatureError, match="serial number"):
            checker.verify(json.dumps(document).encode())
    assert not recwarn.list


def test_whoever_looks_is_told_the_authority_that_it_brings_or_the_one_that_was_asked_for(
    site: Authority, holder: Holder, bundle: bytes, tmp_path: Path
) -> None:
    assert Trust().see(bundle).rule == CertificateHolder(identity=SIGNER, authorities=x509_path.pem([site.issuing]))
    asked = Trust(authorities=site.pem)
    assert asked.see(bundle).rule == CertificateHolder(identity=SIGNER, authorities=site.pem)
    with pytest.raises(SignatureError, match="does not hold"):
        Trust(authorities=Authority(tmp_path).pem).see(bundle)
    alone = CertificateSigner(holder.key, holder.certificate).sign(STATEMENT)
    seen = Trust().see(alone)
    assert seen.signer is None and seen.rule is None and seen.hint is not None
    assert SIGNER in seen.hint and "site-issuing" in seen.hint
    with pytest.raises(InputError):
        Trust(authorities="nothing")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data(), noise=st.binary(max_size=60), value=VALUES)
def test_nothing_but_our_errors_comes_of_a_hostile_chain(
    site: Authority, bundle: bytes, data: st.DataObject, noise: bytes, value: Any
) -> None:
    document = json.loads(bundle)
    rows = document["verificationMaterial"]["x509CertificateChain"]["certificates"]
    row = data.draw(st.integers(0, len(rows) - 1))
    if data.draw(st.booleans()):
        rows[row] = value
    else:
        inside = bytearray(base64.b64decode(rows[row]["rawBytes"]))
        place = data.draw(st.integers(0, len(inside)))
        inside[place : place + len(noise)] = noise
        rows[row]["rawBytes"] = base64.b64encode(inside).decode()
    for look in (trusting(site).verify, Trust().see):
        try:
            look(json.dumps(document).encode())
        except GlasshouseError as problem:
            assert isinstance(problem, SignatureError) and problem.message.isprintable()


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_nothing_but_our_errors_comes_of_a_hostile_authority(text: str) -> None:
    with pytest.raises(InputError):
        CertificateHolder(identity="a", authorities=f"{text}\n-----BEGIN CERTIFICATE-----\n{text}")


def test_a_chain_whose_own_authority_has_no_readable_issuer_is_a_signature_that_does_not_hold(
    bundle: bytes, site: Authority
) -> None:
    """Whoever asks for no authority is told of the bundle's own: its names are read before it is spoken of."""
    document = json.loads(bundle)
    rows = document["verificationMaterial"]["x509CertificateChain"]["certificates"]
    der = base64.b64decode(rows[-1]["rawBytes"])
    issuer = x509.load_der_x509_certificate(der).issuer.public_bytes()
    broken = der.replace(issuer, issuer[:-1] + b"\xff", 1)  # not UTF-8
    rows[-1]["rawBytes"] = base64.b64encode(broken).decode()
    for look in (trusting(site).verify, Trust().see):
        with pytest.raises(SignatureError, match="does not hold"):
            look(json.dumps(document).encode())


def test_an_authority_is_the_same_however_its_pem_is_written(site: Authority) -> None:
    text = f"made by hand\n{site.pem}".replace("\n", "\r\n")
    one, two = (CertificateHolder(identity="a", authorities=pem) for pem in (text, site.pem))
    assert one == two and len(x509_path.load(text)) == 1


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory to sign."""
    (tmp_path / "model" / "sub").mkdir(parents=True)
    for name in ("config.json", "sub/weights.safetensors"):
        (tmp_path / "model" / name).write_text(name)
    return tmp_path / "model"


def test_the_stock_tool_accepts_ours(site: Authority, holder: Holder, model: Path) -> None:
    signature = model / "model.sig"
    signature.write_bytes(oms.sign(model, holder.signer))
    command = [STOCK, "verify", "certificate", str(model), "--signature", str(signature)]
    done = subprocess.run([*command, "--certificate_chain", str(site.root_path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr
    (model / "config.json").write_text("changed")
    assert subprocess.run([*command, "--certificate_chain", str(site.root_path)], capture_output=True).returncode == 1


def test_we_accept_the_stock_tool_s(site: Authority, holder: Holder, model: Path, tmp_path: Path) -> None:
    signature = tmp_path / "model.sig"
    command = [STOCK, "sign", "certificate", str(model), "--private_key", str(holder.key), "--signature"]
    more = ["--signing_certificate", str(holder.certificate), "--certificate_chain", str(holder.chain)]
    subprocess.run([*command, str(signature), *more], check=True, capture_output=True)
    _, covered = oms.verify(signature.read_bytes(), trusting(site))
    assert covered.files == {name: sha256_bytes(name.encode()) for name in ("config.json", "sub/weights.safetensors")}


def test_a_certificate_whose_name_is_not_text_is_refused_when_it_is_read(site: Authority) -> None:
    """The library reads names when they are asked for: a policy with such an authority ended in a traceback."""
    der = x509.load_pem_x509_certificate(site.pem.encode()).public_bytes(Encoding.DER)
    broken = der.replace(b"root", b"r\xff\xfet")
    assert broken != der
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(broken).decode()}-----END CERTIFICATE-----\n"
    with pytest.raises(InputError, match="certificates in PEM"):
        x509_path.load(pem)
