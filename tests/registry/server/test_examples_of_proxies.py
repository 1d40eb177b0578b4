"""The examples of docs/how-to/host, run: nginx and Caddy before the server, and logrotate behind its back."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, until

EXAMPLES = Path(__file__).parents[3] / "docs" / "how-to" / "host"
SIZE = 20 << 20
SECONDS = 20.0


def needed(program: str) -> str:
    """Where that program is. Skips the test where it is missing, but in continuous integration, where it fails."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"no {program}: apt-get install nginx-light caddy logrotate"
        )
    return found


def example(name: str, **put: str) -> str:
    """The text of an example, with what is of the place where it runs put in; each must be in it."""
    text = (EXAMPLES / name).read_text()
    for old, new in put.items():
        assert old in text, f"{name} does not hold {old!r} any more"
        text = text.replace(old, new)
    return text


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class Tls:
    """A certificate for localhost and 127.0.0.1, and its key, as PEM files."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Tls:
        """Made now, good for a day."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
        )  # fmt: skip
        found = cls(folder / "hub.example.org.pem", folder / "hub.example.org.key")
        found.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                serialization.NoEncryption()))  # fmt: skip
        return found


@dataclass(frozen=True)
class Front:
    """A proxy that runs before a server."""

    url: str
    tls: Tls
    hub: HubInstance

    def ask(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, token: str = ""
    ) -> tuple[int, bytes]:
        """(status, body) of one request through the proxy."""
        trusted = ssl.create_default_context(cafile=str(self.tls.certificate))
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection = http.client.HTTPSConnection(urlsplit(self.url).netloc, context=trusted, timeout=60)
        with closing(connection):
            connection.request(method, path.removeprefix(self.url), data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextmanager
def running(command: list[str], port: int, **more: str) -> Iterator[None]:
    """While a proxy runs, from when it listens."""
    log = Path(more.pop("log"))
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **more}) as process,
    ):
        try:
            end = time.monotonic() + SECONDS
            while True:
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture(params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    program, port, tls = needed(request.param), free_port(), Tls.make(tmp_path)
    url = f"https://localhost:{port}"
    options = ("--url", url, "--proxy", "127.0.0.1", "--access-log", str(tmp_path / "access.log"))
    with HubInstance.start(tmp_path / "hub", organizations=("lab",), options=options) as hub:
        start = nginx if request.param == "nginx" else caddy
        with start(program, tmp_path, port, hub, tls):
            yield Front(url, tls, hub)


@contextmanager
def nginx(program: str, folder: Path, port: int, hub: HubInstance, tls: Tls) -> Iterator[None]:
    """nginx with the example as one of its sites."""
    site = example("nginx.conf", **{
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "http://127.0.0.1:8080": hub.url,
        "/etc/ssl/hub.example.org.pem": str(tls.certificate), "/etc/ssl/hub.example.org.key": str(tls.key),
    })  # fmt: skip
    (folder / "site.conf").write_text(site)
    kept = "".join(f"{each}_temp_path {folder}/{each};\n" for each in
                   ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    (folder / "main.conf").write_text(
        f"pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{kept}include {folder}/site.conf;\n}}\n"
    )
    command = [program, "-p", str(folder), "-c", str(folder / "main.conf"), "-e", "stderr"]
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "warn" not in done.stderr, done.stderr
    with running([*command, "-g", "daemon off;"], port, log=str(folder / "nginx.log")):
        yield


@contextmanager
def caddy(program: str, folder: Path, port: int, hub: HubInstance, tls: Tls) -> Iterator[None]:
    """Caddy with the example as its site; its own authority and its other ports are left out."""
    site = example("Caddyfile", **{
        "hub.example.org {": f"https://localhost:{port} {{\n\ttls {tls.certificate} {tls.key}",
        "127.0.0.1:8080": hub.url.removeprefix("http://"),
    })  # fmt: skip
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    words = ["--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    home = {name: str(folder / "caddy") for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    subprocess.run([program, "validate", *words], capture_output=True, check=True, env={**os.environ, **home})
    with running([program, "run", *words], port, log=str(folder / "caddy.log"), **home):
        yield


def test_twenty_megabytes_go_up_and_down_through_it(front: Front, tmp_path: Path) -> None:
    data, token = os.urandom(SIZE), front.hub.token
    oid = hashlib.sha256(data).hexdigest()
    made = {"name": "model", "organization": "lab", "private": True}
    assert front.ask("POST", "/api/repos/create", made, token)[0] == 200
    wanted = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": SIZE}]}
    status, answer = front.ask("POST", "/lab/model.git/info/lfs/objects/batch", wanted, token)
    href = json.loads(answer)["objects"][0]["actions"]["upload"]["href"]
    assert status == 200 and href.startswith(f"{front.url}/")
    assert front.ask("PUT", href, data)[0] == 200
    lines = [{"key": "header", "value": {"summary": "x"}},
             {"key": "lfsFile", "value": {"path": "weights.bin", "oid": oid, "size": SIZE}}]  # fmt: skip
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert front.ask("POST", "/api/models/lab/model/commit/main", body, token)[0] == 200
    assert front.ask("GET", "/lab/model/resolve/main/weights.bin")[0] == 404
    status, came = front.ask("GET", "/lab/model/resolve/main/weights.bin", token=token)
    assert (status, hashlib.sha256(came).hexdigest()) == (200, oid)
    assert front.ask("GET", "/metrics")[0] in (403, 404)
    assert front.ask("GET", "/healthz") == (200, b'{"status":"ok"}')


def test_the_access_log_is_rotated_while_the_server_serves(tmp_path: Path) -> None:
    program, log = needed("logrotate"), tmp_path / "access.log"
    with HubInstance.start(tmp_path / "hub", options=("--workers", "2", "--access-log", str(log))) as hub:
        told = example("logrotate.conf", **{
            "/var/log/glasshouse/access.log": str(log),
            "systemctl kill --kill-whom=main --signal=HUP glasshouse.service": f"kill -HUP {hub.process.pid}",
        })  # fmt: skip
        rules = tmp_path / "logrotate.conf"
        rules.write_text(told)
        rules.chmod(0o644)
        assert ask(hub, "GET", "/healthz?first")[0] == 200
        until(lambda: "/healthz" in log.read_text())  # the line is written after the answer
        command = [program, "--force", "--state", str(tmp_path / "state"), str(rules)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        moved = tmp_path / "access.log.1"
        assert asked_for(moved) == ["/healthz"]
        until(log.exists)
        batches = itertools.count()

        def are_all_in_the_new_one() -> bool:
            """Whether both workers have gone on, each in its own time; until they have, no line is lost, either."""
            batch = next(batches)
            paths = {f"/lab/{batch}/{number}" for number in range(20)}
            assert {ask(hub, "GET", path)[0] for path in paths} == {404}
            until(lambda: paths <= {*asked_for(moved), *asked_for(log)})
            return paths <= {*asked_for(log)}

        until(are_all_in_the_new_one)
        after = moved.read_text()
        assert are_all_in_the_new_one() and moved.read_text() == after
        paths = asked_for(moved) + asked_for(log)
        assert len(paths) == len(set(paths)) == 1 + 20 * next(batches)


def asked_for(log: Path) -> list[str]:
    """The paths that an access log tells of, a line each."""
    return [json.loads(line)["path"] for line in log.read_text().splitlines()]
