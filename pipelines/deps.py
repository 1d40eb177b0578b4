"""Write the code that each stage depends on into dvc.yaml: `python -m pipelines.deps`, or `make deps`.

Only the paths below pipelines/ and registry/ in the `deps` of each stage are replaced; what else stands in the file,
its order and its comments are kept.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from pipelines import imports, stage
from registry.errors import InputError
from registry.files import read_text, write_atomic

FILE = Path("dvc.yaml")
DRAFT = ("registry", "release", "prepare", "--draft")
DRAFTING = ("registry.release.config", "registry.release.draft")
"""What the command DRAFT calls; the command itself is thin, and imports every other command's words."""


def main() -> None:
    """Write dvc.yaml anew where its lists are not those of the imports."""
    text = read_text(FILE, mend="run this at the project's root")
    if (wired := rewritten(text)) != text:
        write_atomic(FILE, wired.encode())


def rewritten(text: str) -> str:
    """The dvc.yaml `text` with the code that each stage of ours depends on; a stage of others stays as it is.

    Raises InputError for a command of ours whose imports cannot be told.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(text)
    for body in pipeline["stages"].values():
        if begun := roots(body.get("cmd")):
            body["deps"] = _merged(body.get("deps", CommentedSeq()), imports.code(begun))
    written = io.StringIO()
    yaml.dump(pipeline, written)
    return written.getvalue()


def roots(command: object) -> tuple[str, ...]:
    """The modules of ours that a stage's command begins with, run by `registry record --` or not."""
    words = shlex.split(command) if isinstance(command, str) else []
    match words[words.index("--") + 1 :] if "--" in words else words:
        case ["python", "-m", *draft] if tuple(draft) == DRAFT:
            return DRAFTING
        case ["python", "-m", str(module), *_] if module.startswith("pipelines."):
            return (module, f"{module}.__main__")
        case ["python", "-m", "registry", *_]:
            raise InputError(f"what `{command}` imports is not known", mend="name it in pipelines/deps.py, as DRAFTING")
    return ()


def _merged(deps: Any, code: Iterable[str]) -> CommentedSeq:
    """The list `deps` with `code` in place of the code that it names, each comment still after its own item."""
    ours = tuple(f"{package}/" for package in imports.OURS)
    first = next((place for place, dep in enumerate(deps) if dep.startswith(ours)), len(deps))
    merged = CommentedSeq([*deps[:first], *code, *(dep for dep in deps[first:] if not dep.startswith(ours))])
    for place, comment in deps.ca.items.items():
        if deps[place] in merged:
            merged.ca.items[merged.index(deps[place])] = comment
    return merged


if __name__ == "__main__":
    stage.run(main)
