"""Ways to spoil a copy of a release: bytes, names, and what a bundle holds."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from registry.attest.verifier import Verifier
from registry.records import layout
from tests.e2e.tampering.world import Attempt, World

Spoil = Callable[[World, Path], Attempt | None]
PICKLE = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07weights\x94."
NEST = 10 << 20


def do(change: Callable[[Path], Any]) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        change(root)

    return spoil


def flip(path: str, place: int) -> Callable[[World, Path], None]:
    return edit(path, lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[World, Path], None]:
    return do(lambda root: (root / path).write_bytes(change((root / path).read_bytes())))


def write(path: str, data: bytes) -> Callable[[World, Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    return do(change)


def drop(path: str) -> Callable[[World, Path], None]:
    return do(lambda root: (root / path).unlink())


def verified(attempt: Attempt) -> Callable[[World, Path], Attempt]:
    return lambda world, root: attempt


def rename(path: str) -> Callable[[World, Path], None]:
    return do(lambda root: (root / path).rename(root / f"{path}x"))


def swap(one: str, other: str) -> Callable[[World, Path], None]:
    def change(root: Path) -> None:
        data = (root / one).read_bytes()
        (root / one).write_bytes((root / other).read_bytes())
        (root / other).write_bytes(data)

    return do(change)


def sparse(path: str) -> Callable[[World, Path], None]:
    return do(lambda root: os.truncate(root / path, 1 << 40))


def link(path: str, target: str) -> Callable[[World, Path], None]:
    return do(lambda root: (root / path).symlink_to(target))


def as_link(world: World, root: Path) -> None:
    root.rename(root.with_name("moved"))
    root.symlink_to("moved")


def take(where: str, *paths: str) -> Callable[[World, Path], None]:
    def spoil(world: World, root: Path) -> None:
        for path in paths:
            shutil.copyfile(getattr(world, where) / path, root / path)

    return spoil


def becomes(where: str, change: Spoil | None = None, verifier: Verifier | None = None) -> Spoil:
    """The copy is of another release of the world's, to which `change` is done; verified by `verifier`."""

    def spoil(world: World, root: Path) -> Attempt:
        shutil.rmtree(root)
        shutil.copytree(getattr(world, where), root)
        if change is not None:
            change(world, root)
        return Attempt(None, verifier)

    return spoil


def untimed(path: str) -> Callable[[World, Path], None]:
    """The bundle that a timestamp alone dates, without it; its certificate was for ten minutes."""

    def spoil(world: World, root: Path) -> None:
        document = json.loads((world.timed / path).read_bytes())
        document["verificationMaterial"].pop("timestampVerificationData")
        (root / path).write_text(json.dumps(document))

    return spoil


def in_json(path: str, change: Callable[[Any], Any]) -> Callable[[World, Path], None]:
    def edited(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return edit(path, edited)


def set_at(document: Any, place: str, value: Any) -> None:
    """Set what stands at `place`, or, by None, take it away."""
    *parents, last = place.split(".")
    for part in parents:
        document = document[int(part)] if part.isdecimal() else document[part]
    if value is None:
        del document[last]
    else:
        document[last] = value


def as_key(document: Any) -> None:
    material = document["verificationMaterial"]
    del material["certificate"]
    material["publicKey"] = {"hint": "0" * 64}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def certificates(path: str, change: Callable[[list[Any]], Any]) -> Callable[[World, Path], None]:
    """Change the chain of certificates in the bundle at `path`."""
    return in_json(path, lambda d: change(d["verificationMaterial"]["x509CertificateChain"]["certificates"]))


@cache
def zip_bomb() -> bytes:
    """An archive of archives: 60 kB that say they are 6 GB."""
    inner = _zipped({"zeros": bytes(60 << 20)})
    return _zipped({f"{number}.zip": inner for number in range(100)})


def gzip_bomb() -> bytes:
    """10 kB that are 10 MB of brackets."""
    return gzip.compress(b"[" * (10 << 20))


def _zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def kinds(paths: list[str]) -> list[str]:
    """The paths, but of the stages' statements, which are all of one kind, only the first."""
    stages = [path for path in paths if path.startswith(f"{layout.ATTESTATIONS}/{layout.STAGE}")]
    return [path for path in paths if path not in stages[1:]]


def bundle_paths(world: World) -> list[str]:
    folder = world.good / layout.ATTESTATIONS
    return [*(f"{layout.ATTESTATIONS}/{path.name}" for path in sorted(folder.iterdir())), layout.SIGNATURE]
