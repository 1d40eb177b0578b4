"""The identity provider of a CI system, on loopback: what GitHub is to a job with `permissions: id-token: write`."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.hub_instance import HubInstance

SUBJECT = "repo:org/project:environment:release"


class Issuer:
    """An OIDC issuer on loopback, with one key, and the runner whose jobs ask it for identity tokens.

    mint: what a job gets that asks for a token for an audience.  asked: for which it has asked.
    sell: what a server gets for an authorization code; {} by itself.  clients: how those have shown who they are.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        keys = json.dumps({"keys": [public | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()
        issuer = self
        self.mint: Callable[[str], str] = self.token
        self.asked: list[str] = []
        self.sell: Callable[[dict[str, str]], object] = lambda form: {}
        self.clients: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {"/keys": keys, "/.well-known/openid-configuration": json.dumps(issuer.discovery).encode()}
                address = urlsplit(self.path)
                body = found.get(address.path)
                if address.path == "/token" and self.headers["Authorization"].lower() == "bearer of-this-job":
                    (audience,) = parse_qs(address.query)["audience"]
                    issuer.asked.append(audience)
                    body = json.dumps({"value": issuer.mint(audience)}).encode()
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def do_POST(self) -> None:
                """The token endpoint: an authorization code is sold for what `sell` makes of the form."""
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                issuer.clients.append(self.headers["Authorization"])
                body = json.dumps(issuer.sell(form)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                """Silence."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.discovery = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def token(self, audience: str, key: Any = None, **changed: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300}
        claims |= {"jti": secrets.token_hex(8)} | changed
        return jwt.encode(claims, key or self._key, algorithm="ES256", headers={"kid": "one"})

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Issuer]:
        """Serve until the end of the block."""
        made = cls()
        thread = threading.Thread(target=made.server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            made.server.shutdown()
            thread.join()
            made.server.server_close()

    def job(self, hub: HubInstance, resource: str, home: Path) -> dict[str, str]:
        """The environment of a job: no token in it but the right to ask for one."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ACTIONS_", "SIGSTORE_"))}
        return kept | {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
            "HF_ENDPOINT": hub.url,
            "HF_OIDC_RESOURCE": resource,
            "HF_HOME": str(home),
            "NO_PROXY": "127.0.0.1",
        }
