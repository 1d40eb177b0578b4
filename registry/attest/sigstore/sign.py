"""Signing with an identity: a certificate of ten minutes, a signature, an entry in the public log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import requests
from sigstore._internal.fulcio.client import FulcioClientError  # raised by signing; the library names it nowhere else
from sigstore._internal.rekor import RekorClientError
from sigstore.dsse import Statement as SigstoreStatement
from sigstore.errors import Error as SigstoreError
from sigstore.errors import NetworkError
from sigstore.errors import VerificationError as SigstoreVerificationError
from sigstore.models import ClientTrustConfig, ProposedEntry  # type: ignore[attr-defined] # imported there
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, Issuer, IssuerError, detect_credential
from sigstore.sign import Signer, SigningContext

from registry.attest.sigstore.config import client_config, first_line
from registry.attest.statement import Statement
from registry.errors import CredentialsError, GlasshouseError, SignatureError, Unavailable

RENEW_AFTER = 300.0
"""Seconds after which a new certificate is asked for."""
DECLINED = frozenset({400, 401, 403})
"""The statuses with which Fulcio answers a token that it does not accept."""

for _form in get_args(get_args(ProposedEntry)[0]):
    _form.model_rebuild()  # each was put off (see the door): the library would build it for every answer of the log


class SigstoreSigner:
    """Signs as one identity. One certificate serves for many statements, as long as it is young."""

    def __init__(
        self, trust_config: Path | None = None, *, identity_token: str | None = None, browser: bool = False
    ) -> None:
        """Find out who signs: by `identity_token`, else the CI system's credential, else (`browser`) a person.

        trust_config: of a private Sigstore instance; None is the public one.
        Raises CredentialsError where nobody can be found or the token is expired or malformed, InputError for a
        trust config that cannot be read, Unavailable where a service does not answer.
        """
        config = client_config(trust_config)
        with _in_our_words():
            self._token = _identify(config, identity_token, browser=browser)
            self._context = SigningContext.from_trust_config(config)
        self._signer: Signer | None = None
        self._since = 0.0

    @property
    def identity(self) -> str:
        """Whom the token names."""
        return self._token.identity

    def sign(self, statement: Statement) -> bytes:
        """The bundle around `statement`, logged in public. Raises as `registry.attest.signature.Signer` says."""
        with _in_our_words():
            return self._current().sign_dsse(SigstoreStatement(statement.to_bytes())).to_json().encode()

    def _current(self) -> Signer:
        if self._signer is None or time.monotonic() - self._since > RENEW_AFTER:
            self._signer = Signer(self._token, self._context)  # asks for the certificate
            self._since = time.monotonic()
        return self._signer


def _identify(config: ClientTrustConfig, identity_token: str | None, *, browser: bool) -> IdentityToken:
    raw = identity_token or detect_credential()
    if raw:
        return IdentityToken(raw.strip())
    if browser:
        return Issuer(config.signing_config.get_oidc_url()).identity_token()
    raise CredentialsError(
        "no identity to sign with: no token was given, and this is not a CI system that offers one",
        mend="--identity-token TOKEN; or log in with a browser; or, without an identity provider, --key private.pem",
    )


CLOCK = "where it is fresh, this machine's clock may be wrong: glasshouse doctor"


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Tell credentials, networks and wrong answers apart, whichever layer below them speaks."""
    try:
        yield
    except ExpiredIdentity as problem:
        raise CredentialsError(
            "the identity token is expired", mend=f"get a fresh token and sign again; {CLOCK}"
        ) from problem
    except (IdentityError, IssuerError) as problem:
        raise CredentialsError(
            f"{first_line(problem)} ({first_line(problem.__cause__ or 'nothing more is known')})",
            mend=f"get a fresh token for the audience `sigstore` and sign again; {CLOCK}",
        ) from problem
    except (FulcioClientError, RekorClientError) as problem:
        raise _declined(problem) from problem
    except (requests.RequestException, NetworkError) as problem:
        raise Unavailable(
            f"a Sigstore service did not answer: {first_line(problem.__cause__ or problem)}",
            mend="check the network and sign again; what is already signed stays valid",
        ) from problem
    except SigstoreVerificationError as problem:
        raise SignatureError(
            f"the services are not those that the trust config describes: {first_line(problem)}",
            mend="use the trust config that belongs to the instance",
        ) from problem
    except (SigstoreError, KeyError, ValueError) as problem:
        raise Unavailable(
            f"a Sigstore service gave an answer that cannot be used: {first_line(problem)}",
            mend="sign again; with Rekor 2 the timestamp authority of the trust config must be up too",
        ) from problem


def _declined(problem: FulcioClientError | RekorClientError) -> GlasshouseError:
    """Fulcio declining a token is a matter of credentials; all else is a service that does not serve."""
    cause = problem.__cause__ or problem.__context__
    response = cause.response if isinstance(cause, requests.HTTPError) else None
    answer = first_line(problem) if response is None else f"{response.status_code} {first_line(response.text)}"
    if isinstance(problem, RekorClientError):
        return Unavailable(f"the transparency log answered {answer}", mend="wait a little and sign again")
    if response is not None and response.status_code in DECLINED:
        return CredentialsError(
            f"the certificate authority declined the identity token: {answer}",
            mend="get a fresh token, from an issuer that this Sigstore instance knows, and sign again",
        )
    return Unavailable(f"the certificate authority answered {answer}", mend="wait a little and sign again")
