"""Which store keeps a server's large files: by the scheme of its URL, from one table.

To add a store: write a module beside `remote.py` with a class that keeps the laws of `BlobStore` (`blobs.py`), made
from a URL, that raises InputError for a URL it cannot read and Unavailable where nothing answers; and add a row with
its scheme to STORES. tests/registry/server/store/test_blobs.py holds every store to the laws: name it there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from registry.errors import InputError
from registry.files import write_atomic
from registry.server.store.blobs import BlobStore
from registry.server.store.local import LocalBlobs
from registry.server.store.places import BLOBS, BLOBS_URL
from registry.server.store.remote import RemoteBlobs

ANY_OTHER = "*"
STORES: dict[str, Callable[[str], BlobStore]] = {
    ANY_OTHER: RemoteBlobs,
}
"""{scheme: what makes the store at a URL}."""


def blob_store(root: Path, url: str | None = None) -> BlobStore:
    """The store of the server whose folder is `root`: at `url`, where it was first told to be, else in the folder.

    Raises InputError for another URL than the first one, or one that no store can read; Unavailable where nothing
    answers there.
    """
    place = root / BLOBS_URL
    known = place.read_text().strip() if place.exists() else None
    if url is not None and known is None and any((root / BLOBS / "sha256").glob("??/??/*")):
        raise InputError(f"the blobs of {root} are in it already, not at {url}", mend="leave --blobs out")
    if url is not None and known not in (None, url):
        raise InputError(f"the blobs of {root} are at {known}, not at {url}", mend="leave --blobs out")
    address = url or known
    if address is None:
        return LocalBlobs(root / BLOBS)
    if urlsplit(address).password is not None:
        raise InputError("a URL with a password would be kept in a file", mend="leave credentials to the environment")
    store = STORES.get(urlsplit(address).scheme, STORES[ANY_OTHER])(address)
    if known is None:
        write_atomic(place, f"{address}\n".encode())
    return store
