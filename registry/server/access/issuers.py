"""The keys of OIDC issuers, fetched from where their discovery document says, by HTTPS or on loopback, and remembered.

Anybody may send a token that names an issuer, so one who does cannot make this server ask it more often than once in
AGAIN_SECONDS, nor wait for it with more than one thread.
Source: OpenID Connect Discovery 1.0, sections 3 and 4.
"""

from __future__ import annotations

import threading
import time
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
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Keys:
    """The keys of all issuers that were asked, for one process."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._known: dict[str, tuple[float, dict[str, jwt.PyJWK] | GlasshouseError]] = {}

    def key(self, issuer: str, key_id: str) -> jwt.PyJWK:
        """The issuer's key of that id. Raises PyJWTError where there is none, Unavailable where it does not answer."""
        asked, keys = self._known.get(issuer, (float("-inf"), {}))
        age = time.monotonic() - asked
        if age > FRESH_SECONDS or (age > AGAIN_SECONDS and (isinstance(keys, GlasshouseError) or key_id not in keys)):
            keys = self._ask(issuer)
        if isinstance(keys, GlasshouseError):
            raise keys
        if key_id not in keys:
            raise jwt.InvalidKeyError("the issuer has no key of that id")
        return keys[key_id]

    def _ask(self, issuer: str) -> dict[str, jwt.PyJWK] | GlasshouseError:
        if not self._asking.acquire(blocking=False):
            return Unavailable(f"{issuer} is just being asked", mend="try again")
        try:
            keys: dict[str, jwt.PyJWK] | GlasshouseError = fetch(issuer)
        except GlasshouseError as problem:
            keys = problem
        finally:
            self._asking.release()
        self._known[issuer] = (time.monotonic(), keys)
        return keys


def fetch(issuer: str) -> dict[str, jwt.PyJWK]:
    """{id: key} of an issuer, as it says now. Raises Unavailable."""
    discovery = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    address = str(discovery.get("jwks_uri", ""))
    if discovery.get("issuer") != issuer:
        raise Unavailable(f"{issuer} says that it is another issuer", mend="check the issuer")
    if not is_safe(address) or urlsplit(address).scheme != urlsplit(issuer).scheme:
        raise Unavailable(f"{issuer} names no address of its keys", mend="check the issuer")
    try:
        keys = jwt.PyJWKSet.from_dict(_get(address)).keys
    except jwt.PyJWTError as problem:
        raise Unavailable(f"{address} has no keys: {problem}", mend="check the issuer") from problem
    return {key.key_id: key for key in keys if key.key_id is not None}


def is_safe(address: str) -> bool:
    """Whether keys may be asked for there."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        return False


def _get(address: str) -> dict[str, Any]:
    """A JSON object. Raises Unavailable, also for an answer that is too long or comes too slowly."""
    end, data = time.monotonic() + ANSWER_SECONDS, bytearray()
    try:
        with requests.get(address, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
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
