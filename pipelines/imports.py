"""Which code decides the bytes of a stage's outputs: all that it imports, directly or not, less a short declared list.

An import counts wherever it stands in a module, also inside a function, unless only a type checker sees it. A package
counts with its `__init__`, and with the files of its folders that hold no Python, such as templates. Packages of others
do not count here: requirements.lock pins them.

`pipelines.recipe` and the `deps` of each stage in dvc.yaml (`python -m pipelines.deps`) are both made from this.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from registry.errors import InputError

OURS = ("pipelines", "registry")
"""Packages whose modules are followed."""

INERT: Mapping[str, str] = MappingProxyType(
    {
        "pipelines/stage.py": "shows progress, prints what went wrong, and ends the process: nothing of it is written",
        "pipelines/tracking/": "tells MLflow of what was written before; nothing comes back from there",
        "registry/__init__.py": "says the version of Glasshouse, which no output bears",
        "registry/__main__.py": "calls registry.cli",
        "registry/cli/": "reads the command's words and prints what was done; registry.release.draft makes the draft",
        "registry/later.py": "has a library's module loaded when it is used: the same module, with the same answers",
        "registry/errors.py": "what is raised ends the stage, or makes a training begin anew: to the same bytes",
    }
)
"""Files, and folders with a slash, that cannot change a byte of any stage's outputs, each with the reason.

What only they import does not count either.
"""


def code(roots: Iterable[str]) -> dict[str, Path]:
    """The code that decides what the modules `roots` write: the path of each file in the source, sorted -> the file.

    Raises InputError for a relative import.
    """
    found: dict[str, Path] = {}
    waiting = {ancestor for root in roots for ancestor in _with_ancestors(root)}
    seen: set[str] = set()
    while waiting:
        seen.add(module := waiting.pop())
        path, file = _place(module)
        if is_inert(path):
            continue
        found[path] = file
        if file.name == "__init__.py":
            found |= _data(path, file)
        waiting |= set(_imported(file)) - seen
    return dict(sorted(found.items()))


def is_inert(path: str) -> bool:
    """Whether the file at `path` in the source is on the declared list."""
    return any(path == inert or (inert.endswith("/") and path.startswith(inert)) for inert in INERT)


def _with_ancestors(module: str) -> Iterator[str]:
    """The modules that are loaded for `module`, outermost package first, itself last; none that is not one of ours."""
    parts = module.split(".")
    if parts[0] in OURS:
        names = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        yield from (name for name in names if _exists(name))


def _exists(module: str) -> bool:
    return _place(module)[1].is_file()


def _place(module: str) -> tuple[str, Path]:
    """The path of a module in the source, and its file, which may not be there."""
    top, *rest = module.split(".")
    folder = _folder(top).joinpath(*rest)
    file = folder / "__init__.py"
    if not file.is_file():
        file = folder.with_suffix(".py")
    return file.relative_to(_folder(top).parent).as_posix(), file


@cache
def _folder(package: str) -> Path:
    """Where the package `package` would be imported from."""
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, package  # this very module is of one, and imports the other
    return Path(spec.origin).parent


def _data(path: str, init: Path) -> dict[str, Path]:
    """The files in the folders of a package that are not packages: what its modules may read."""
    folders = [folder for folder in init.parent.iterdir() if folder.is_dir() and not (folder / "__init__.py").exists()]
    files = [
        file
        for folder in folders
        if not folder.name.startswith((".", "__"))
        for file in folder.rglob("*")
        if file.is_file()
    ]
    here = path.removesuffix("__init__.py")
    return {here + file.relative_to(init.parent).as_posix(): file for file in files}


def _imported(file: Path) -> Iterator[str]:
    """Our modules that the module in `file` imports."""
    for node in _run(ast.parse(file.read_bytes())):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield from _with_ancestors(name.name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for name in names:
                    yield from _with_ancestors(f"{module}.{name.name}")
            case ast.ImportFrom():
                raise InputError(f"{file} has a relative import, which is not followed", mend="write it in full")


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a module that can run: all but what stands under `if TYPE_CHECKING`."""
    yield node
    children = ast.iter_child_nodes(node)
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
            children = iter(otherwise)
    for child in children:
        yield from _run(child)
