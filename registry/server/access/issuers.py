"""The keys of OIDC issuers, fetched from where their discovery document says, by HTTPS or on loopback, and remembered.

Anybody may send a token that names an issuer, so one who does cannot make this server ask it more often than once in
AGAIN_SECONDS, nor wait for it with more than one thread.
Source: OpenID Connect Discovery 1.0, sections 3 and 4.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from urllib3.exceptions import HTTPError

from registry import canonical
from registry.errors import GlasshouseError, InputError, Unavailable

FRESH_SECONDS = 600
AGAIN_SECONDS = 10
TIMEOUT = (5, 10)
ANSWER_SECONDS = 20
MAX_ANSWER = 1 << 20
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""What an identity token may be signed by."""
LEEWAY_SECONDS = 30
LOOPBACK = ("127.0.0.1", "localhost", "::1")


_UNASKED = Unavailable("the issuer was not asked", mend="try again")


@dataclass(frozen=True, slots=True)
class Issuer:
    """What an issuer says of itself."""

    name: str
    """Its address, which is its name."""
    discovery: Mapping[str, Any]
    """Its discovery document."""
    keys_by_id: Mapping[str, jwt.PyJWK]
    """{id: key}: what it signs with."""

    def address(self, name: str) -> str:
        """An address that the document names, such as `token_endpoint`. Raises Unavailable for none that is safe."""
        return _address(self.name, self.discovery, name)


class Keys:
    """The keys of all issuers that were asked, for one process."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._known: dict[str, tuple[float, Issuer | GlasshouseError]] = {}

    def issuer(self, issuer: str, key_id: str | None = None) -> Issuer:
        """What the issuer says of itself, anew where it has no key of that id. Raises Unavailable without an answer."""
        asked, known = self._known.get(issuer, (float("-inf"), _UNASKED))
        lacks = isinstance(known, GlasshouseError) or (key_id is not None and key_id not in known.keys_by_id)
        age = time.monotonic() - asked
        if age > FRESH_SECONDS or (age > AGAIN_SECONDS and lacks):
            known = self._ask(issuer)
        if isinstance(known, GlasshouseError):
            raise known
        return known

    def key(self, issuer: str, key_id: str | None) -> jwt.PyJWK:
        """The issuer's key of that id; for None its only one (OpenID Connect Core 1.0, 10.1).

        Raises PyJWTError where there is none, Unavailable where the issuer does not answer.
        """
        keys = self.issuer(issuer, key_id).keys_by_id
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        if key_id is None or key_id not in keys:
            raise jwt.InvalidKeyError("the issuer has no key of that id")
        return keys[key_id]

    def claims(self, token: str, issuer: str, audience: str) -> dict[str, Any]:
        """What an identity token claims, which that issuer has signed for that audience, and which has not expired.

        Raises PyJWTError for any other, Unavailable where the issuer does not answer.
        """
        return jwt.decode(
            token,
            self.key(issuer, jwt.get_unverified_header(token).get("kid")),
            algorithms=ALGORITHMS,
            audience=audience,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "aud", "iss", "sub"]},
        )

    def _ask(self, issuer: str) -> Issuer | GlasshouseError:
        if not self._asking.acquire(blocking=False):
            return Unavailable(f"{issuer} is just being asked", mend="try again")
        try:
            known: Issuer | GlasshouseError = fetch(issuer)
        except GlasshouseError as problem:
            known = problem
        finally:
            self._asking.release()
        self._known[issuer] = (time.monotonic(), known)
        return known


def fetch(issuer: str) -> Issuer:
    """An issuer, as it says now. Raises Unavailable."""
    discovery = ask(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if discovery.get("issuer") != issuer:
        raise Unavailable(f"{issuer} says that it is another issuer", mend="check the issuer")
    address = _address(issuer, discovery, "jwks_uri")
    try:
        keys = jwt.PyJWKSet.from_dict(ask(address)).keys
    except jwt.PyJWTError as problem:
        raise Unavailable(f"{address} has no keys: {problem}", mend="check the issuer") from problem
    return Issuer(issuer, discovery, {key.key_id or "": key for key in keys})


def _address(issuer: str, discovery: Mapping[str, Any], name: str) -> str:
    address = str(discovery.get(name, ""))
    if not is_safe(address) or urlsplit(address).scheme != urlsplit(issuer).scheme:
        raise Unavailable(f"{issuer} names no {name}", mend="check the issuer")
    return address


def is_safe(address: str) -> bool:
    """Whether keys may be asked for there."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        return False


def ask(address: str, form: Mapping[str, str] | None = None, client: tuple[str, str] | None = None) -> dict[str, Any]:
    """A JSON object. Raises Unavailable, also for an answer that is too long or comes too slowly.

    form: what is posted; None to get.  client: the id and secret that are sent with it.
    """
    end, data = time.monotonic() + ANSWER_SECONDS, bytearray()
    try:
        method = "GET" if form is None else "POST"
        with requests.request(
            method, address, data=form, auth=client or _anonymous, timeout=TIMEOUT, stream=True, allow_redirects=False
        ) as answer:
            answer.raise_for_status()
            if answer.status_code != 200:
                raise requests.RequestException(f"it answers {answer.status_code}")
            while chunk := answer.raw.read1(MAX_ANSWER, decode_content=True):
                data += chunk
                if len(data) > MAX_ANSWER or time.monotonic() > end:
                    raise requests.RequestException("its answer does not end")
        value = canonical.parse(bytes(data), name=address, max_bytes=MAX_ANSWER)
    except (requests.RequestException, InputError, OSError, HTTPError) as problem:
        raise Unavailable(f"{address} does not answer: {problem}", mend="try again later") from problem
    return value if isinstance(value, dict) else {}


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Nobody's: without it, a .netrc of the machine would be asked."""
    return request
