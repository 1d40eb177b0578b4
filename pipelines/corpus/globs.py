"""Globs over POSIX paths: `*` and `?` stay within a folder, `**` stands for any number of folders.

Law: `selects(("**/*.py",))` takes `a.py` and `x/y/a.py`; a glob takes a whole path or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_PIECES = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")


def selects(include: Iterable[str], exclude: Iterable[str] = ()) -> Callable[[str], bool]:
    """A test of paths: some glob of `include` takes it, and none of `exclude`."""
    wanted, unwanted = _pattern(include), _pattern(exclude)
    return lambda path: wanted.fullmatch(path) is not None and unwanted.fullmatch(path) is None


def _pattern(globs: Iterable[str]) -> re.Pattern[str]:
    options = ["".join(_PIECES.get(piece) or re.escape(piece) for piece in _PIECE.findall(glob)) for glob in globs]
    return re.compile("|".join(f"(?:{option})" for option in options) or r"(?!)", re.DOTALL)
