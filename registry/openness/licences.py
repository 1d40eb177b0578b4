"""Which licences are open, and for which type of component: a list of what is, never of what is not.

    OPEN          an open licence of the component's own type
    CONDITIONAL   an open licence that was written for another type: it counts, on that condition
    CLOSED        any other, and what is not an SPDX expression

Laws: `A AND B` is graded as the worse of the two, `A OR B` as the better; letters' case does not count; whatever the
bytes, `grade` answers.
Sources: the Model Openness Framework 1.0, section on licences; the SPDX licence list, its marks `OSI approved` and
`FSF libre`; SPDX 2.3, annex D (expressions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum

from registry.hub.licence_names import SPELT_OTHERWISE
from registry.openness.framework import Kind

MAX_LENGTH = 2000
"""Characters of an expression."""
MAX_DEPTH = 20
"""Parentheses within parentheses."""


class Grade(IntEnum):
    """How a licence suits a component; more is better."""

    CLOSED = 0
    """It is not known to be open."""
    CONDITIONAL = 1
    """It is open, and of another type."""
    OPEN = 2
    """It is open, and of the component's type."""


OSI = frozenset(
    """
    0BSD AAL AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 AGPL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0
    APL-1.0 APSL-1.0 APSL-1.1 APSL-1.2 APSL-2.0 Artistic-1.0 Artistic-1.0-cl8 Artistic-1.0-Perl Artistic-2.0
    BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-LBNL BSL-1.0 CAL-1.0
    CAL-1.0-Combined-Work-Exception CATOSL-1.1 CDDL-1.0 CECILL-2.1 CERN-OHL-P-2.0 CERN-OHL-S-2.0 CERN-OHL-W-2.0
    CNRI-Python CPAL-1.0 CPL-1.0 CUA-OPL-1.0 ECL-1.0 ECL-2.0 EFL-1.0 EFL-2.0 Entessa EPL-1.0 EPL-2.0 EUDatagrid EUPL-1.1
    EUPL-1.2 Fair Frameworx-1.0 GPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0 GPL-3.0-only GPL-3.0-or-later HPND Intel
    IPA IPL-1.0 ISC Jam LGPL-2.0 LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0
    LGPL-3.0-only LGPL-3.0-or-later LiLiQ-P-1.1 LiLiQ-R-1.1 LiLiQ-Rplus-1.1 LPL-1.0 LPL-1.02 LPPL-1.3c MirOS MIT MIT-0
    MIT-Modern-Variant Motosoto MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-PL MS-RL MulanPSL-2.0 Multics
    NASA-1.3 Naumen NCSA NGPL Nokia NPOSL-3.0 NTP OCLC-2.0 OFL-1.1 OFL-1.1-no-RFN OFL-1.1-RFN OGTSL OLDAP-2.8 OLFL-1.3
    OSET-PL-2.1 OSL-1.0 OSL-2.0 OSL-2.1 OSL-3.0 PHP-3.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 QPL-1.0 RPL-1.1 RPL-1.5
    RPSL-1.0 RSCPL SimPL-2.0 SISSL Sleepycat SPL-1.0 UCL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 VSL-1.0 W3C
    Watcom-1.0 Xnet Zlib ZPL-2.0 ZPL-2.1
    """.lower().split()
)
"""Those that the Open Source Initiative approved."""
FSF = frozenset(
    """
    AGPL-1.0 Apache-1.0 BitTorrent-1.1 BSD-3-Clause-Clear BSD-4-Clause CC-BY-4.0 CC-BY-SA-4.0 CC0-1.0 CECILL-2.0
    CECILL-B CECILL-C ClArtistic Condor-1.1 FTL GFDL-1.1 GFDL-1.1-only GFDL-1.1-or-later GFDL-1.2 GFDL-1.2-only
    GFDL-1.2-or-later GFDL-1.3 GFDL-1.3-only GFDL-1.3-or-later gnuplot IJG iMatix Imlib2 LPPL-1.2 LPPL-1.3a NOSL NPL-1.0
    NPL-1.1 ODbL-1.0 OFL-1.0 OLDAP-2.3 OLDAP-2.7 OpenSSL Ruby SGI-B-2.0 SMLNJ Vim WTFPL X11 XFree86-1.1 xinetd YPL-1.1
    Zend-2.0 Zimbra-1.3
    """.lower().split()
)
"""Those that the Free Software Foundation calls free, beside OSI's."""
_ALL_TYPES = frozenset(("openmdw-1.0",))
_FAMILIES = ("afl-", "apache-", "ecl-", "mulanpsl-")
TYPED: Mapping[Kind, frozenset[str]] = {
    "data": frozenset(["cdla-permissive-1.0", "cdla-permissive-2.0", "c-uda-1.0", "cc-pddc", "cc0-1.0", "pddl-1.0"]),
    "document": frozenset(
        ["apache-2.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "freebsd-doc", "cc-pddc", "cc0-1.0"]
    ),
    "code": frozenset(["0bsd", "isc", "mit", "mit-0", "ncsa", "upl-1.0"])
    | {name for name in OSI | FSF if name.startswith(_FAMILIES)},
}
"""The licences that were written for each type, in lower case; OpenMDW-1.0 was for all three."""
OPEN = OSI | FSF | _ALL_TYPES | frozenset().union(*TYPED.values())
"""Every licence that counts, in lower case."""
EXCEPTIONS = frozenset(
    """
    389-exception Autoconf-exception-2.0 Autoconf-exception-3.0 Bison-exception-2.2 Bootloader-exception
    Classpath-exception-2.0 CLISP-exception-2.0 eCos-exception-2.0 Font-exception-2.0 freertos-exception-2.0
    GCC-exception-2.0 GCC-exception-3.1 GPL-CC-1.0 Libtool-exception Linux-syscall-note LLVM-exception
    OpenJDK-assembly-exception-1.0 Qt-GPL-exception-1.0 Qt-LGPL-exception-1.1 Swift-exception u-boot-exception-2.0
    Universal-FOSS-exception-1.0 WxWindows-exception-3.1
    """.lower().split()
)
"""What may follow WITH: exceptions that permit more than their licence does, in lower case."""
_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.+:_-]+)")
_OPERATORS = ("and", "or", "with")


def grade(expression: str, kind: Kind) -> Grade:
    """How the SPDX expression, or the Hub's name of a licence, suits a component of type `kind`."""

    def one(name: str) -> Grade:
        if name in TYPED[kind] | _ALL_TYPES:
            return Grade.OPEN
        return Grade.CONDITIONAL if name in OPEN else Grade.CLOSED

    return _graded(expression, one)


def is_osi(expression: str) -> bool:
    """Whether the Open Source Initiative approved the licence, or OpenMDW-1.0 is it, which gives as much."""
    return _graded(expression, lambda name: Grade.OPEN if name in OSI | _ALL_TYPES else Grade.CLOSED) is Grade.OPEN


def _graded(expression: str, one: Callable[[str], Grade]) -> Grade:
    """The grade of an expression, by that of each licence in it."""
    if len(expression) > MAX_LENGTH:
        return Grade.CLOSED
    reader = _Reader(expression, one)
    try:
        found = reader.either(0)
    except ValueError:
        return Grade.CLOSED
    return found if reader.is_at_end else Grade.CLOSED


class _Reader:
    """Reads an expression from left to right: AND binds closer than OR, WITH closer than both."""

    def __init__(self, expression: str, one: Callable[[str], Grade]) -> None:
        self._text, self._at, self._one = expression.rstrip(), 0, one

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._text)

    def either(self, depth: int) -> Grade:
        found = self._both(depth)
        while self._is("or"):
            found = max(found, self._both(depth))
        return found

    def _both(self, depth: int) -> Grade:
        found = self._single(depth)
        while self._is("and"):
            found = min(found, self._single(depth))
        return found

    def _single(self, depth: int) -> Grade:
        if self._is("("):
            if depth == MAX_DEPTH:
                raise ValueError("too many parentheses")
            found = self.either(depth + 1)
            if not self._is(")"):
                raise ValueError("a parenthesis is not closed")
            return found
        name = self._name()
        if self._is("with") and self._name() not in EXCEPTIONS:
            return Grade.CLOSED
        return self._one(SPDX.get(name, name.removesuffix("+")))

    def _name(self) -> str:
        token = self._next()
        if token in ("", "(", ")", *_OPERATORS):
            raise ValueError("a licence is missing")
        self._at = self._end
        return token

    def _is(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at = self._end
        return True

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        self._end = found.end() if found else self._at
        return found[1].lower() if found else ""


SPDX: Mapping[str, str] = {hub: spdx for spdx, hub in SPELT_OTHERWISE.items()}
"""The Hub's name of a licence -> SPDX's, both in lower case, where they differ."""
MARKS: Mapping[str, tuple[str, ...]] = {
    "apache-2.0": ("Apache License", "Version 2.0"), "mit": ("Permission is hereby granted, free of charge",),
    "agpl-3.0": ("GNU AFFERO GENERAL PUBLIC LICENSE",), "lgpl-3.0": ("GNU LESSER GENERAL PUBLIC LICENSE",),
    "gpl-3.0": ("GNU GENERAL PUBLIC LICENSE", "Version 3"), "gpl-2.0": ("GNU GENERAL PUBLIC LICENSE", "Version 2"),
    "cc0-1.0": ("CC0 1.0 Universal",), "cc-by-4.0": ("Attribution 4.0 International",),
    "llama2": ("LLAMA 2 COMMUNITY LICENSE",), "llama3": ("META LLAMA 3 COMMUNITY LICENSE",),
}  # fmt: skip
"""Words that only this licence's text has, by its name on the Hub; the first that fits."""


def of_text(text: str) -> str | None:
    """The licence that `text` is the text of, by its name on the Hub; None where its words do not tell."""
    words = " ".join(text.split())
    return next((name for name, marks in MARKS.items() if all(mark in words for mark in marks)), None)


def contradicts(text: str, expression: str) -> str | None:
    """The licence that `text` is the text of, where `expression` names licences with known texts and not that one."""
    found = of_text(text)
    named = {_family(token.lower()) for token in _TOKEN.findall(expression)}
    return found if found and named & MARKS.keys() and found not in named else None


def _family(name: str) -> str:
    return name.removesuffix("-only").removesuffix("-or-later").removesuffix("+")
