"""What is done to a release that a certificate signed: to its chain, its timestamps, and by its authority."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from registry.attest import revocation
from registry.attest.bundle import Bundle
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.records import layout
from tests.authority import DAY, SIGNER, Authority, StandingClock, revoking
from tests.e2e.tampering import spoil
from tests.e2e.tampering.world import Case, World
from tests.sigstore_instance.keys import kept_key
from tests.sigstore_instance.tsa import TimestampAuthority

LAST = layout.SIGNATURE
STAMPS = "verificationMaterial.timestampVerificationData.rfc3161Timestamps"


def cases(world: World) -> Iterator[Case]:
    yield from certificates(world)
    yield from timestamps(world)
    yield from revoked(world)


def certificates(world: World) -> Iterator[Case]:
    """The release that a certificate signed, of an authority of one's own."""
    other = Authority(world.site.folder / "other")
    boss = world.site.issue("boss", identity=x509.RFC822Name("boss@site.test"))
    key = KeySigner(world.site.issue().key).public_key
    year = datetime.now(UTC) + 366 * DAY

    def expect(name: str, verifier: Verifier, *words: str) -> Case:
        return Case(f"by certificate: expect {name}", spoil.becomes("certified", None, verifier), 3, LAST, words)

    yield expect("it after its end, without a timestamp", world.certifying().at(year), "no timestamp shows")
    yield expect("another authority of that name", world.certifying(authorities=other.pem), "no authority")
    yield expect("Sigstore's identity", world.verifier, "names no authority")
    yield expect("its bare key", world.verifier.with_policy(Policy(signers=(key,))), "names no authority")
    for who in (SIGNER[:-1], f"{SIGNER}.evil.test", f"x{SIGNER}", SIGNER.upper(), ".*", "CN=signer", f" {SIGNER}"):
        yield expect(repr(who), world.certifying(who), f"signed by {SIGNER}", "expected")
    stolen = {"rawBytes": spoil.b64(_der(boss.certificate))}
    foreign = {"rawBytes": spoil.b64(_der(other.root_path))}
    for name, change, word in (
        ("no certificate", lambda rows: rows.clear(), "1 to 8 certificates"),
        ("nine certificates", lambda rows: rows.extend(rows[1:] * 8), "1 to 8 certificates"),
        ("no intermediate", lambda rows: rows.pop(), "no authority"),
        ("its chain upside down", lambda rows: rows.reverse(), "an authority's certificate"),
        ("another's certificate", lambda rows: rows.__setitem__(0, stolen), "not made with the key"),
        ("one more authority", lambda rows: rows.append(foreign), "not part of the path"),
        ("a certificate that is none", lambda rows: rows.__setitem__(0, {"rawBytes": "AAAA"}), "does not hold"),
    ):
        spoilt = spoil.becomes("certified", spoil.certificates(LAST, change), world.certifying())
        yield Case(f"{LAST} by certificate, with {name}", spoilt, 3, LAST, (word,))
    added = spoil.in_json(LAST, partial(spoil.set_at, place="verificationMaterial.tlogEntries", value=[{}]))
    spoilt = spoil.becomes("certified", added, world.certifying())
    yield Case(f"{LAST} by certificate, with a log entry", spoilt, 3, LAST, ("must hold no log entry",))


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def timestamps(world: World) -> Iterator[Case]:
    """The release whose signatures were stamped, by a certificate that has ended since."""
    signed = _stamp_of(world.stamped / LAST)[0]
    ended = world.ended + DAY  # today, as these cases have it
    trusting = world.certifying(clock=world.clock).at(ended)
    other = TimestampAuthority(world.site.folder / "other-clock")
    forger = TimestampAuthority(world.site.folder / "forger")
    impostor = world.site.issue("impostor", key=forger._key)
    forger.chain = [impostor.own, world.site.issuing, world.site.root]

    def expect(name: str, verifier: Verifier, *words: str, change: spoil.Spoil | None = None) -> Case:
        words = words or ("no timestamp shows",)
        return Case(f"by an ended certificate: {name}", spoil.becomes("stamped", change, verifier), 3, LAST, words)

    def stamped(*stamps: bytes) -> spoil.Spoil:
        rows = [{"signedTimestamp": spoil.b64(stamp)} for stamp in stamps]
        return spoil.in_json(LAST, partial(spoil.set_at, place=STAMPS, value=rows))

    def by(authority: TimestampAuthority, at: datetime, accuracy: int = 0) -> spoil.Spoil:
        return stamped(StandingClock(authority, at, accuracy).stamp(signed))

    before, good = world.ended - DAY, StandingClock(world.clock, world.ended - DAY).stamp(signed)
    yield expect("no timestamp authority trusted", world.certifying().at(ended), "no timestamp authority is trusted")
    yield expect(
        "another trusted, of that name", world.certifying(clock=other).at(ended), "by an authority that is not trusted"
    )
    lent = _beside(world.certifying(), world.certifying("boss@site.test", clock=world.clock)).at(ended)
    yield expect("a timestamp that counts for somebody else", lent, "no timestamp authority is trusted")
    for path in spoil.kinds(spoil.bundle_paths(world)):
        strip = spoil.in_json(path, partial(spoil.set_at, place=STAMPS.rpartition(".")[0], value=None))
        spoilt, words = spoil.becomes("stamped", strip, trusting), ("no timestamp shows", "the signature has none")
        yield Case(f"{path}: the timestamp stripped, the certificate ended", spoilt, 3, path, words)
    yield expect("stamped by another", trusting, "by an authority that is not trusted", change=by(other, before))
    yield expect("stamped by a certificate for code", world.certifying(clock=forger).at(ended),
                 "not one for timestamps alone", change=by(forger, before))  # fmt: skip
    for name, at, accuracy, word in (
        ("after its end", world.ended + timedelta(seconds=1), 0, "outside of that time, too"),
        ("hardly before its end", world.ended - timedelta(seconds=30), 60, "outside of that time, too"),
        ("before its beginning", datetime.now(UTC) - 9 * DAY, 0, "by an authority that is not trusted"),
        ("in the future", ended + DAY, 0, "yet to come"),
    ):
        yield expect(f"stamped {name}", trusting, word, change=by(world.clock, at, accuracy))
    another = _stamp_of(world.stamped / layout.RELEASE_ATTESTATION)[1]
    anew = StandingClock(world.clock, before).stamp(signed + b"!")
    for name, stamp in (("another attestation's timestamp", another), ("a timestamp of one byte more", anew)):
        yield expect(name, trusting, "of another signature", change=stamped(stamp))
        yield expect(f"{name}, beside its own", trusting, "of another signature", change=stamped(good, stamp))
        valid = world.certifying()
        yield expect(f"{name}, the certificate good", valid, "of another signature", change=stamped(stamp))
    for name, stamp, word in (
        ("a timestamp of another time", _retold(good), "does not hold"),
        ("a timestamp cut short", good[:-1], "cannot be read"),
        ("a timestamp and more", good + b"\0", "cannot be read"),
        ("nonsense for a timestamp", b"\x30\x80" * 40, "cannot be read"),
        ("64 kB and more of timestamp", bytes((64 << 10) + 1), "at most"),
    ):
        yield expect(name, trusting, word, change=stamped(stamp))
    yield expect("nine timestamps", trusting, "1 to 8 rfc3161Timestamps", change=stamped(*[good] * 9))
    yield expect("an empty list of timestamps", trusting, "1 to 8 rfc3161Timestamps", change=stamped())


def revoked(world: World) -> Iterator[Case]:
    """The same, the certificate still good, but for its authority."""
    site, now, end = world.site, datetime.now(UTC).replace(microsecond=0), world.ended
    own = world.holder.own

    def of_site(taken: dict[x509.Certificate, datetime], begin: datetime = now - DAY, **more: Any) -> str:
        return revocation.pem(revoking(site.issuing, site.issuing_key, taken, begin=begin, end=begin + 2 * DAY, **more))

    def of_root(taken: dict[x509.Certificate, datetime]) -> str:
        return revocation.pem(revoking(site.root, site.root_key, taken, begin=now - DAY, end=end + 9 * DAY))

    def expect(
        name: str, lists: tuple[str, ...], *words: str, code: int = 1, at: datetime = now, clock: Any = None
    ) -> Case:
        verifier = world.certifying(lists=lists, clock=clock).at(at)
        return Case(f"by certificate: {name}", spoil.becomes("stamped", None, verifier), 3, LAST, words, code)

    fine, clean, hour = of_root({}), of_site({}), timedelta(hours=1)
    later = now + hour
    theft = of_site({own: later}, known=now - hour)
    yield expect("revoked", (fine, of_site({own: now - hour})), "was revoked", "no timestamp shows")
    yield expect("to be revoked", (fine, of_site({own: later})), "was revoked", "no timestamp shows")
    yield expect("revoked, by a list of before", (fine, clean, of_site({own: now}, now - 9 * DAY)), "was revoked")
    yield expect("revoked before it was stamped", (fine, of_site({own: now - hour})), "it was stamped",
                 at=later, clock=world.clock)  # fmt: skip
    yield expect("stolen before it was stamped", (fine, theft), "keyCompromise", "it was stamped",
                 at=later, clock=world.clock)  # fmt: skip
    yield expect("its issuer revoked", (of_root({site.issuing: now}), clean), "CN=site-issuing", "was revoked")
    lent = _beside(world.certifying(lists=(fine, of_site({own: now}))), world.certifying("boss@site.test")).at(now)
    yield Case("by certificate: revoked, where another is not asked", spoil.becomes("stamped", None, lent), 3, LAST,
               ("was revoked",))  # fmt: skip
    foreign = Authority(site.folder / "other")
    theirs = revocation.pem(revoking(foreign.issuing, foreign.issuing_key, {}, begin=now - DAY, end=now + DAY))
    for name, lists, word in (
        ("a list out of date", (fine, of_site({}, now - 2 * DAY)), "those given hold"),
        ("a list to come", (fine, of_site({}, later)), "those given hold"),
        ("another authority's list of that name", (fine, theirs), "not signed with its key"),
        ("the root's list alone", (fine,), "those given are by others"),
        ("no list of the root", (clean,), "those given are by others"),
    ):
        yield expect(name, lists, "no revocation list tells", word, code=3)
    newest = of_site({}, end + 3 * DAY)
    yield expect("ended, a list that may leave it out", (fine, newest), "no revocation list tells", code=3,
                 at=end + 4 * DAY, clock=world.clock)  # fmt: skip
    root, key = world.clock.chain[-1], kept_key(site.folder / "clock" / "tsa-root.key")
    taken = revocation.pem(revoking(root, key, {world.clock.chain[0]: end}, begin=now, end=now + DAY))
    all_three = (fine, of_site({}, end - DAY), taken)
    yield expect("ended, its timestamp authority revoked", all_three, "no timestamp shows", "no longer counts",
                 at=end + DAY, clock=world.clock)  # fmt: skip


def _beside(one: Verifier, other: Verifier) -> Verifier:
    """Trusts whom either does."""
    return one.with_policy(Policy(signers=(*one.policy.signers, *other.policy.signers)))


def _stamp_of(path: Path) -> tuple[bytes, bytes]:
    """(signature, its timestamp) of the bundle at `path`."""
    bundle = Bundle.parse(path.read_bytes())
    return bundle.envelope.signature, bundle.stamps[0]


def _retold(stamp: bytes) -> bytes:
    """The timestamp, with another last digit of its time: its own signature no longer fits."""
    found = re.search(rb"\x18\x0f(20[0-9]{12})Z", stamp)
    assert found is not None
    last = found.end(1) - 1
    return stamp[:last] + (b"1" if stamp[last : found.end(1)] != b"1" else b"2") + stamp[last + 1 :]
