"""The words of signing and verifying: who signs, who signed, what was verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from registry.attest.statement import Statement


class Signer(Protocol):
    """Signs statements as one identity or with one key."""

    def sign(self, statement: Statement) -> bytes:
        """The bundle (Sigstore v0.3, JSON) around the statement's canonical bytes.

        Raises CredentialsError where an identity, a token or a password is missing, expired or declined, and
        Unavailable where a service does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class SignedByIdentity:
    """Signed through Sigstore: an identity, and the public log entry that shows when.

    identity, issuer: as the certificate names them.
    log: the log's own name for itself, from its signed checkpoint.  log_index: the entry's place in the log.
    signed_at: the log's time (Rekor 1) or the timestamp authority's (Rekor 2), in UTC.
    """

    identity: str
    issuer: str
    log: str
    log_index: int
    signed_at: datetime

    def __str__(self) -> str:
        when = self.signed_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.identity} (by {self.issuer}), entry {self.log_index} of {self.log}, {when}"

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "kind": "sigstore",
            "identity": self.identity,
            "issuer": self.issuer,
            "log": self.log,
            "logIndex": self.log_index,
            "signedAt": self.signed_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class SignedByKey:
    """Signed with a bare key: nobody logged it, and nothing shows when.

    sha256: of the public key in PEM, hex.
    """

    sha256: str

    def __str__(self) -> str:
        return f"key sha256:{self.sha256}, no transparency log"

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"kind": "key", "sha256": self.sha256}


SignedBy = SignedByIdentity | SignedByKey


@dataclass(frozen=True, slots=True)
class Verified:
    """A statement whose signature holds, and who made it. Only `Verifier.verify` makes one."""

    statement: Statement
    signer: SignedBy
