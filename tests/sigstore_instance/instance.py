"""A whole Sigstore in one process, for as long as a block runs."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from registry import canonical
from registry.files import write_atomic
from tests.sigstore_instance.ca import Fulcio
from tests.sigstore_instance.ctlog import CertificateLog
from tests.sigstore_instance.keys import kept_key
from tests.sigstore_instance.log import TransparencyLog
from tests.sigstore_instance.login import Logins
from tests.sigstore_instance.oidc import ISSUER, Issuer
from tests.sigstore_instance.rekor import RekorV1, RekorV2
from tests.sigstore_instance.server import Server, Services
from tests.sigstore_instance.trust import trust_config, trusted_root
from tests.sigstore_instance.tsa import TimestampAuthority
from tests.sigstore_instance.tuf import TufRepository

ORIGIN = "sigstore-instance.test"
MAX_PORT = 65535


@dataclass(frozen=True)
class SigstoreInstance:
    """A running instance. Its keys, certificates and logs stay in `folder`: a second start continues it.

    folder: holds trust-config.json (Rekor 1), trust-config-rekor2.json (with timestamps), trusted-root.json (all that
    a verifier needs; the same bytes at every start), url (written last: there once the instance answers), keys, logs.
    """

    folder: Path
    url: str
    services: Services

    @property
    def issuer(self) -> str:
        """The issuer that its certificates name."""
        return ISSUER

    @property
    def trust_config_path(self) -> Path:
        """For signing and verifying, with Rekor 1."""
        return self.folder / "trust-config.json"

    @property
    def trust_config_rekor2_path(self) -> Path:
        """For signing and verifying, with Rekor 2 and the timestamp authority."""
        return self.folder / "trust-config-rekor2.json"

    @property
    def trusted_root_path(self) -> Path:
        """For verifying."""
        return self.folder / "trusted-root.json"

    @property
    def tuf_url(self) -> str:
        """Where its TUF repository is, once `publish_tuf` was called."""
        return f"{self.url}/tuf"

    def publish_tuf(self) -> TufRepository:
        """Publish its trust config (with Rekor 1) by TUF."""
        repository = TufRepository(self.folder / "tuf", self.folder / "keys")
        config = canonical.read(self.trust_config_path)
        parts = {"trusted_root.json": config["trustedRoot"], "signing_config.v0.2.json": config["signingConfig"]}
        repository.publish({name: canonical.dumps(part) for name, part in parts.items()})
        return repository

    def token(
        self,
        identity: str,
        *,
        audience: str = "sigstore",
        lifetime: int = 600,
        claims: Mapping[str, str] | None = None,
    ) -> str:
        """An identity token for `identity`, valid `lifetime` seconds from now; `claims` are those of a CI run."""
        return self.services.issuer.token(identity, audience=audience, lifetime=lifetime, claims=claims)

    @classmethod
    @contextmanager
    def start(cls, folder: Path, *, port: int = 0) -> Iterator[Self]:
        """Serve from `folder` while the block runs, at `port`, else at the last port, else at any free one.

        Raises RuntimeError where another process serves from the same folder: two would fork the logs.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _only_one(folder / "lock"):
            services, root = _services(folder)
            server = _bind(services, port, folder / "url")
            for path, document in {
                "trusted-root.json": root,
                "trust-config.json": trust_config(root, server.url, rekor=1),
                "trust-config-rekor2.json": trust_config(root, server.url, rekor=2),
            }.items():
                write_atomic(folder / path, canonical.dumps(document))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            write_atomic(folder / "url", server.url.encode())
            try:
                yield cls(folder, server.url, services)
            finally:
                server.shutdown()
                thread.join()
                server.server_close()


def issuer_of(folder: Path) -> Issuer:
    """The issuer whose key is kept in `folder`, whether or not the instance is running."""
    return Issuer(kept_key(folder / "keys" / "issuer.key"))


def _services(folder: Path) -> tuple[Services, dict[str, Any]]:
    keys = folder / "keys"
    certificate_log = CertificateLog(kept_key(keys / "ctlog.key"))
    logs = [
        TransparencyLog(
            folder / f"rekor{version}.log", f"{ORIGIN}/rekor{version}", kept_key(keys / f"rekor{version}.key")
        )
        for version in (1, 2)
    ]
    issuer = issuer_of(folder)
    services = Services(
        issuer=issuer,
        logins=Logins(issuer),
        fulcio=Fulcio(keys, certificate_log),
        rekor1=RekorV1(logs[0]),
        rekor2=RekorV2(logs[1]),
        tsa=TimestampAuthority(keys),
        tuf=folder / "tuf",
    )
    root = trusted_root(
        logs=logs, certificate_log=certificate_log.key, fulcio=services.fulcio.chain, tsa=services.tsa.chain
    )
    return services, root


def _bind(services: Services, port: int, last: Path) -> Server:
    if port:
        return Server(services, port)
    number = last.read_text().rpartition(":")[2] if last.exists() else ""
    last.unlink(missing_ok=True)
    if number.isdecimal() and int(number) <= MAX_PORT:
        try:
            return Server(services, int(number))
        except OSError:
            pass  # taken meanwhile: the trust configs are written anew for another
    return Server(services, 0)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise RuntimeError(f"another instance is serving from {path.parent}") from problem
        yield
    finally:
        os.close(descriptor)
