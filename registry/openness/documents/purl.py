"""Package URLs. Source: the purl specification (ECMA-427)."""

from __future__ import annotations

from urllib.parse import quote

SCHEME = "pkg:"


def pypi(name: str, version: str) -> str:
    """A version of a package on PyPI; `name` as PyPI spells names."""
    return f"pkg:pypi/{_part(name)}@{_part(version)}"


def huggingface(repo: str, commit: str | None = None) -> str:
    """A model of the Hub, at a commit where one is known: there a tag is not a version."""
    owner, _, name = repo.partition("/")
    return f"pkg:huggingface/{_part(owner)}/{_part(name)}{f'@{commit}' if commit else ''}"


def python(version: str) -> str:
    """A version of Python."""
    return f"pkg:generic/python@{_part(version)}"


def of_source(name: str) -> str | None:
    """The package URL that a source of documents is named by; None where it is named otherwise."""
    return name if name.startswith(SCHEME) and name.isascii() and not any(map(str.isspace, name)) else None


def _part(text: str) -> str:
    return quote(text, safe="")
