"""What many modules need stands in one: a second copy of it fails here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from registry import suffixes, variables

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"(GLASSHOUSE|HF|MLFLOW|SIGSTORE|DVC)(_[A-Z]+)+")
"""What the variables are called that we read."""
ENDINGS = {name: value for name, value in vars(suffixes).items() if isinstance(value, str) and value.startswith(".")}
SET_FOR_CHILDREN = {"DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR", "DVC_SYSTEM_CONFIG_DIR"}
"""What keeps DVC, run as a command, to itself."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of registry and pipelines, by its path from the root."""
    paths = [path for folder in ("registry", "pipelines") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_bytes()) for path in paths}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of each string that is a value: docstrings are left out."""
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.lineno, node.value


def copies(pattern: re.Pattern[str], home: str) -> list[str]:
    """Where, outside of the module `home`, a string is all that `pattern` says."""
    return [
        f"{path}:{line}: {text}"
        for path, tree in modules().items()
        if path != home
        for line, text in texts(tree)
        if pattern.fullmatch(text)
    ]


def test_endings_of_names_stand_in_suffixes() -> None:
    ending = "|".join(map(re.escape, ENDINGS.values()))
    kept_elsewhere = ("registry/server/store/placement.py", "registry/formats/")  # lists of every ending there is
    found = copies(re.compile(rf"\*?({ending})"), "registry/suffixes.py")
    assert [copy for copy in found if not copy.startswith(kept_elsewhere)] == []


def test_names_of_environment_variables_stand_in_variables() -> None:
    found = copies(OURS, "registry/variables.py")
    assert [copy for copy in found if copy.rpartition(" ")[2] not in SET_FOR_CHILDREN] == []


def test_the_environment_is_asked_by_those_names() -> None:
    asked = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call | ast.Subscript)
        for what, *keys in ([(node.func, *node.args)] if isinstance(node, ast.Call) else [(node.value, node.slice)])
        if re.fullmatch(r"os\.(environ(\.\w+)?|getenv)", ast.unparse(what)) and keys
        if isinstance(keys[0], ast.Constant) and keys[0].value != "PATH"
    ]
    assert asked == []


def test_every_variable_is_used() -> None:
    names = {name for name in vars(variables) if name.isupper()}
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path, tree in modules().items()
        if path != "registry/variables.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert sorted(names - used) == []


def test_what_pydantic_refuses_becomes_an_error_of_ours_in_one_place() -> None:
    found = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "ValidationError"
    }
    assert found == {"registry/records/record.py", "registry/server/routes/app.py"}


def test_what_the_system_does_not_let_us_read_becomes_an_error_of_ours_in_one_place() -> None:
    found = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is not None and "OSError" in ast.unparse(node.type)
        if any("cannot be read" in text for _, text in texts(node))
    }
    assert found == {"registry/files.py"}


def test_the_front_matter_of_a_card_is_found_in_one_way() -> None:
    found = [path for path, tree in modules().items() for node in ast.walk(tree) if _is_pattern_of_front_matter(node)]
    assert found == ["registry/hub/metadata.py"]


def _is_pattern_of_front_matter(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and "A---" in repr(node.value)
