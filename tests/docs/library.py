"""docs/reference/python.md: which public names stand under which heading. What is said of each is its docstring."""

from __future__ import annotations

import inspect

from registry import api

PAGE = """# The Python library

<!-- Made by `make docs` from what registry/api.py offers; edits here are lost. -->

::: registry.api
    options:
      members: false
"""
_ENTRY = """
::: registry.api.{0}
    options:
      heading: glasshouse.{0}
      toc_label: {0}
      heading_level: 3
      show_root_heading: true
      show_root_toc_entry: true
"""


FUNCTIONS, GIVEN, SIGNERS, ERRORS = PARTS = ("Functions", "What they give", "Policies and signers", "Errors")


def page() -> str:
    """docs/reference/python.md: every public name once."""
    parts: dict[str, list[str]] = {title: [] for title in PARTS}
    for name in api.__all__:
        parts[_part(getattr(api, name))].append(name)
    return PAGE + "".join(
        f"\n## {title}\n" + "".join(_ENTRY.format(name) for name in names) for title, names in parts.items()
    )


def _part(thing: object) -> str:
    if inspect.isfunction(thing):
        return FUNCTIONS
    if isinstance(thing, type) and issubclass(thing, Exception):
        return ERRORS
    return SIGNERS if getattr(thing, "__module__", "").startswith("registry.attest") else GIVEN
