"""The HTTP face of the instance: one loopback address for all five services."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.sigstore_instance.ca import Fulcio
from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.login import FORM, Logins
from tests.sigstore_instance.oidc import Issuer
from tests.sigstore_instance.rekor import RekorV1, RekorV2
from tests.sigstore_instance.tsa import TimestampAuthority

LOOPBACK = "127.0.0.1"
MAX_REQUEST = 48 << 20
"""A model signature of 32 MiB, in base64."""


@dataclass(frozen=True)
class Services:
    """Everything that stands behind the address."""

    issuer: Issuer
    logins: Logins
    fulcio: Fulcio
    rekor1: RekorV1
    rekor2: RekorV2
    tsa: TimestampAuthority
    tuf: Path
    """The folder of the TUF repository, which lies there or not."""


class Server(ThreadingHTTPServer):
    """Serves `services` on the loopback interface alone."""

    daemon_threads = True

    def __init__(self, services: Services, port: int) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.services = services
        self.url = f"http://{LOOPBACK}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Reads one bounded request, and answers in the services' own forms."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # else an answer's body waits, for up to 40 ms, until its headers were acknowledged
    server: Server

    def do_GET(self) -> None:
        """The issuer's discovery document, a log-in, a CI system's token, or a file of the TUF repository."""
        address = urlsplit(self.path)
        query, logins = dict(parse_qsl(address.query)), self.server.services.logins
        try:
            if address.path.endswith("/.well-known/openid-configuration"):
                self._send(200, self.server.services.issuer.discovery(self.server.url))
            elif address.path == "/auth":
                self._redirect(logins.authorize(query))
            elif address.path == "/ci/github":
                self._send(200, logins.github(query, self.headers.get("Authorization", "")))
            elif address.path == "/ci/google":
                token = logins.google(query, self.headers.get("Metadata-Flavor", ""))
                self._send_bytes(200, token.encode(), "text/html")
            elif address.path.startswith("/tuf/") and (found := self._file(address.path.removeprefix("/tuf/"))):
                self._send_bytes(200, found.read_bytes(), "application/octet-stream")
            else:
                raise Rejected(404, "not found")
        except Rejected as problem:
            self._send(problem.status, {"code": problem.status, "message": problem.message})
        except KeyError as problem:
            self._send(400, {"code": 400, "message": f"{problem} is missing"})

    def _file(self, path: str) -> Path | None:
        """The file at `path` of the TUF repository: in its folder, or in its folder of targets."""
        folder, name = self.server.services.tuf, path.removeprefix("targets/")
        place = folder / "targets" / name if path != name else folder / name
        return place if "/" not in name and place.is_file() else None

    def do_POST(self) -> None:
        """A certificate, a log entry, or a timestamp."""
        routes: dict[str, Callable[[bytes], None]] = {
            "/api/v2/signingCert": self._certificate,
            "/api/v1/log/entries": lambda body: self._send(201, self.server.services.rekor1.submit(_json(body))),
            "/api/v2/log/entries": lambda body: self._send(201, self.server.services.rekor2.submit(_json(body))),
            "/api/v1/timestamp": self._timestamp,
            "/token": lambda body: self._send(200, self.server.services.logins.token(dict(parse_qsl(body.decode())))),
        }
        try:
            body = self._body()
            route = routes.get(self.path)
            if route is None:
                raise Rejected(404, "not found")
            route(body)
        except Rejected as problem:
            self._send(problem.status, {"code": problem.status, "message": problem.message})

    def _certificate(self, body: bytes) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Rejected(401, "a bearer token is needed")
        identity = self.server.services.issuer.check(token)
        match _json(body):
            case {"certificateSigningRequest": str(request)}:
                chain = self.server.services.fulcio.issue(_base64(request), identity)
            case _:
                raise Rejected(400, "a certificateSigningRequest is expected")
        self._send(200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    def _timestamp(self, body: bytes) -> None:
        answer = self.server.services.tsa.answer(body)
        self._send_bytes(201, answer, "application/timestamp-reply")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_REQUEST:
            self.close_connection = True
            raise Rejected(413, f"a body of at most {MAX_REQUEST} bytes is expected")
        return self.rfile.read(int(length))

    def _redirect(self, address: str | None) -> None:
        if address is None:
            self._send_bytes(200, FORM.encode(), "text/html")
            return
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, status: int, value: Any) -> None:
        self._send_bytes(status, json.dumps(value).encode(), "application/json")

    def _send_bytes(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the caller's output is the caller's."""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as problem:
        raise Rejected(400, f"JSON is expected: {problem}") from problem


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as problem:
        raise Rejected(400, f"base64 is expected: {problem}") from problem
