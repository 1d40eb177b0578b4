"""Licences as SPDX expressions: what a package's metadata says, what a file says, and whether a policy allows it.

Guessing is left out: wording that could mean two licences ("BSD", or "Apache Software License" without the text) means
none, and the documents are excluded with that as their reason.
Sources: SPDX 2.3, annexes D and E; Core metadata specifications 2.4 (PyPA), License-Expression, License, Classifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageMetadata

import license_expression
from license_expression import ExpressionError, LicenseExpression, Licensing

from registry.errors import InputError
from registry.records.data_row import NO_LICENCE

_WORDINGS = {
    "apache 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
}
"""What people write in the License field that can mean one licence only."""
_CLASSIFIERS = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
}
"""Classifiers that name one licence, with its version."""
_APACHE_TEXT = re.compile(r"\A.{0,400}?Apache License,? Version 2\.0, January 2004")
_IN_FILE = re.compile(rb"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{1,200})")
_EXPRESSION = re.compile(r"[A-Za-z0-9.+:() -]{1,500}")
_TOKEN = re.compile(r"[()]|[A-Za-z0-9.+:-]+")
_HEAD = 2048
"""Bytes at the start of a file in which its own licence is looked for."""


def normal(expression: str) -> str | None:
    """The expression in SPDX's own spelling, or None where it is not one."""
    parsed = _parse(expression)
    return None if parsed is None else str(parsed)


def required(expression: str, where: str) -> str:
    """The expression in SPDX's own spelling. Raises InputError that says `where` it stands."""
    found = normal(expression)
    if found is None:
        raise InputError(
            f"{where}: {expression!r} is not an SPDX licence expression",
            mend="use identifiers of https://spdx.org/licenses",
        )
    return found


def of_package(metadata: PackageMetadata) -> str:
    """The licence that a package's metadata states beyond doubt, or NO_LICENCE."""
    lines = metadata.get_all("License-Expression") or metadata.get_all("License") or []
    stated = " ".join(lines[0].split()) if len(lines) == 1 else ""
    if found := normal(stated) or _WORDINGS.get(stated.lower()):
        return found
    if _APACHE_TEXT.match(stated):
        return "Apache-2.0"
    named = [_CLASSIFIERS.get(line) for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    return named[0] if len(named) == 1 and named[0] else NO_LICENCE


def of_file(data: bytes) -> str | None:
    """The licence that a file's first lines state by SPDX-License-Identifier; None where they are silent."""
    if (match := _IN_FILE.search(data[:_HEAD])) is None:
        return None
    return normal(match[1].decode("ascii").strip()) or NO_LICENCE


def allows(licences: Iterable[str]) -> Callable[[str], bool]:
    """A test of expressions: `A OR B` passes where one of them is in `licences`, `A AND B` where both are.

    Raises InputError for one of `licences` that SPDX does not know.
    """
    known = frozenset(required(licence, "corpus.filters.licenses") for licence in licences)

    @cache
    def allowed(expression: str) -> bool:
        parsed = _parse(expression)
        return parsed is not None and _holds(parsed, known)

    return allowed


def _holds(parsed: LicenseExpression, known: frozenset[str]) -> bool:
    if isinstance(parsed, _licensing().OR):
        return any(_holds(part, known) for part in parsed.args)
    if isinstance(parsed, _licensing().AND):
        return all(_holds(part, known) for part in parsed.args)
    return str(parsed) in known


def _parse(expression: str) -> LicenseExpression | None:
    if not _EXPRESSION.fullmatch(expression) or not _well_formed(expression):
        return None
    try:
        return _licensing().parse(expression, validate=True, strict=True)
    except ExpressionError:
        return None


def _well_formed(expression: str) -> bool:
    """Whether operands and operators alternate and parentheses pair; over some that do not, the library stumbles."""
    depth, operand_next = 0, True
    for token in _TOKEN.findall(expression):
        operator = token.upper() in ("AND", "OR", "WITH")
        if operand_next == (operator or token == ")"):
            return False
        depth += (token == "(") - (token == ")")
        if depth < 0:
            return False
        operand_next = operator or token == "("
    return depth == 0 and not operand_next


@cache
def _licensing() -> Licensing:
    return license_expression.get_spdx_licensing()
