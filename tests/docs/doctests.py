"""What mkdocstrings is told of our docstrings: the examples in them are code, though nothing but `>>>` marks them."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^>>> .*\n?(?:.+\n?)*", re.MULTILINE)


class Doctests(Extension):
    """Fences the examples in docstrings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Fence those in the docstring of `obj`."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """`docstring` with a fence around each example: from `>>>` to the next empty line."""
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", docstring)
