"""What decides the answers of any work, beside the work and its shard: our code, Python, and the packages that it uses.

Two processes with the same identity give the same answers, on whichever machine they run.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import pipelines
import registry
from registry import canonical
from registry.digest import sha256_bytes

EXTRAS = ("", "pipelines", "languages")
"""The parts of this package whose requirements the stages of data use; "": what every part needs."""


@cache
def own_identity() -> str:
    """The digest of it all in this process, as 64 lowercase hex characters."""
    return canonical.digest({"python": platform.python_version(), "code": _code(), "packages": dict(_packages())})


def _code() -> dict[str, str]:
    """The digest of each file of Python of ours."""
    folders = [Path(str(package.__file__)).parent for package in (pipelines, registry)]
    files = [(folder.parent, path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    return {path.relative_to(above).as_posix(): sha256_bytes(path.read_bytes()) for above, path in files}


def _packages() -> Iterator[tuple[str, str | None]]:
    """The version of each package that is required; None where it is not installed."""
    for requirement in map(Requirement, requires("glasshouse") or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in EXTRAS):
            try:
                yield requirement.name, version(requirement.name)
            except PackageNotFoundError:
                yield requirement.name, None
