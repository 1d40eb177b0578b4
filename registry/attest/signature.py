"""The words of signing and verifying: who signs, who signed, what was verified."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import unquote

from registry.attest.statement import Statement

Mark = tuple[str, str]
"""What tells whose a signature is: ("name", a name that somebody vouches for), ("repository", the place of a pipeline),
or ("key", SHA-256 of a key). However it is spelt, a name is one person's: `_folded`."""


class Signer(Protocol):
    """Signs statements as one identity or with one key."""

    def sign(self, statement: Statement) -> bytes:
        """The bundle (Sigstore v0.3, JSON) around the statement's canonical bytes.

        Raises CredentialsError where an identity, a token or a password is missing, expired or declined, and
        Unavailable where a service does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class CiClaims:
    """What a certificate says of the CI run that it was issued to; None where it does not say.

    Source: sigstore/fulcio, docs/oid-info.md (1.3.6.1.4.1.57264.1.12 to .21).
    """

    repository: str | None = None
    """The URL of the source."""
    workflow: str | None = None
    """The URI of the pipeline's file: `repository/path@ref`."""
    ref: str | None = None
    """The ref that the pipeline ran on."""
    commit: str | None = None
    """The commit that the pipeline ran on."""
    run: str | None = None
    """The URL of the run."""

    def as_json(self) -> dict[str, str]:
        """Those that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class SignedByIdentity:
    """Signed through Sigstore: an identity, and the public log entry that shows when."""

    identity: str
    """Who signed, as the certificate names them."""
    issuer: str
    """Who vouches for that, as the certificate names them."""
    log: str
    """The log's own name for itself, from its signed checkpoint."""
    log_index: int
    """Where the entry is in the log."""
    signed_at: datetime
    """The log's time (Rekor 1) or the timestamp authority's (Rekor 2), in UTC."""
    claims: CiClaims = CiClaims()
    """What the certificate says of a CI run; nothing where it was not one."""

    def __str__(self) -> str:
        when = self.signed_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.name}, entry {self.log_index} of {self.log}, {when}"

    @property
    def name(self) -> str:
        """The signer in words, without when and where it was logged."""
        return f"{self.identity} (by {self.issuer})"

    @property
    def marks(self) -> frozenset[Mark]:
        """What tells whose signature it is: the name, of a pipeline without the ref that it ran on; and the repository
        of a pipeline, for whoever may change one of its files may change the others."""
        own = {("name", _folded(self.identity.split("@refs/")[0]))}
        if self.claims.repository is not None:
            own.add(("repository", _folded(self.claims.repository)))
        return frozenset(own)

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "kind": "sigstore",
            "identity": self.identity,
            "issuer": self.issuer,
            "log": self.log,
            "logIndex": self.log_index,
            "signedAt": self.signed_at.isoformat(),
            "claims": self.claims.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Stamped:
    """When a signature was there at the latest, by a timestamp authority that the verifier trusts."""

    at: datetime
    """The time, in UTC."""
    accuracy: timedelta
    """By how much the time may be off, as the authority says."""
    authority: str
    """The name in which the timestamp is signed."""

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The earliest and the latest time that it can have been."""
        return self.at - self.accuracy, self.at + self.accuracy

    def __str__(self) -> str:
        return f"stamped {self.at:%Y-%m-%d %H:%M:%S} UTC by {self.authority}"

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"signedAt": self.at.isoformat(), "timestampAuthority": self.authority}


@dataclass(frozen=True, slots=True)
class SignedByKey:
    """Signed with a bare key: nobody logged it, and only a timestamp shows when."""

    sha256: str
    """SHA-256 of the public key in PEM, as hex."""
    stamped: Stamped | None = None
    """The timestamp; None where there is none that is trusted."""

    def __str__(self) -> str:
        return f"{self.name}, no transparency log{_when(self.stamped)}"

    @property
    def name(self) -> str:
        """The signer in words, without when."""
        return f"key sha256:{self.sha256}"

    @property
    def signed_at(self) -> datetime | None:
        """When it was signed; None where only the signer could say so."""
        return self.stamped.at if self.stamped else None

    @property
    def marks(self) -> frozenset[Mark]:
        """What tells whose signature it is: the key."""
        return frozenset((("key", self.sha256),))

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"kind": "key", "sha256": self.sha256, **(self.stamped.as_json() if self.stamped else {})}


@dataclass(frozen=True, slots=True)
class SignedByCertificate:
    """Signed with a certificate of an authority that the verifier named.

    Nobody logged it, so only a timestamp shows when.
    """

    identity: str
    """Who signed, as the certificate names its holder."""
    authority: str
    """The name of the authority."""
    authority_sha256: str
    """SHA-256 of the authority's certificate in DER, as hex."""
    certificate_sha256: str
    """SHA-256 of the holder's certificate in DER, as hex."""
    key_sha256: str
    """SHA-256 of the holder's public key in PEM, as hex; SignedByKey has the same."""
    not_after: datetime
    """When the certificate ends. What it signed and nobody stamped no longer holds from then on."""
    stamped: Stamped | None = None
    """The timestamp; None where there is none that is trusted."""

    def __str__(self) -> str:
        until = self.not_after.strftime("%Y-%m-%d")
        return (
            f"{self.identity} (certified by {self.authority}, sha256:{self.authority_sha256[:16]}…, until {until}), "
            f"no transparency log{_when(self.stamped)}"
        )

    @property
    def name(self) -> str:
        """The signer in words, without when and until when."""
        return f"{self.identity} (certified by {self.authority})"

    @property
    def signed_at(self) -> datetime | None:
        """When it was signed; None where only the signer could say so."""
        return self.stamped.at if self.stamped else None

    @property
    def marks(self) -> frozenset[Mark]:
        """What tells whose signature it is: the name, whoever vouches for it, and the key."""
        return frozenset((("name", _folded(self.identity)), ("key", self.key_sha256)))

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "kind": "certificate",
            "identity": self.identity,
            "authority": self.authority,
            "authoritySha256": self.authority_sha256,
            "certificateSha256": self.certificate_sha256,
            "notAfter": self.not_after.isoformat(),
            **(self.stamped.as_json() if self.stamped else {}),
        }


def _folded(name: str) -> str:
    """`name` without what tells nobody apart: case, forms of one character, escapes, a port that is the custom's own, a
    slash or a dot at the end."""
    plain = unicodedata.normalize("NFKC", unquote(name)).casefold()
    scheme, colon, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{host.removesuffix(':443').rstrip('.')}{slash}{path}".rstrip("/.")


def _when(stamped: Stamped | None) -> str:
    return f", {stamped}" if stamped else ""


SignedBy = SignedByIdentity | SignedByKey | SignedByCertificate


def people(signers: Iterable[SignedBy]) -> int:
    """How many different people signed, at least."""
    return len(persons(signers))


def persons(signers: Iterable[SignedBy]) -> list[tuple[SignedBy, ...]]:
    """The signatures of each person.

    Two signatures that share a mark are one person's, and so are those that a third joins: one key bare and in a
    certificate, one name by two authorities, one pipeline on two commits, two pipelines of one repository.
    """
    groups: list[tuple[frozenset[Mark], tuple[SignedBy, ...]]] = []
    for signer in signers:
        own = signer.marks
        theirs: tuple[SignedBy, ...] = (signer,)
        apart = []
        for marks, group in groups:
            if marks & own:
                own, theirs = own | marks, (*group, *theirs)
            else:
                apart.append((marks, group))
        groups = [*apart, (own, theirs)]
    return [group for _, group in groups]


@dataclass(frozen=True, slots=True)
class Verified:
    """A statement whose signature holds, and who made it. Only `Verifier.verify` makes one."""

    statement: Statement
    """What was signed."""
    signer: SignedBy
    """Who signed it."""
    rule: int
    """Which of the policy's signers that is, by index."""
