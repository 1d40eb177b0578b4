"""Where a Sigstore instance is, and what it is trusted by: files in, the library's objects out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NoReturn

from sigstore.errors import Error as SigstoreError
from sigstore.errors import TUFError
from sigstore.models import ClientTrustConfig, TrustedRoot

from registry import canonical
from registry.errors import InputError, Unavailable

MAX_BYTES = 4 << 20
CONFIG_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"

logging.getLogger("sigstore").addHandler(logging.NullHandler())  # else it speaks on stderr in our name


def client_config(path: Path | None) -> ClientTrustConfig:
    """The trust config (root and addresses) at `path`; None: of the public instance, as it publishes it now.

    Raises InputError for a file that is none, and Unavailable where the public instance cannot be asked.
    """
    if path is None:
        return public_config(offline=False)
    document = canonical.read(path, max_bytes=MAX_BYTES)
    try:
        config = ClientTrustConfig.from_json(canonical.dumps(document).decode())
        _ = config.trusted_root, config.signing_config  # each is checked when it is asked for
    except (SigstoreError, ValueError) as problem:
        _refuse(path, problem)
    return config


def trusted_root(path: Path | None, *, refresh: bool = False) -> TrustedRoot:
    """What to verify by: a trusted root, or the one in a trust config, at `path`; None: the public instance's.

    The public root is the newest one that this machine has seen, or that sigstore-python was released with;
    `refresh` asks for the one published now. Raises as `client_config` does.
    """
    if path is None:
        return public_config(offline=not refresh).trusted_root
    document = canonical.read(path, max_bytes=MAX_BYTES)
    if isinstance(document, dict) and document.get("mediaType") == CONFIG_TYPE:
        return client_config(path).trusted_root
    try:
        return TrustedRoot.from_file(str(path))
    except (SigstoreError, ValueError) as problem:
        _refuse(path, problem)


def public_config(*, offline: bool) -> ClientTrustConfig:
    """The trust config of the public instance. Raises Unavailable where it is to be had neither here nor there."""
    try:
        return ClientTrustConfig.production(offline=offline)
    except (TUFError, OSError) as problem:
        raise Unavailable(
            f"the trust root of the public Sigstore instance cannot be had: {first_line(problem)}",
            mend="check the network, or give a trust root that you already trust: --trust-config FILE",
        ) from problem


def first_line(problem: object) -> str:
    """The first line of a text, at most 300 characters; for an exception without words its kind."""
    lines = str(problem).strip().splitlines()
    return lines[0][:300] if lines else type(problem).__name__


def _refuse(path: Path, problem: Exception) -> NoReturn:
    raise InputError(
        f"{path} does not describe a Sigstore instance: {first_line(problem)}",
        mend="give the instance's trusted_root.json, or its ClientTrustConfig JSON",
    ) from problem
