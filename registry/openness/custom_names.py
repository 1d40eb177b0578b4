"""What people call the files of a component, by custom: a name proves nothing, and is all that a list of files shows.

Laws: letters' case does not count; what a path costs is linear in its length, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from registry.openness.roles import is_code
from registry.suffixes import PARQUET

MAX_NAME = 255
"""Characters of a part of a path that is looked at."""
CODE: Mapping[str, re.Pattern[str]] = {
    name: re.compile(words)
    for name, words in {
        "model-architecture": "modell?ing|model|architecture",
        "training-code": "(?:pre|fine)?[_-]?(?:train|tune|tuning)(?:ing|er)?",
        "inference-code": "infer(?:ence)?|generat(?:e|ion)|predict|chat",
        "evaluation-code": "eval(?:uat(?:e|ion))?|benchmarks?",
        "data-preprocessing-code": "preprocess(?:ing)?|prepare|tokenize|corpus|dedup(?:licate)?|clean",
        "supporting-libraries": "tokenization|tools|utils",
    }.items()
}
"""A component that is code -> what its file is called, alone or before `_` or `-`; or a folder above it, alone."""
FILES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "data-card": r"data[-_ ]?(?:card|sheet|statement).*\.(?:md|pdf|txt)",
        "technical-report": r".*tech(?:nical)?[-_ ]?report.*\.(?:md|pdf)",
        "research-paper": r"(?:research[-_ ]?)?paper.*\.(?:md|pdf|tex)",
        "evaluation-results": r"(?:eval|results?|benchmarks?).*\.(?:json|jsonl|csv|md)",
        "sample-outputs": r"samples?.*\.(?:txt|md|json|jsonl)",
        "evaluation-data": r"(?:test|valid(?:ation)?|eval)(?:[-_].*)?\.(?:jsonl|parquet|csv|txt)",
    }.items()
}
"""Another component -> what its file is called."""
BELOW: Mapping[str, str] = {"evaluation-results": ".eval_results/", "sample-outputs": "samples/"}
"""A component -> the folder whose files it is, whatever they are called."""
COMPONENTS = (*CODE, *FILES)
"""The components that are told by a name."""
TABLES = (PARQUET, ".jsonl", ".json", ".csv", ".tsv", ".txt", ".arrow", ".bin", ".npy")
PACKED = (".gz", ".zst", ".xz", ".bz2")


def is_called(component: str, path: str) -> bool:
    """Whether the file at `path` is called as one of `component` is."""
    *folders, name = (part[:MAX_NAME] for part in path.lower().split("/"))
    if words := CODE.get(component):
        stem = re.split(r"[_-]", name.rpartition(".")[0])
        called = words.fullmatch(stem[0]) or words.fullmatch("_".join(stem[:2])) or any(map(words.fullmatch, folders))
        return is_code(name) and bool(called)
    return bool(FILES[component].fullmatch(name)) or path.lower().startswith(BELOW.get(component, "\0"))


def is_data(path: str) -> bool:
    """Whether the file at `path` is called as files of data sets are."""
    name = path.lower()
    packed = next((ending for ending in PACKED if name.endswith(ending)), "")
    return name.removesuffix(packed).endswith(TABLES)
