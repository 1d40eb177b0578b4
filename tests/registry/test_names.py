"""Names are said once: a reader who meets one knows what it is, and an import needs no `as`."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import PurePosixPath

from tests.registry.test_homes import modules


def test_no_two_public_classes_share_a_name() -> None:
    homes = defaultdict(list)
    for path, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_public_function_has_the_name_of_its_module() -> None:
    """A command has: `registry.cli.verify.verify` is what typer calls, and nobody else."""
    found = [
        path
        for path, tree in modules().items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == PurePosixPath(path).stem
    ]
    assert [path for path in found if not path.startswith("registry/cli/")] == []
