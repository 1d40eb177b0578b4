"""The versions of releases: how they are written, as tags too, and which comes after which."""

from __future__ import annotations

import re

from registry.errors import InputError

FORM = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)
Version = tuple[int, int, int]
"""major, minor and patch: versions come in the order of these numbers."""


def parse(text: str) -> Version:
    """The version `1.2.3`, or `v1.2.3`. Raises InputError for anything else."""
    found = numbers(text if text.startswith("v") else f"v{text}")
    if found is None:
        raise InputError(f"the version {text[:40]!r} is not of the form 1.2.3", mend="for example: --version 1.0.0")
    return found


def numbers(tag: str) -> Version | None:
    """The version that a tag names, such as `v1.2.3`; None for a tag that names none."""
    match = FORM.fullmatch(tag.removeprefix("v")) if tag.startswith("v") else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def order(tag: str) -> tuple[tuple[int, ...], str]:
    """To sort tags by: versions by their numbers, everything else before them."""
    return numbers(tag) or (), tag


def tag_of(version: Version) -> str:
    """The tag of a version."""
    return "v" + ".".join(map(str, version))
