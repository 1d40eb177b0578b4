"""An X.509 authority of one's own, as an air-gapped site has it: a root, an intermediate, and signers' certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registry.attest.certificate import CertificateSigner
from registry.attest.localkey import KeySigner
from registry.attest.timestamp import TimestampService
from tests.sigstore_instance.ca import authority, usage
from tests.sigstore_instance.keys import SigningKey, kept_key
from tests.sigstore_instance.tsa import TimestampAuthority

SIGNER = "release@site.test"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Holder:
    """A signer's files, each in PEM."""

    key: Path
    certificate: Path
    chain: Path

    @property
    def signer(self) -> CertificateSigner:
        """Who signs by them."""
        return self.stamped(None)

    def stamped(self, stamps: TimestampService | None) -> CertificateSigner:
        """Who signs by them, with timestamps."""
        return CertificateSigner(self.key, self.certificate, self.chain, stamps)

    def forged(self, key: Path | None = None, stamps: TimestampService | None = None) -> CertificateSigner:
        """Who signs by them, or with another key, what CertificateSigner would refuse to: it looks at nothing."""
        forger = CertificateSigner.__new__(CertificateSigner)
        forger._key = KeySigner(key or self.key, stamps)
        forger._chain = [self.own, *x509.load_pem_x509_certificates(self.chain.read_bytes())]
        return forger

    @property
    def own(self) -> x509.Certificate:
        """The signer's certificate."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())


class StandingClock(TimestampService):
    """A timestamp authority in this process, whose clock stands at `at`, give or take `accuracy` seconds."""

    def __init__(self, authority: TimestampAuthority, at: datetime | None = None, accuracy: int = 0) -> None:
        super().__init__("http://timestamp.test")
        self._authority, self._at, self._accuracy = authority, at, accuracy

    def _ask(self, query: bytes) -> bytes:
        return self._authority.answer(query, at=self._at, accuracy=self._accuracy)


def root_pem(authority: TimestampAuthority) -> str:
    """The root of a timestamp authority, as a policy names it."""
    return authority.chain[-1].public_bytes(Encoding.PEM).decode()


class Authority:
    """A root at `root_path`, an intermediate under it, and the certificates that this one issues into `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root_key, self.issuing_key = kept_key(folder / "root.key"), kept_key(folder / "issuing.key")
        self.root = authority("site-root", self.root_key, None, self.root_key)
        self.issuing = authority("site-issuing", self.issuing_key, self.root, self.root_key)
        self.root_path, self.chain_path = folder / "ca.pem", folder / "chain.pem"
        self.root_path.write_bytes(self.root.public_bytes(Encoding.PEM))
        self.chain_path.write_bytes(self.issuing.public_bytes(Encoding.PEM))

    @property
    def pem(self) -> str:
        """The root."""
        return self.root_path.read_text()

    def issue(
        self,
        name: str = "signer",
        *,
        identity: x509.GeneralName | None = x509.RFC822Name(SIGNER),  # noqa: B008 - immutable
        begin: datetime | None = None,
        end: datetime | None = None,
        key: SigningKey | None = None,
        public: ec.EllipticCurvePublicKey | None = None,
        more: tuple[tuple[x509.ExtensionType, bool], ...] | None = None,
    ) -> Holder:
        """A certificate from `begin` to `end` (default: yesterday, in a year) of a new key.

        identity: its alternative name; None: it has a subject alone.  more: (extension, critical) beside that name;
        by default those that a signer's certificate should have.  public: another key than the one that is kept.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        key = key or kept_key(self.folder / f"{name}.key")
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.issuing.subject)
            .public_key(public or key.public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin or now - DAY)
            .not_valid_after(end or now + 365 * DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuing_key.public), critical=False)
        )
        if identity is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([identity]), critical=False)
        for extension, critical in SIGNS if more is None else more:
            builder = builder.add_extension(extension, critical=critical)
        holder = Holder(self.folder / f"{name}.key", self.folder / f"{name}.pem", self.chain_path)
        holder.certificate.write_bytes(
            builder.sign(self.issuing_key.private, hashes.SHA256()).public_bytes(Encoding.PEM)
        )
        return holder


def revoking(
    issuer: x509.Certificate,
    key: SigningKey,
    revoked: Mapping[x509.Certificate, datetime],
    *,
    begin: datetime,
    end: datetime,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    known: datetime | None = None,
) -> x509.CertificateRevocationList:
    """A list by `issuer`, good from `begin` to `end`, of the certificates `revoked`, each with its time.

    more: (extension, critical) of the list.  known: since when the keys are thought to be stolen.
    """
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(begin).next_update(end)
    for certificate, since in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(since)
        if known is not None:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            entry = entry.add_extension(x509.InvalidityDate(known), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key.private, hashes.SHA256())


SIGNS: tuple[tuple[x509.ExtensionType, bool], ...] = (
    (usage(digital_signature=True), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
)
