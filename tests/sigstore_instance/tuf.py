"""The instance's TUF repository: what its clients trust it by, signed, as sigstore/root-signing publishes it.

Source: The Update Framework specification 1.0, sections 4 (file formats) and 6 (how a repository is written).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from registry.digest import sha256_bytes
from registry.files import write_atomic
from tests.sigstore_instance.keys import kept_key

YEAR = timedelta(days=365)


class TufRepository:
    """A repository in a folder, of which each `publish` makes a new version. A second one continues the first."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.folder = folder
        self._keys = keys
        self.version = len(list(folder.glob("*.targets.json")))
        self.root_version = len(list(folder.glob("*.root.json")))
        self._key, self._root_key = self._signer("tuf"), self._signer(f"tuf-root-{self.root_version or 1}")
        if not self.root_version:
            self._write_root(by=[self._root_key])

    @property
    def root_path(self) -> Path:
        """The first root: what a client is given by another way."""
        return self.folder / "1.root.json"

    def publish(self, targets: Mapping[str, bytes], *, lifetime: timedelta = YEAR) -> None:
        """The next version, with these targets, of which a client must not make use after `lifetime`."""
        self.version += 1
        ends = datetime.now(UTC).replace(microsecond=0) + lifetime
        files = {name: TargetFile.from_data(name, data, ["sha256"]) for name, data in targets.items()}
        for name, data in targets.items():
            write_atomic(self.folder / "targets" / f"{sha256_bytes(data)}.{name}", data)
        self._write("targets", Targets(version=self.version, expires=ends, targets=files))
        listed = {"targets.json": MetaFile(self.version)}
        self._write("snapshot", Snapshot(version=self.version, expires=ends, meta=listed))
        newest = Timestamp(version=self.version, expires=ends, snapshot_meta=MetaFile(self.version))
        write_atomic(self.folder / "timestamp.json", self._signed(newest))

    def rotate(self) -> None:
        """A new root key, which the old one vouches for."""
        old, self._root_key = self._root_key, self._signer(f"tuf-root-{self.root_version + 1}")
        self._write_root(by=[old, self._root_key])

    def _write_root(self, *, by: list[CryptoSigner]) -> None:
        self.root_version += 1
        root = Root(version=self.root_version, expires=datetime.now(UTC).replace(microsecond=0) + 10 * YEAR)
        root.add_key(self._root_key.public_key, Root.type)
        for role in (Targets.type, Snapshot.type, Timestamp.type):
            root.add_key(self._key.public_key, role)
        metadata = Metadata(root)
        for signer in by:
            metadata.sign(signer, append=True)
        write_atomic(self.folder / f"{self.root_version}.root.json", metadata.to_bytes())

    def _write(self, role: str, signed: Targets | Snapshot) -> None:
        write_atomic(self.folder / f"{self.version}.{role}.json", self._signed(signed))

    def _signed(self, signed: Targets | Snapshot | Timestamp) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        metadata.sign(self._key)
        return metadata.to_bytes()

    def _signer(self, name: str) -> CryptoSigner:
        return CryptoSigner(kept_key(self._keys / f"{name}.key").private)
