"""An X.509 authority of one's own, as an air-gapped site has it: a root, an intermediate, and signers' certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registry.attest.certificate import CertificateSigner
from tests.sigstore_instance.ca import authority, usage
from tests.sigstore_instance.keys import SigningKey, kept_key

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
        return CertificateSigner(self.key, self.certificate, self.chain)


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


SIGNS: tuple[tuple[x509.ExtensionType, bool], ...] = (
    (usage(digital_signature=True), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
)
