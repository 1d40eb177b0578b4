"""The parts of docs/architecture.md that are made of the tree: its rooms, their layers, and the doors to the outside.

What a room is for is the first sentence of its docstring; which may import which is what import-linter holds.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

_PART = re.compile(r"(?<=<!-- made by `make docs`: )(\w+)( -->\n).*?(?=<!-- until here -->)", re.DOTALL)
_SENTENCE = re.compile(r"(?:.|\n(?!\n))*?[.](?=\s|$)")


def renewed(page: Path) -> str:
    """The text of `page` with each part between its two marks made anew."""
    parts = {"rooms": rooms, "layers": layers, "doors": doors}
    return _PART.sub(lambda found: f"{found[1]}{found[2]}\n{parts[found[1]]()}\n", page.read_text())


def rooms() -> str:
    """A row for each room and ground module of registry/, from the command down to the errors."""
    order = [name for layer in _contracts("layers")[0]["layers"] for name in layer.split(" | ")]
    rows = "".join(f"| `{name}` | {words} |\n" for top in order for name, words in _room(ROOT / "registry" / top))
    return f"| room | what is in it |\n|---|---|\n{rows}"


def layers() -> str:
    """What imports what, for each part of the house that has layers."""
    drawn = [f"{contract['containers'][0]}\n" + _stack(contract["layers"]) for contract in _contracts("layers")]
    return "```text\n" + "\n".join(drawn) + "```\n"


def doors() -> str:
    """Each outside library that only some modules may import, and which."""
    rows = "".join(
        f"| {_names(contract['protected_modules'])} | {_names(contract['allowed_importers'])} |\n"
        for contract in _contracts("protected")
    )
    return f"| library | imported only in |\n|---|---|\n{rows}"


def _room(place: Path) -> Iterator[tuple[str, str]]:
    """(name, words) of the module or folder at `place`, and of the folders in it."""
    if not place.is_dir():
        yield f"{place.name}.py", purpose(place.with_suffix(".py"))
        return
    yield f"{place.relative_to(ROOT / 'registry')}/", purpose(place / "__init__.py")
    for inner in sorted(place.glob("*/__init__.py")):
        yield from _room(inner.parent)


def purpose(module: Path) -> str:
    """The first sentence of the module's docstring."""
    words = _SENTENCE.match(ast.get_docstring(ast.parse(module.read_text())) or "")
    assert words, f"{module}: its docstring has no first sentence that says what it is for"
    return " ".join(words[0].split()).replace("|", "\\|")


def _contracts(kind: str) -> list[Any]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [contract for contract in contracts if contract["type"] == kind]


def _stack(names: list[str]) -> str:
    return "".join(f"    {name}\n" for name in names)


def _names(modules: list[str]) -> str:
    return ", ".join(f"`{module}`" for module in modules)
