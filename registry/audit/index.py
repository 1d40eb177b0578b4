"""Where packages come from, as an auditor's variables say it, and how much of that a release's packages may know.

Installing a package can run its code. So what installs sees the addresses that need no password, and no variable beside
those named here. Where there is something to hide, files are fetched before, by a command that runs no code of any
package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from registry.variables import PIP_FIND_LINKS

INSTALLING = ("PIP_", "UV_")
"""Variables that say where packages come from begin so."""
ADDRESSES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", PIP_FIND_LINKS, "PIP_TRUSTED_HOST",
    "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INSECURE_HOST",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
)  # fmt: skip
"""Variables that hold addresses, each perhaps with a password."""
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PLAIN = (
    "PIP_NO_INDEX", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "UV_NO_INDEX", "UV_INDEX_STRATEGY",
    "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", *CERTIFICATES,
)  # fmt: skip
"""Variables that hold no secret: switches, times, and where certificates lie."""
KEYS = ("PIP_CONFIG_FILE", "PIP_CLIENT_CERT")
"""Variables that say where pip finds passwords and keys."""
TOLD_TO_UV = {PIP_FIND_LINKS: "UV_FIND_LINKS", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL", "PIP_CERT": "SSL_CERT_FILE"}
"""Those of pip that uv has under names of its own."""
DEFAULT = {"PIP_INDEX_URL": "PIP_NO_INDEX", "UV_INDEX_URL": "UV_NO_INDEX", "UV_DEFAULT_INDEX": "UV_NO_INDEX"}
"""Variables that stand for the public index -> what says that none is to be asked."""


def public(variables: Mapping[str, str]) -> dict[str, str]:
    """What packages may know of `variables` while they are installed."""
    kept = {name: _open(value) for name, value in variables.items() if name in ADDRESSES and _open(value)}
    kept |= {silent: "1" for name, silent in DEFAULT.items() if name in variables and name not in kept}
    kept |= {name: value for name, value in variables.items() if name in PLAIN}
    for ours, theirs in TOLD_TO_UV.items():
        if ours in kept:
            kept.setdefault(theirs, kept[ours])
    kept.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # the digests in the lock say what is right
    return kept


def whole(variables: Mapping[str, str]) -> dict[str, str]:
    """All that `variables` say of where packages come from, passwords too: for what fetches them, and runs none."""
    return {
        name: value for name, value in variables.items() if name.startswith(INSTALLING) or name in (*ADDRESSES, *PLAIN)
    }


def hides(variables: Mapping[str, str]) -> bool:
    """Whether packages cannot be had by what `public` leaves of `variables`."""
    closed = (
        _open(value).split() != re.split(r"[\s,]+", value) for name, value in variables.items() if name in ADDRESSES
    )
    return any(closed) or any(name in variables for name in KEYS)


def files(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """Local folders that packages come from, and files of certificates."""
    words = [*variables.get(PIP_FIND_LINKS, "").split(), *(variables.get(name, "") for name in CERTIFICATES)]
    return tuple(Path(word) for word in words if word and Path(word).exists())


def _open(value: str) -> str:
    """Those addresses that say neither who asks nor with what: without an @, and without a query."""
    words = (word for word in re.split(r"[\s,]+", value) if "@" not in word and "?" not in word)
    return " ".join(word for word in words if word)
