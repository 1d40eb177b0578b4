"""Write the code that each stage depends on into dvc.yaml: `python -m pipelines.deps`, or `make deps`.

Only the paths below pipelines/ and registry/ in the `deps` of each stage are replaced; what else stands in the file,
its order and its comments are kept. Where params.yaml names a base, the stage that fetches it comes first, and the
stages that read it depend on it; where it names none, both are taken away. Where it asks for tasks of the harness,
their stage comes after `evaluate`, and the release has what it writes; where it does not, the project has none.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from pipelines import imports, params, stage
from registry import strict_yaml, suffixes
from registry.errors import InputError
from registry.files import read_text, write_atomic
from registry.records import folders, harness

FILE = Path("dvc.yaml")
STAGE = "base"
READ = (folders.BASE, folders.BASE_RECORD)
"""What that stage writes."""
READERS = ("tokenizer", "train", "export", "evaluate", "harness")
"""The stages that read it."""
HARNESS = "harness"
RESULTS = f"{folders.HARNESS}/{harness.NAME}"
BEFORE_HARNESS = "evaluate"
DRAFT = ("registry", "release", "prepare", "--draft")
DRAFTING = ("registry.release.config", "registry.release.draft")
"""What the command DRAFT calls; the command itself is thin, and imports every other command's words."""


FETCHING = "registry.release.base_stage"
"""What `glasshouse base` calls."""


def main() -> None:
    """Write dvc.yaml anew where its lists are not those of the imports."""
    text = read_text(FILE, mend="run this at the project's root")
    settings = strict_yaml.read(params.PATH, aliases=True) if params.PATH.is_file() else None
    found = settings if isinstance(settings, dict) else {}
    measured = found.get("evaluate")
    asked = measured.get("harness") if isinstance(measured, dict) else None
    if (wired := rewritten(text, found.get("base"), asked)) != text:
        write_atomic(FILE, wired.encode())


def rewritten(text: str, base: Mapping[str, Any] | None = None, tasks: Mapping[str, Any] | None = None) -> str:
    """The dvc.yaml `text` with the code that each stage of ours depends on; a stage of others stays as it is.

    base: that section of params.yaml.  tasks: evaluate.harness of it.

    Raises InputError for a command of ours whose imports cannot be told.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(text)
    _harness_wired(pipeline["stages"], tasks)
    _base_wired(pipeline["stages"], base)
    for body in pipeline["stages"].values():
        if begun := roots(body.get("cmd")):
            body["deps"] = _merged(body.get("deps", CommentedSeq()), imports.code(begun))
    written = io.StringIO()
    yaml.dump(pipeline, written)
    return written.getvalue()


def _base_wired(stages: Any, base: Mapping[str, Any] | None) -> None:
    """Put the stage of the base into `stages`, or take it away, with what other stages have to do with it."""
    before = stages.pop(STAGE, {})
    wanted = [(name, "deps", READ) for name in READERS]
    for name, listed, items in [*wanted, ("release", "deps", READ[1:]), ("release", "params", (STAGE,))]:
        if name in stages:
            had = stages[name][listed]
            for item in (each for each in items if each in had):
                had.remove(item)
            for place, item in enumerate(items if base is not None else ()):
                had.insert(place, item)
    if base is not None:
        policy = [base["policy"]] if base.get("policy") else []
        made = {
            "desc": "The open model that training begins with, fetched at its commit and verified",
            "cmd": before.get("cmd", "python -m registry record -- python -m registry base"),
            "deps": CommentedSeq([*policy, "requirements.lock"]),
            "params": [STAGE],
            "outs": [*READ, f"build/runs/{STAGE}{suffixes.RUN}"],
        }
        stages.insert(0, STAGE, made)


def _harness_wired(stages: Any, tasks: Mapping[str, Any] | None) -> None:
    """Put the stage of the harness's tasks into `stages`, or take it away, with what the release has of it."""
    before = stages.pop(HARNESS, {})
    listed = stages["release"]["deps"] if "release" in stages else CommentedSeq()
    if RESULTS in listed:
        listed.remove(RESULTS)
    if tasks is None or BEFORE_HARNESS not in stages:
        return
    own = [tasks["include_path"]] if tasks.get("include_path") else []
    model, chain = folders.MODEL, f"{folders.TRAINED}/checkpoints.json"
    made = {
        "desc": "Tasks of lm-evaluation-harness, on the exported model",
        "cmd": before.get("cmd", "python -m registry record -- python -m pipelines.harness"),
        "deps": CommentedSeq([model, chain, *own, "requirements.lock"]),
        "params": [f"{BEFORE_HARNESS}.harness", "model", "train"],
        "outs": [f"build/runs/{HARNESS}{suffixes.RUN}"],
        "metrics": [RESULTS],
    }
    stages.insert(list(stages).index(BEFORE_HARNESS) + 1, HARNESS, made)
    listed.insert(0, RESULTS)


def roots(command: object) -> tuple[str, ...]:
    """The modules of ours that a stage's command begins with, run by `registry record --` or not."""
    words = shlex.split(command) if isinstance(command, str) else []
    match words[words.index("--") + 1 :] if "--" in words else words:
        case ["python", "-m", *draft] if tuple(draft) == DRAFT:
            return DRAFTING
        case ["python", "-m", "registry", "base", *_]:
            return (FETCHING,)
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
