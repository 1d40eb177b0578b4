"""Certificates that their authority took back: what a list ends, what it leaves open, and what is no list."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from registry.attest import revocation
from registry.attest.policy import CertificateHolder, Policy
from registry.attest.verifier import Verifier
from registry.errors import InputError, SignatureError, SignerError, Unavailable
from tests.authority import DAY, SIGNER, Authority, Holder, StandingClock, revoking, root_pem
from tests.registry.attest.conftest import STATEMENT
from tests.sigstore_instance.keys import kept_key
from tests.sigstore_instance.tsa import TimestampAuthority

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
END = NOW + 30 * DAY
"""Of the signer's certificate."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The site's own authority."""
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def holder(site: Authority) -> Holder:
    """A signer whose certificate is good from yesterday to END."""
    return site.issue(end=END)


@pytest.fixture(scope="module")
def bundle(holder: Holder, clock: TimestampAuthority) -> bytes:
    """STATEMENT, signed and stamped NOW."""
    return holder.stamped(StandingClock(clock, NOW)).sign(STATEMENT)


def of_site(
    site: Authority,
    revoked: Mapping[x509.Certificate, datetime] | None = None,
    *,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    **more: Any,
) -> str:
    """A list of the authority that issues signers' certificates, in PEM."""
    return revocation.pem(revoking(site.issuing, site.issuing_key, revoked or {}, begin=begin, end=end, **more))


def of_root(
    site: Authority,
    revoked: Mapping[x509.Certificate, datetime] | None = None,
    *,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + 9000 * DAY,
) -> str:
    """A list of the root, in PEM."""
    return revocation.pem(revoking(site.root, site.root_key, revoked or {}, begin=begin, end=end))


def trusting(
    site: Authority, *lists: str, now: datetime = NOW, clock: TimestampAuthority | None = None, identity: str = SIGNER
) -> Verifier:
    rule = CertificateHolder(
        identity=identity,
        authorities=site.pem,
        revocation_lists=lists,
        timestamp_authorities=root_pem(clock) if clock else None,
    )
    return Verifier(Policy(signers=(rule,)), now=now)


def test_a_certificate_that_nobody_took_back_signs(site: Authority, bundle: bytes) -> None:
    other = site.issue("other").own
    lists = (of_root(site), of_site(site, {other: NOW - DAY}))
    assert trusting(site, *lists).verify(bundle).statement == STATEMENT


def test_one_that_was_taken_back_does_not_however_old_the_list(site: Authority, holder: Holder, bundle: bytes) -> None:
    for end in (NOW + DAY, NOW - HOUR):
        for since in (NOW - HOUR, NOW + HOUR):  # also where it is to be so only later: somebody knows something
            lists = (of_site(site, {holder.own: since}, begin=NOW - 2 * DAY, end=end), of_root(site))
            with pytest.raises(SignatureError, match=r"was revoked on .*no timestamp shows that it signed before"):
                trusting(site, *lists).verify(bundle)


def test_what_it_signed_before_stands_if_a_trusted_timestamp_says_so(
    site: Authority, holder: Holder, bundle: bytes, clock: TimestampAuthority
) -> None:
    lists = (of_root(site), of_site(site, {holder.own: NOW + timedelta(seconds=1)}))
    later = trusting(site, *lists, now=NOW + HOUR, clock=clock)
    assert later.verify(bundle).signer.signed_at == NOW
    for signed, reason in (
        (holder.signer, "no timestamp shows"),
        (holder.stamped(StandingClock(clock, NOW + timedelta(seconds=1))), "it was stamped"),
        (holder.stamped(StandingClock(clock, NOW, accuracy=1)), "it was stamped"),
    ):
        with pytest.raises(SignatureError, match=f"was revoked on .*{reason}"):
            later.verify(signed.sign(STATEMENT))
    with pytest.raises(SignatureError, match=r"was revoked on .*no timestamp shows"):
        trusting(site, *lists, now=NOW + HOUR).verify(bundle)  # whose timestamps count is not said


def test_a_stolen_key_signed_nothing_since_it_was_stolen(
    site: Authority, holder: Holder, bundle: bytes, clock: TimestampAuthority
) -> None:
    """The day on which a theft is noticed is not the day of the theft."""
    for known, good in ((NOW - HOUR, False), (NOW + timedelta(minutes=1), True)):
        lists = (of_root(site), of_site(site, {holder.own: NOW + HOUR}, known=known))
        verifier = trusting(site, *lists, now=NOW + 2 * HOUR, clock=clock)
        if good:
            assert verifier.verify(bundle).statement == STATEMENT
        else:
            with pytest.raises(SignatureError, match=r"revoked on .*keyCompromise"):
                verifier.verify(bundle)


def test_an_intermediate_that_was_taken_back_certifies_nobody(site: Authority, bundle: bytes) -> None:
    for lists in ((of_root(site, {site.issuing: NOW - HOUR}), of_site(site)), (of_root(site, {site.issuing: NOW}),)):
        with pytest.raises(SignatureError, match=r"certificate of CN=site-issuing.* was revoked on .*CN=site-root"):
            trusting(site, *lists).verify(bundle)


def test_lists_that_do_not_tell_are_no_pass(site: Authority, bundle: bytes, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    assert other.issuing.subject == site.issuing.subject
    fine = of_root(site)
    for lists, reason in (
        ((fine,), r"a list by CN=site-issuing.* is needed, and those given are by others"),
        ((of_site(site),), r"CN=site-issuing.* still holds: a list by CN=site-root.* is needed"),
        ((fine, of_site(site, begin=NOW - 2 * DAY, end=NOW)), "is needed, those given hold"),
        ((fine, of_site(site, begin=NOW + HOUR, end=NOW + DAY)), "is needed, those given hold"),
        ((fine, of_site(other)), "not signed with its key"),
    ):
        with pytest.raises(Unavailable, match=f"no revocation list tells.*{reason}") as caught:
            trusting(site, *lists).verify(bundle)
        assert "--crl" in caught.value.mend
    assert trusting(site, fine, of_site(other), of_site(site)).verify(bundle).statement == STATEMENT


def test_a_rule_whose_lists_do_not_tell_keeps_no_other_from_telling(site: Authority, bundle: bytes) -> None:
    silent, fine = (trusting(site, *lists).policy.signers[0] for lists in ((of_root(site),), ()))
    assert Verifier(Policy(signers=(silent, fine)), now=NOW).verify(bundle).statement == STATEMENT
    other = trusting(site, identity="other@site.test").policy.signers[0]
    with pytest.raises(Unavailable):
        Verifier(Policy(signers=(silent, other)), now=NOW).verify(bundle)


def test_what_one_rule_asks_another_does_not_answer(
    site: Authority, holder: Holder, bundle: bytes, clock: TimestampAuthority
) -> None:
    """By a rule of the same authority that asks for less, but for somebody else, or for another attestation."""

    def verifier(*rules: CertificateHolder, now: datetime = NOW) -> Verifier:
        return Verifier(Policy(signers=rules), now=now)

    def rule(**fields: Any) -> CertificateHolder:
        return CertificateHolder(**{"identity": SIGNER, "authorities": site.pem, **fields})

    taken = rule(revocation_lists=(of_root(site), of_site(site, {holder.own: NOW})))
    boss, data = rule(identity="boss@site.test"), rule(signs=("data",))
    for rules in ((taken, boss), (boss, taken), (taken, data), (data, taken)):
        with pytest.raises(SignatureError, match="was revoked"):
            verifier(*rules).verify(bundle, name="release")
    assert verifier(taken, data).verify(bundle, name="data").statement == STATEMENT  # which asks for less
    dated = root_pem(clock)
    for other in (
        rule(identity="boss@site.test", timestamp_authorities=dated),
        rule(signs=("data",), timestamp_authorities=dated),
    ):
        for rules in ((rule(), other), (other, rule())):
            with pytest.raises(SignatureError, match="no timestamp shows"):
                verifier(*rules, now=END + DAY).verify(bundle, name="release")
    with pytest.raises(SignerError):
        verifier(data).verify(bundle, name="release")
    with pytest.raises(SignerError):
        verifier(boss).verify(bundle, name="release")


def test_another_s_list_takes_nothing_back(site: Authority, holder: Holder, bundle: bytes, tmp_path: Path) -> None:
    """Whoever can put a list into a policy's folder cannot thereby take away a signer, nor give one back."""
    other = Authority(tmp_path)
    forged = of_site(other, {holder.own: NOW - HOUR})
    assert trusting(site, of_root(site), of_site(site), forged).verify(bundle).statement == STATEMENT
    silent = of_site(other)
    with pytest.raises(SignatureError, match="was revoked"):
        trusting(site, of_root(site), of_site(site, {holder.own: NOW}), silent).verify(bundle)


def test_of_a_certificate_that_has_ended_the_list_of_its_last_day_counts(
    site: Authority, bundle: bytes, clock: TimestampAuthority
) -> None:
    """RFC 5280, 3.3: later lists may leave it out, so that they name nobody proves nothing."""
    later = END + 300 * DAY
    last = of_site(site, begin=END - DAY, end=END + DAY)
    newest = of_site(site, begin=later - DAY, end=later + DAY)
    for lists in ((last,), (last, newest)):
        assert trusting(site, of_root(site), *lists, now=later, clock=clock).verify(bundle).signer.signed_at == NOW
    with pytest.raises(Unavailable, match=f"a list that holds at {END:%Y-%m-%d %H:%M} UTC is needed"):
        trusting(site, of_root(site), newest, now=later, clock=clock).verify(bundle)


def test_a_timestamp_authority_that_was_taken_back_says_nothing(
    site: Authority, holder: Holder, clock: TimestampAuthority, tmp_path: Path
) -> None:
    other = TimestampAuthority(tmp_path)
    signed = holder.stamped(StandingClock(other, NOW)).sign(STATEMENT)
    root_key = Authority(tmp_path / "x").root_key  # another's: not heard
    for key, heard in ((root_key, False), (kept_key(tmp_path / "tsa-root.key"), True)):
        taken = revoking(other.chain[-1], key, {other.chain[0]: NOW + HOUR}, begin=NOW, end=NOW + DAY)
        lists = (of_root(site), of_site(site, begin=END - DAY, end=END + DAY), revocation.pem(taken))
        verifier = trusting(site, *lists, now=END + DAY, clock=other)
        if heard:
            with pytest.raises(SignatureError, match=r"no timestamp shows.*timestamp by CN=tsa.*was revoked"):
                verifier.verify(signed)
        else:
            assert verifier.verify(signed).signer.signed_at == NOW


def test_somebody_else_is_told_so_before_any_list_is_asked(site: Authority, bundle: bytes) -> None:
    with pytest.raises(SignerError, match=SIGNER):
        trusting(site, of_root(site), identity="other@site.test").verify(bundle)


def test_an_issuer_that_may_not_sign_lists_is_not_heard(site: Authority, holder: Holder) -> None:
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    begin, end = NOW - DAY, NOW + DAY
    builder = x509.CertificateBuilder().subject_name(site.issuing.subject).issuer_name(site.root.subject)
    builder = builder.public_key(site.issuing_key.public).serial_number(7).not_valid_before(begin).not_valid_after(end)
    mute = builder.add_extension(usage, critical=True).sign(site.root_key.private, hashes.SHA256())
    found = [revocation.load(of_site(site).encode())]
    revocation.check([holder.own, site.issuing], found, None, NOW)
    with pytest.raises(Unavailable, match="may not sign lists"):
        revocation.check([holder.own, mute], found, None, NOW)


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(
            full_name=None, relative_name=None, only_contains_user_certs=True, only_contains_ca_certs=False,
            only_some_reasons=None, indirect_crl=False, only_contains_attribute_certs=False,
        ),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
    ],
    ids=lambda extension: type(extension).__name__,
)  # fmt: skip
def test_a_list_of_a_part_or_with_what_is_not_understood_is_none(site: Authority, extension: Any) -> None:
    partial = of_site(site, more=((extension, True),))
    with pytest.raises(InputError, match="not a complete list"):
        trusting(site, partial)


def test_a_list_signed_by_way_of_sha_1_is_none(site: Authority, tmp_path: Path) -> None:
    """openssl makes it: `cryptography` declines to."""
    (tmp_path / "index").touch()
    (tmp_path / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_crl_days=9\n")
    key, issuer = site.folder / "issuing.key", tmp_path / "issuing.pem"
    issuer.write_bytes(site.issuing.public_bytes(Encoding.PEM))
    for digest, good in (("sha256", True), ("sha1", False)):
        command = ("openssl", "ca", "-config", "ca.cnf", "-gencrl", "-md", digest, "-keyfile", str(key), "-cert")
        done = subprocess.run((*command, str(issuer)), cwd=tmp_path, capture_output=True, check=True)
        if good:
            assert revocation.load(done.stdout).issuer == site.issuing.subject
        else:
            with pytest.raises(InputError, match="sha1"):
                revocation.load(done.stdout)


def test_lists_are_bounded_in_number_and_size(site: Authority) -> None:
    with pytest.raises(InputError, match="more than the"):
        revocation.load(bytes(revocation.MAX_BYTES + 1))
    rule = {"kind": "certificate", "identity": SIGNER, "authorities": site.pem}
    with pytest.raises(InputError, match="revocationLists"):
        Policy.of({"signers": [rule | {"revocationLists": [of_site(site)] * (revocation.MAX_LISTS + 1)}]})
    with pytest.raises(InputError, match="several"):
        revocation.load((of_site(site) * 2).encode())


def test_a_policy_names_lists_by_their_files(site: Authority, holder: Holder, bundle: bytes, tmp_path: Path) -> None:
    """PEM or DER, beside the policy; for all of its signers, those of a status or of rebuilds too."""
    rule = f"kind: certificate, identity: {SIGNER}, revocationLists: [site.crl, root.der]"
    ca = "".join(f"\n      {line}" for line in site.pem.splitlines())
    policy = tmp_path / "policy.yaml"
    text = f"signers:\n  - {rule.replace(', ', chr(10) + '    ', 2)}\n    authorities: |{ca}\n"
    inner = text.replace("\n", "\n  ").rstrip()
    policy.write_text(f"{text}status:\n  maxAgeDays: 3\n  {inner}\nrebuilders:\n  atLeast: 1\n  {inner}\n")
    with pytest.raises(InputError, match=r"site\.crl"):
        Policy.load(policy)
    (tmp_path / "site.crl").write_text(of_site(site))
    (tmp_path / "root.der").write_bytes(revocation.load(of_root(site).encode()).public_bytes(Encoding.DER))
    found = Policy.load(policy)
    assert found.status and found.rebuilders and found.status.signers == found.rebuilders.signers == found.signers
    assert [one.issuer for one in found.holders[0].lists] == [site.issuing.subject, site.root.subject]
    assert Policy.of(found.as_json()) == found
    assert Verifier(found, now=NOW).verify(bundle).statement == STATEMENT
    (tmp_path / "site.crl").write_text(of_site(site, {holder.own: NOW}))
    with pytest.raises(SignatureError, match="was revoked"):
        Verifier(Policy.load(policy), now=NOW).verify(bundle)
    for content in (b"", b"\x30\x00", site.pem.encode()):
        (tmp_path / "site.crl").write_bytes(content)
        with pytest.raises(InputError, match=r"site\.crl"):
            Policy.load(policy)


@pytest.fixture(scope="module")
def listed(site: Authority, holder: Holder) -> bytes:
    """A list that names the signer's certificate, in DER."""
    return revocation.load(of_site(site, {holder.own: NOW}).encode()).public_bytes(Encoding.DER)


@given(data=st.data(), noise=st.binary(max_size=40))
def test_nothing_but_our_errors_comes_of_a_hostile_list(
    site: Authority, listed: bytes, bundle: bytes, data: st.DataObject, noise: bytes
) -> None:
    found = listed
    place = data.draw(st.integers(0, len(found)))
    spoilt = found[:place] + noise + found[place + data.draw(st.integers(0, 40)) :]
    try:
        text = revocation.pem(revocation.load(spoilt))
    except InputError as problem:
        assert problem.message.isprintable()
        return
    with pytest.raises((SignatureError, Unavailable)) as caught:
        trusting(site, of_root(site), text).verify(bundle)
    assert caught.value.message.isprintable()


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: revocation.BEGIN + t.encode()))
def test_whatever_is_no_list_is_told_so(data: bytes) -> None:
    with pytest.raises(InputError):
        revocation.load(data)


def test_a_list_that_another_kind_of_key_signed_is_not_of_this_issuer(site: Authority, bundle: bytes) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateRevocationListBuilder().issuer_name(site.issuing.subject)
    found = builder.last_update(NOW - DAY).next_update(NOW + DAY).sign(key, hashes.SHA384())
    with pytest.raises(Unavailable, match="not signed with its key"):
        trusting(site, of_root(site), revocation.pem(found)).verify(bundle)
