"""Timestamps beside signatures that no log knows: whose word counts, for what, and what is none."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest import oms, timestamp
from registry.attest.bundle import MAX_STAMP_BYTES, MAX_STAMPS, Bundle, Envelope
from registry.attest.localkey import KeySigner
from registry.attest.policy import CertificateHolder, Policy
from registry.attest.signature import SignedByCertificate, SignedByKey
from registry.attest.timestamp import TimestampService
from registry.attest.verifier import Verifier
from registry.errors import InputError, SignatureError, Unavailable
from tests.authority import DAY, SIGNER, Authority, Holder, StandingClock, root_pem
from tests.registry.attest.conftest import STATEMENT
from tests.sigstore_instance import SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

NOW = datetime.now(UTC).replace(microsecond=0)
BEGIN = NOW - timedelta(hours=12)
END = NOW + timedelta(hours=1)
LATER = NOW + timedelta(hours=2)
"""When the signer's certificate has ended."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The site's own authority."""
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def holder(site: Authority) -> Holder:
    """A signer whose certificate is good from BEGIN to END."""
    return site.issue(begin=BEGIN, end=END)


@pytest.fixture(scope="module")
def bundle(holder: Holder, clock: TimestampAuthority) -> bytes:
    """STATEMENT, signed and stamped NOW."""
    return holder.stamped(StandingClock(clock, NOW)).sign(STATEMENT)


def trusting(site: Authority, now: datetime, *roots: str) -> Verifier:
    rule = CertificateHolder(identity=SIGNER, authorities=site.pem, timestamp_authorities="".join(roots) or None)
    return Verifier(Policy(signers=(rule,)), now=now)


def stamps(bundle: bytes) -> Any:
    return json.loads(bundle)["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]


def with_stamps(bundle: bytes, rows: Any) -> bytes:
    document = json.loads(bundle)
    document["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": rows}
    return canonical.dumps(document)


def test_a_certificate_that_has_ended_signed_before_if_a_trusted_timestamp_says_so(
    site: Authority, clock: TimestampAuthority, bundle: bytes
) -> None:
    for now in (NOW, LATER, NOW + 4000 * DAY):  # by then every authority has ended, too
        signer = trusting(site, now, root_pem(clock)).verify(bundle).signer
        assert isinstance(signer, SignedByCertificate) and signer.signed_at == NOW
        assert "stamped" in str(signer) and "CN=tsa" in str(signer) and "no transparency log" in str(signer)
        assert signer.as_json()["signedAt"] == NOW.isoformat()


def test_who_trusts_no_timestamp_authority_judges_by_today(site: Authority, bundle: bytes) -> None:
    signer = trusting(site, NOW).verify(bundle).signer
    assert isinstance(signer, SignedByCertificate) and signer.signed_at is None and "stamped" not in str(signer)
    with pytest.raises(SignatureError, match=r"no timestamp shows that it signed.*no timestamp authority is trusted"):
        trusting(site, LATER).verify(bundle)


def test_a_timestamp_taken_away_or_never_asked_for_shows_nothing(
    site: Authority, clock: TimestampAuthority, holder: Holder, bundle: bytes
) -> None:
    document = json.loads(bundle)
    del document["verificationMaterial"]["timestampVerificationData"]
    for data in (canonical.dumps(document), holder.signer.sign(STATEMENT)):
        assert trusting(site, NOW, root_pem(clock)).verify(data).statement == STATEMENT
        with pytest.raises(SignatureError, match=r"no timestamp shows.*the signature has none"):
            trusting(site, LATER, root_pem(clock)).verify(data)


def test_another_authority_s_timestamp_counts_for_nothing_whatever_it_is_called(
    site: Authority, clock: TimestampAuthority, holder: Holder, bundle: bytes, tmp_path: Path
) -> None:
    other = TimestampAuthority(tmp_path)
    assert other.chain[0].subject == clock.chain[0].subject
    with pytest.raises(SignatureError, match=r"no timestamp shows.*by an authority that is not trusted"):
        trusting(site, LATER, root_pem(other)).verify(bundle)
    assert trusting(site, NOW, root_pem(other)).verify(bundle).signer.signed_at is None
    foreign = stamps(holder.stamped(StandingClock(other, NOW)).sign(STATEMENT))
    with pytest.raises(SignatureError, match="of another signature"):
        trusting(site, NOW, root_pem(clock)).verify(with_stamps(bundle, foreign))
    assert trusting(site, LATER, root_pem(other), root_pem(clock)).verify(bundle).signer.signed_at == NOW


def test_of_several_timestamps_one_that_counts_is_enough(
    site: Authority, clock: TimestampAuthority, bundle: bytes, tmp_path: Path
) -> None:
    signature = Bundle.parse(bundle).envelope.signature
    other = StandingClock(TimestampAuthority(tmp_path), NOW).stamp(signature)
    both = with_stamps(bundle, [{"signedTimestamp": base64.b64encode(other).decode()}, *stamps(bundle)])
    assert trusting(site, LATER, root_pem(clock)).verify(both).signer.signed_at == NOW


def test_the_timestamp_of_another_signature_is_refused_whoever_is_trusted(
    site: Authority, clock: TimestampAuthority, holder: Holder, bundle: bytes
) -> None:
    other = stamps(holder.stamped(StandingClock(clock, NOW)).sign(STATEMENT))  # of the same statement, signed anew
    for verifier in (trusting(site, NOW), trusting(site, NOW, root_pem(clock)), trusting(site, LATER, root_pem(clock))):
        with pytest.raises(SignatureError, match="of another signature"):
            verifier.verify(with_stamps(bundle, other))


@pytest.mark.parametrize(
    ("at", "accuracy", "now", "reason"),
    [
        (END + timedelta(seconds=1), 0, LATER, "outside of that time, too"),
        (BEGIN + timedelta(seconds=1), 60, LATER, "outside of that time, too"),
        (END - timedelta(seconds=30), 60, LATER, "outside of that time, too"),
        (LATER + timedelta(seconds=1), 0, LATER, "yet to come"),
        (NOW - 2 * DAY, 0, LATER, "by an authority that is not trusted"),  # it was none yet
    ],
)
def test_a_timestamp_from_when_the_certificate_was_not_valid_shows_nothing(
    site: Authority, clock: TimestampAuthority, holder: Holder, at: datetime, accuracy: int, now: datetime, reason: str
) -> None:
    signed = holder.stamped(StandingClock(clock, at, accuracy)).sign(STATEMENT)
    with pytest.raises(SignatureError, match=f"no timestamp shows.*{reason}"):
        trusting(site, now, root_pem(clock)).verify(signed)
    assert trusting(site, NOW, root_pem(clock)).verify(signed).statement == STATEMENT  # as without one


def test_a_certificate_for_code_stamps_no_time(
    site: Authority, clock: TimestampAuthority, holder: Holder, tmp_path: Path
) -> None:
    """Whoever has any certificate of an authority could date at will, were its purpose not asked for."""
    forger = TimestampAuthority(tmp_path)
    impostor = site.issue("impostor", key=forger._key)
    forger.chain = [impostor.own, site.issuing, site.root]
    signed = holder.stamped(StandingClock(forger, NOW)).sign(STATEMENT)
    with pytest.raises(SignatureError, match="not one for timestamps alone"):
        trusting(site, LATER, site.pem).verify(signed)


def test_a_key_s_signature_has_the_time_that_a_trusted_timestamp_says(
    private_key: Path, clock: TimestampAuthority, tmp_path: Path
) -> None:
    signer = KeySigner(private_key, StandingClock(clock, NOW))
    signed, other = signer.sign(STATEMENT), TimestampAuthority(tmp_path / "other")
    for roots, when in ((root_pem(clock), NOW), (root_pem(other), None), (None, None)):
        rule = signer.public_key.model_copy(update={"timestamp_authorities": roots})
        found = Verifier(Policy(signers=(rule,)), now=LATER).verify(signed).signer
        assert isinstance(found, SignedByKey) and found.signed_at == when
        assert ("signedAt" in found.as_json()) is ("stamped" in str(found)) is (when is not None)
    rows = stamps(signer.sign(STATEMENT))
    with pytest.raises(SignatureError, match="of another signature"):
        Verifier(Policy(signers=(signer.public_key,))).verify(with_stamps(signed, rows))


@pytest.mark.parametrize(
    "rows", [[], {}, None, [{}], [{"signedTimestamp": 1}], [{"signedTimestamp": "AA=="}], ["AA=="]]
)
def test_timestamps_of_another_shape_are_refused(site: Authority, bundle: bytes, rows: Any) -> None:
    with pytest.raises(SignatureError, match=r"rfc3161Timestamps|signedTimestamp|cannot be read"):
        trusting(site, NOW).verify(with_stamps(bundle, rows))


def test_timestamps_are_bounded_in_number_and_size(site: Authority, bundle: bytes) -> None:
    with pytest.raises(SignatureError, match=f"1 to {MAX_STAMPS} "):
        trusting(site, NOW).verify(with_stamps(bundle, stamps(bundle) * (MAX_STAMPS + 1)))
    large = [{"signedTimestamp": base64.b64encode(bytes(MAX_STAMP_BYTES + 1)).decode()}]
    with pytest.raises(SignatureError, match=f"at most {MAX_STAMP_BYTES} bytes"):
        trusting(site, NOW).verify(with_stamps(bundle, large))


def test_no_byte_of_a_timestamp_that_is_altered_makes_it_say_something_else(
    site: Authority, clock: TimestampAuthority, bundle: bytes
) -> None:
    """Of its thousand bytes ten are free: version numbers and the name of an algorithm, outside of what it signs."""
    (row,) = stamps(bundle)
    good, verifier = base64.b64decode(row["signedTimestamp"]), trusting(site, LATER, root_pem(clock))
    free = 0
    for place in range(len(good)):
        spoilt = bytearray(good)
        spoilt[place] ^= 1
        try:
            found = verifier.verify(with_stamps(bundle, [{"signedTimestamp": base64.b64encode(spoilt).decode()}]))
        except SignatureError:
            continue
        assert found.signer.signed_at == NOW
        free += 1
    assert free <= 10


@given(data=st.data(), noise=st.binary(max_size=40))
def test_nothing_but_signature_error_comes_of_a_hostile_timestamp(
    site: Authority, clock: TimestampAuthority, bundle: bytes, data: st.DataObject, noise: bytes
) -> None:
    (row,) = stamps(bundle)
    inside = bytearray(base64.b64decode(row["signedTimestamp"]))
    place = data.draw(st.integers(0, len(inside)))
    inside[place : place + data.draw(st.integers(0, 40))] = noise
    spoilt = with_stamps(bundle, [{"signedTimestamp": base64.b64encode(inside).decode()}])
    for verifier in (trusting(site, LATER, root_pem(clock)), trusting(site, NOW)):
        try:
            verifier.verify(spoilt)
        except SignatureError as problem:
            assert problem.message.isprintable()


@given(st.binary(max_size=300))
def test_whatever_is_no_timestamp_is_told_so(data: bytes) -> None:
    with pytest.raises(SignatureError, match="cannot be read"):
        timestamp.read(data, b"signature")


def test_openssl_takes_it_for_a_timestamp_of_the_signature(
    clock: TimestampAuthority, bundle: bytes, tmp_path: Path
) -> None:
    (row,) = stamps(bundle)
    (tmp_path / "stamp").write_bytes(base64.b64decode(row["signedTimestamp"]))
    (tmp_path / "root.pem").write_text(root_pem(clock))
    signature = Envelope.from_json(json.loads(bundle)["dsseEnvelope"]).signature
    for content, code in ((signature, 0), (signature + b"x", 1)):
        (tmp_path / "data").write_bytes(content)
        command = ("openssl", "ts", "-verify", "-in", "stamp", "-data", "data", "-CAfile", "root.pem")
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == code


def test_the_stock_tool_accepts_a_signature_with_a_timestamp(
    site: Authority, holder: Holder, clock: TimestampAuthority, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.sig").write_bytes(oms.sign(model, holder.stamped(StandingClock(clock))))
    stock = (str(Path(sys.executable).with_name("model_signing")), "verify", "certificate", str(model), "--signature")
    done = subprocess.run(
        [*stock, str(model / "model.sig"), "--certificate_chain", str(site.root_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr


def test_an_authority_is_asked_over_http(site: Authority, holder: Holder, instance: SigstoreInstance) -> None:
    asked = TimestampService(f"{instance.url}/api/v1/timestamp")
    signed = holder.stamped(asked).sign(STATEMENT)
    signer = trusting(site, LATER, root_pem(instance.services.tsa)).verify(signed).signer
    assert signer.signed_at is not None and abs(signer.signed_at - datetime.now(UTC)) < timedelta(minutes=10)


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """An address at which every question gets that answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "headers", "reason"),
    [
        (500, b"", {}, "HTTP status 500"),
        (302, b"", {"Location": "/elsewhere"}, "HTTP status 302"),
        (200, b"<html>", {}, "cannot be read"),
        (200, bytes(MAX_STAMP_BYTES + 1), {}, f"more than {MAX_STAMP_BYTES} bytes"),
        (200, b"", {"Content-Encoding": "gzip"}, "cannot be read"),
        (200, b"\x1b[2J", {"Content-Encoding": "gzip"}, "did not answer"),
    ],
)
def test_an_authority_that_does_not_serve_is_unavailable(
    status: int, body: bytes, headers: dict[str, str], reason: str
) -> None:
    with answering(status, body, **headers) as url, pytest.raises(Unavailable, match=reason) as caught:
        TimestampService(url).stamp(b"signature")
    assert url in caught.value.message and caught.value.message.isprintable()
    with pytest.raises(Unavailable, match="did not answer"):
        TimestampService(url).stamp(b"signature")  # it is gone


class Replaying(StandingClock):
    """An authority that answers `change` of each question."""

    def __init__(self, authority: TimestampAuthority, change: Callable[[bytes], bytes]) -> None:
        super().__init__(authority)
        self._change = change

    def _ask(self, query: bytes) -> bytes:
        return super()._ask(self._change(query))


def test_an_answer_to_another_question_is_not_taken(clock: TimestampAuthority) -> None:
    seen: list[bytes] = []

    def earlier(query: bytes) -> bytes:
        seen.append(query)
        return seen[0]

    service = Replaying(clock, earlier)
    service.stamp(b"signature")
    with pytest.raises(Unavailable, match="it answers another request"):
        service.stamp(b"signature")
    with pytest.raises(Unavailable, match="of another signature"):
        service.stamp(b"another")


def test_an_answer_without_the_authority_s_certificate_is_not_taken(clock: TimestampAuthority) -> None:
    def unasked(query: bytes) -> bytes:
        return query[:-1] + b"\x00"  # its last field is certReq

    with pytest.raises(Unavailable, match="cannot be used"):
        Replaying(clock, unasked).stamp(b"signature")


@pytest.mark.parametrize("url", ["", "timestamp.test", "ftp://timestamp.test", "http://", "http://[", "file:///etc/x"])
def test_only_the_address_of_a_web_service_is_one(url: str) -> None:
    with pytest.raises(InputError, match="not the address"):
        TimestampService(url)


def test_a_password_in_the_address_is_refused_and_not_printed() -> None:
    with pytest.raises(InputError) as caught:
        TimestampService("https://user:secret@timestamp.test/tsr")
    assert "secret" not in caught.value.message + caught.value.mend


def test_the_root_of_a_policy_is_read_in_any_form_of_pem(clock: TimestampAuthority, site: Authority) -> None:
    text = f"by hand\n{root_pem(clock)}".replace("\n", "\r\n")
    rules = [
        CertificateHolder(identity=SIGNER, authorities=site.pem, timestamp_authorities=pem)
        for pem in (text, root_pem(clock))
    ]
    assert rules[0] == rules[1] and len(rules[0].stampers) == 1
    assert rules[0].stampers[0].public_bytes(Encoding.PEM).decode() == root_pem(clock)
    assert Policy.of(Policy(signers=(rules[0],)).as_json()).signers == (rules[0],)
    with pytest.raises(InputError):
        CertificateHolder(identity=SIGNER, authorities=site.pem, timestamp_authorities="nothing")
