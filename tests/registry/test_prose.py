"""What the code says to its readers is in plain English, as far as a program can tell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from tests.docs.test_prose import STOPS_READERS, split
from tests.registry.test_homes import modules, texts

SAID_IN_FULL = ("registry/errors", "registry/report", "registry/digest", "registry/manifest", "registry/tensors",
                "registry/records/", "registry/attest/", "registry/project/", "registry/provenance/",
                "registry/verification/", "registry/audit/", "registry/lint/", "registry/release/",
                "registry/openness/", "pipelines/corpus/")  # fmt: skip
"""The rooms in which each field of a public class has its own docstring."""


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of each docstring, those under fields and constants too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, inspect.cleandoc(node.value.value)


def test_no_docstring_stops_its_reader() -> None:
    found = [
        f"{path}:{line}: {sentence}"
        for path, tree in modules().items()
        for line, text in docstrings(tree)
        for sentence in split(text)
        if STOPS_READERS.search(sentence)
    ]
    assert found == []


def test_no_message_stops_its_reader() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path, tree in modules().items()
        for line, text in texts(tree)
        if STOPS_READERS.search(text)
    ]
    assert found == []


def test_every_field_says_what_it_is() -> None:
    found = [
        f"{path}:{field.lineno}: {node.name}.{field.target.id}"
        for path, tree in modules().items()
        if path.startswith(SAID_IN_FULL)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for field, after in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if not field.target.id.startswith("_")
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]
    assert found == []
