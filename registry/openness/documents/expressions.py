"""Licences, as documents can name them: SPDX expressions, and other names."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression


def is_expression(name: str) -> bool:
    """Whether `name` is an SPDX expression of known identifiers. NOASSERTION is not: it says that nobody knows."""
    try:
        canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return False
    return True


def together(names: Iterable[str]) -> str | None:
    """One expression for what is under all of `names`, each part under its own; None where one of them is not one."""
    found = sorted(set(names))
    if not found or not all(map(is_expression, found)):
        return None
    return " AND ".join(f"({name})" if " OR " in name and len(found) > 1 else name for name in found)
