"""What a private Sigstore instance is trusted by, fetched from its TUF repository: checked, and kept from then on.

The repository is asked by the client workflow of The Update Framework: each root is signed by the one before it, and
what is expired, rolled back or mixed from several versions is refused. What comes out is one file, a trust config, that
signs and verifies without asking again. It says nothing of its own age: fetch it again whenever the network is there.
Source: The Update Framework specification 1.0, section 5; sigstore/root-signing, the targets' names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from sigstore.errors import Error as SigstoreError
from sigstore.models import ClientTrustConfig
from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from registry import canonical
from registry.attest.sigstore.config import CONFIG_TYPE, MAX_BYTES, first_line
from registry.errors import InputError, SignatureError, Unavailable
from registry.files import cache_folder, read_bytes

ROOT_TARGET = "trusted_root.json"
SIGNING_TARGET = "signing_config.v0.2.json"
"""The targets' names, as every Sigstore instance has them."""
MAX_ROOT_BYTES = 512_000
"""The largest root that a TUF client reads, unless told otherwise."""


def trust_config(url: str, root: Path | None = None, *, cache: Path | None = None) -> bytes:
    """The trust config of the instance whose TUF repository is at `url`, as canonical JSON.

    root: the instance's root.json, which you trust already; None: the newest that was seen here at an earlier time.
    cache: where the metadata seen so far is kept, so that nothing older is accepted again; default: `seen_folder()`.
    Raises InputError for a root that is none, and where there is none yet; SignatureError where the repository does not
    hold; Unavailable where it does not answer.
    """
    if urlsplit(url).scheme not in ("https", "http"):
        raise InputError(f"{url[:200]!r} is not the address of a TUF repository", mend="https://tuf.sigstore.example")
    url = url.rstrip("/")
    folder = (cache or seen_folder()) / quote(url, safe="")
    metadata, targets = folder / "metadata", folder / "targets"
    if root is None and not (metadata / "root.json").exists():
        raise InputError(
            f"nothing is known of {url} yet", mend="give its root, from a place that you trust: --root FILE"
        )
    start = None if root is None else _root(root)
    with _in_our_words(url, root):
        for place in (metadata, targets):
            place.mkdir(parents=True, exist_ok=True)
        updater = Updater(
            str(metadata), url, str(targets), f"{url}/targets/", bootstrap=start,
            config=UpdaterConfig(root_max_length=MAX_ROOT_BYTES, app_user_agent="glasshouse"),
        )  # fmt: skip
        updater.refresh()
        parts = {"trustedRoot": _target(updater, ROOT_TARGET), "signingConfig": _target(updater, SIGNING_TARGET)}
        config = canonical.dumps({"mediaType": CONFIG_TYPE, **parts})
        checked = ClientTrustConfig.from_json(config.decode())
        _ = checked.trusted_root, checked.signing_config  # each is checked when it is asked for
    return config


def seen_folder() -> Path:
    """Where the metadata of instances is kept, unless the caller names another folder."""
    return cache_folder() / "tuf"


def _root(path: Path) -> bytes:
    data = read_bytes(path, MAX_ROOT_BYTES)
    canonical.parse(data, name=path.name, max_bytes=MAX_ROOT_BYTES)
    return data


def _target(updater: Updater, name: str) -> object:
    info = updater.get_targetinfo(name)
    if info is None:
        raise RepositoryError(f"it has no {name}, so it does not belong to a Sigstore instance")
    if info.length > MAX_BYTES:
        raise RepositoryError(f"its {name} has {info.length} bytes, more than the {MAX_BYTES} allowed")
    found = updater.find_cached_target(info) or updater.download_target(info)
    return canonical.read(Path(found), max_bytes=MAX_BYTES)


@contextmanager
def _in_our_words(url: str, root: Path | None) -> Iterator[None]:
    mend = "ask whoever runs the instance; what was fetched before stays as it was"
    try:
        yield
    except DownloadError as problem:
        raise Unavailable(f"{url} does not answer: {first_line(problem)}", mend="check the address") from problem
    except ExpiredMetadataError as problem:
        raise SignatureError(f"what {url} serves is out of date: {first_line(problem)}", mend=mend) from problem
    except RepositoryError as problem:
        trusted = f"the root in {root}" if root else "the root that was trusted before"
        raise SignatureError(f"{url} does not hold, by {trusted}: {first_line(problem)}", mend=mend) from problem
    except (SigstoreError, InputError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise SignatureError(f"{url} does not serve a trust config: {first_line(problem)}", mend=mend) from problem
    except OSError as problem:
        raise Unavailable(
            f"what {url} serves cannot be kept: {first_line(problem)}", mend="check the disk"
        ) from problem
