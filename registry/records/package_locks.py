"""Locks of packages, as their tools write them: what they pin, and, where they have digests, what pip is to install.

    requirements file    each line that pins a version, if it has its digests
    pylock.toml          each package with the digests of its files     PEP 751
    poetry.lock          the same; groups other than `main` are left out
    uv.lock              uv exports it (registry.audit.packages); what it pins is read here
    others               only what they pin is read, if that; who has the tool makes the environment with it

Laws: of any bytes, `requirements` gives lines of pip that name a version and at least one SHA-256, and nothing else: no
option, no address, no other file; or it raises. `pinned` raises Malformed, or gives names and versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from registry import canonical
from registry.errors import Malformed, Unavailable
from registry.records.layout import LockTool

MAX_BYTES = 32 << 20
MAX_PACKAGES = 20_000
MAX_MARKER = 1000
"""Characters of the condition under which a package is needed."""

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
VERSION = r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}"
LINE = re.compile(
    rf"(?P<name>{NAME})(?:\[[A-Za-z0-9,._ -]{{1,200}}\])? ?== ?(?P<version>{VERSION})"
    r"(?: ?;(?P<marker>[^#\\;]{1,1000}?))?(?P<hashes>(?: +--hash=sha256:[0-9a-f]{64})*)"
)
"""A requirement of pip that pins one version, lines joined and comments left out."""
HASH = re.compile(r"sha256:[0-9a-f]{64}")
_BETWEEN = re.compile(r"[-_.]+")
CURRENT = "make the environment yourself, and give its interpreter: --environment current --python ENV/bin/python"


def normal_name(package: str) -> str:
    """The one spelling of the name `package`, by which indexes know it. Source: packaging.python.org, "Names and
    normalization". A test holds it to `packaging.utils.canonicalize_name`, which takes 20 ms to import."""
    return _BETWEEN.sub("-", package).lower()


def requirements(kind: LockTool, data: bytes, name: str) -> str:
    """The lines of pip for the lock in `data`, called `name` in errors.

    Raises Malformed for bytes that are not of the format, Unavailable for a lock without digests, or of a tool whose
    lock is not read.
    """
    match kind:
        case "pip":
            rows = list(_pip(data, name))
            if bare := [row["name"] for row in rows if not row["hashes"]]:
                raise Unavailable(
                    f"{name} has no digest of {', '.join(bare[:3])}{' and others' if len(bare) > 3 else ''}, and "
                    "nothing without one is installed",
                    mend=f"ask the maintainer for digests (uv pip compile --generate-hashes), or {CURRENT}",
                )
            return "".join(_line(row.groupdict(), _of_pip(row), name) for row in rows)
        case "pylock":
            return "".join(_line(row, _of_pylock(row, name), name) for row in _packages(data, "packages", name))
        case "poetry":
            return "".join(_line(row, _of_poetry(row, name), name) for row in _main(data, name))
    raise Unavailable(f"no environment is made here from {name}, which is of {kind}", mend=CURRENT)


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of one package, as a lock pins it."""

    name: str
    """As PyPI spells names."""
    version: str
    """The version."""
    marker: str | None = None
    """Where it is needed, as the lock says it; None: everywhere."""


def pinned(kind: LockTool, data: bytes, name: str) -> dict[str, str] | None:
    """Version by name, as PyPI spells names, of each package that a lock pins for such a machine; None where it is not
    read.

    Raises Malformed for bytes that are not of the format.
    """
    found = pins(kind, data, name)
    return None if found is None else {pin.name: pin.version for pin in found if _is_for_here(pin.marker)}


def pins(kind: LockTool, data: bytes, name: str) -> tuple[Pin, ...] | None:
    """Each package that a lock pins, for whichever machine; None where the lock is not read. Raises as `pinned`."""
    match kind:
        case "pip":
            rows: Iterator[tuple[Any, Any, Any]] = (
                (row["name"], row["version"], row["marker"]) for row in _pip(data, name)
            )
        case "pylock":
            rows = (_pin(row, row.get("marker")) for row in _packages(data, "packages", name))
        case "uv" | "pdm":  # what uv.lock has of the project itself has a place, and not a registry
            rows = (_pin(row, None) for row in _packages(data, "package", name) if not _is_own(row))
        case "poetry":
            rows = (_pin(row, _main_marker(row)) for row in _main(data, name))
        case "pipenv":
            rows = ((*row, None) for row in _pipfile(data, name))
        case _:
            return None
    found = tuple(
        Pin(normal_name(package), version, marker if isinstance(marker, str) else None)
        for package, version, marker in rows
        if isinstance(package, str) and isinstance(version, str)
    )
    if len(found) > MAX_PACKAGES:
        _refuse(name, f"more than {MAX_PACKAGES} packages")
    return found


def _pin(row: Mapping[str, Any], marker: Any) -> tuple[Any, Any, Any]:
    return row.get("name"), row.get("version"), marker


def _pip(data: bytes, name: str) -> Iterator[re.Match[str]]:
    """Each requirement of a file of pip's. Raises Malformed for any other line."""
    text = _text(data, name).replace("\r\n", "\n").replace("\t", " ").replace("\\\n", " ")
    while "  " in text:  # or a long run takes time in its square
        text = text.replace("  ", " ")
    for line in text.split("\n"):
        words = (re.sub(r"(^|\s)#.*", "", line) if "#" in line else line).strip()
        if words and words not in ("--require-hashes", "--no-deps"):
            found = LINE.fullmatch(words)
            if found is None:
                _refuse(name, f"the line {words[:80]!r} does not pin one version of one package")
            yield found


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        _refuse(name, f"more than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        _refuse(name, "bytes that are not UTF-8")


def _toml(data: bytes, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_text(data, name))
    except (ValueError, RecursionError) as problem:
        _refuse(name, str(problem)[:200])


def _packages(data: bytes, key: str, name: str) -> list[dict[str, Any]]:
    rows = _toml(data, name).get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or len(rows) > MAX_PACKAGES:
        _refuse(name, f"`{key}` is not a list of at most {MAX_PACKAGES} tables")
    return rows


def _main(data: bytes, name: str) -> list[dict[str, Any]]:
    """The packages of poetry.lock that a project needs, without those of other groups, and optional ones."""
    found = _packages(data, "package", name)
    return [row for row in found if "main" in row.get("groups", ("main",)) and row.get("optional") is not True]


def _is_own(row: Mapping[str, Any]) -> bool:
    source = row.get("source")
    return isinstance(source, dict) and bool(source.keys() & {"virtual", "editable", "directory"})


def _of_pip(row: re.Match[str]) -> tuple[Any, list[Any]]:
    """(marker, digests) of a line of pip's."""
    return row["marker"], row["hashes"].replace("--hash=", " ").split()


def _of_poetry(row: Mapping[str, Any], name: str) -> tuple[Any, list[Any]]:
    """(marker, digests) of a package in poetry.lock."""
    if isinstance(source := row.get("source"), dict) and source.get("type") not in (None, "legacy"):
        _bare(row, name)
    files = row.get("files")
    hashes = [file.get("hash") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return _main_marker(row), hashes


def _main_marker(row: Mapping[str, Any]) -> Any:
    """Where a package in poetry.lock is needed: one marker, or one for each group."""
    marker = row.get("markers")
    return marker.get("main") if isinstance(marker, dict) else marker


def _is_for_here(marker: str | None) -> bool:
    """Whether a package with that marker is installed on a machine like this. A marker that cannot be read counts."""
    if marker is None or len(marker) > MAX_MARKER:
        return True
    from packaging.markers import Marker

    try:
        return Marker(marker).evaluate()
    except (ValueError, RecursionError):  # a marker that is not one, or that compares what it cannot
        return True


def _of_pylock(row: Mapping[str, Any], name: str) -> tuple[Any, list[Any]]:
    """(marker, digests) of a package in pylock.toml."""
    if row.keys() & {"vcs", "directory", "archive"}:
        _bare(row, name)
    wheels = row.get("wheels")
    files = [*(wheels if isinstance(wheels, list) else []), row.get("sdist")]
    hashes = [file["hashes"] for file in files if isinstance(file, dict) and isinstance(file.get("hashes"), dict)]
    return row.get("marker"), [f"sha256:{found['sha256']}" for found in hashes if "sha256" in found]


def _line(row: Mapping[str, Any], rest: tuple[Any, list[Any]], name: str) -> str:
    """A line of pip for one package."""
    package, version, (marker, hashes) = row.get("name"), row.get("version"), rest
    if not (isinstance(package, str) and re.fullmatch(NAME, package)):
        _refuse(name, f"the name {str(package)[:80]!r}")
    if not (isinstance(version, str) and re.fullmatch(VERSION, version)):
        _refuse(name, f"the version {str(version)[:80]!r} of {package}")
    good = [found for found in hashes if isinstance(found, str) and HASH.fullmatch(found)]
    if not good:
        _bare(row, name)
    where = f" ; {_marker(marker, name)}" if marker is not None else ""
    return " ".join([f"{package}=={version}{where}", *(f"--hash={found}" for found in good)]) + "\n"


def _marker(text: Any, name: str) -> str:
    """A marker, as its own reader writes it again: of one line, and nothing but a marker."""
    from packaging.markers import InvalidMarker, Marker

    try:
        said = str(Marker(text)) if isinstance(text, str) and len(text) <= MAX_MARKER else ""
    except (InvalidMarker, RecursionError):
        said = ""
    if not said or not said.isprintable() or re.search(r"[#\\;]|--", said):
        _refuse(name, f"the marker {str(text)[:80]!r}")
    return said


def _pipfile(data: bytes, name: str) -> Iterator[tuple[Any, Any]]:
    value = canonical.parse(data, name=name, max_bytes=MAX_BYTES)
    rows = value.get("default") if isinstance(value, dict) else None
    if not isinstance(rows, dict):
        _refuse(name, "no map `default`")
    for package, row in rows.items():
        version = row.get("version") if isinstance(row, dict) else None
        yield package, version.removeprefix("==") if isinstance(version, str) else None


def _bare(row: Mapping[str, Any], name: str) -> NoReturn:
    raise Unavailable(
        f"{name} has no SHA-256 of the files of {str(row.get('name'))[:80]}, and nothing without one is installed",
        mend=f"ask the maintainer to take it from a registry, or {CURRENT}",
    )


def _refuse(name: str, found: str) -> NoReturn:
    raise Malformed(f"{name} is not a lock of packages that is read here: {found}", mend=CURRENT)
