"""How a token is had: a person logs in by a browser, or a CI system hands one to its run.

Source: OpenID Connect Core 1.0, section 3.1 (the authorization code flow); RFC 7636 (PKCE); GitHub's and Google Cloud's
documentation of what their runners are offered.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.oidc import Issuer

FORM = "<html><form>Who are you? <input name='login'></form></html>"
RUNNER = "bearer a-runner's-own-token"
"""What a GitHub runner must show before it is given an identity token."""


class Logins:
    """Those who are logging in: each code is good once, for whoever holds the verifier of its challenge."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._waiting: dict[str, tuple[str, str, str]] = {}

    def authorize(self, query: Mapping[str, str]) -> str | None:
        """Where to send the browser, once it says who its user is (`login`); None: ask first."""
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise Rejected(400, "the authorization code flow with PKCE is expected")
        if "login" not in query:
            return None
        code = secrets.token_urlsafe(16)
        self._waiting[code] = (query["login"], query["code_challenge"], query["redirect_uri"])
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: Mapping[str, str]) -> dict[str, str]:
        """The answer to a code. Raises Rejected for one that is unknown or used, and for another's."""
        who, challenge, redirect = self._waiting.pop(form.get("code", ""), ("", "", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proven = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not who or proven != challenge or form.get("redirect_uri") != redirect:
            raise Rejected(400, "there is no such code, or it is another's")
        return {"access_token": self._issuer.token(who), "token_type": "Bearer"}

    def github(self, query: Mapping[str, str], authorization: str) -> dict[str, str]:
        """What a GitHub runner gets that asks for a token. `subject`: which workflow it runs."""
        if authorization != RUNNER:
            raise Rejected(401, "not a runner")
        return {"value": self._issuer.token(query["subject"], audience=query["audience"])}

    def google(self, query: Mapping[str, str], flavor: str) -> str:
        """What a machine in Google's cloud gets from its metadata server. `subject`: its service account."""
        if flavor != "Google":
            raise Rejected(403, "the header Metadata-Flavor is missing")
        return self._issuer.token(query["subject"], audience=query["audience"])
