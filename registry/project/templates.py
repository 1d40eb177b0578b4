"""Templates of dvc.yaml, and what DVC can have made of them: none is evaluated, for whoever wrote it may be hostile.

The text around the `${...}` is what is compared. What stands in their place may be anything: only a run of the stage
tells (`glasshouse audit rebuild`).
Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#templating
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from registry.errors import InputError

MARK = "${"
PLACE = re.compile(r"(?<!\\)\$\{[^}]*\}")
"""What DVC puts a value in the place of; after a backslash it is plain text."""
MAX_PAIRS = 1_000_000
"""Templates of one stage, times its paths: for more it is not asked which comes of which."""


def fits(template: str, text: str) -> bool:
    """Whether DVC can make `text` of `template`. Takes time in proportion to both."""
    return _fits(_parts(template), text)


def unmatched(declared: Iterable[str], found: Iterable[str]) -> Iterator[str]:
    """Each of the paths `found` that no template in `declared` can stand for, and the other way about.

    Raises InputError where there are too many to compare.
    """
    every, known = set(found), set(declared)
    paths, templates = sorted(every - known), sorted(known - every)
    if len(templates) * len(every) > MAX_PAIRS:
        raise InputError(
            f"{len(templates)} paths of a stage are templates, or not in dvc.lock, which has {len(every)}: too many",
            mend="name directories instead of the files in them",
        )
    parts = {template: _parts(template) for template in templates}
    yield from (path for path in paths if not any(_fits(parts[template], path) for template in templates))
    yield from (template for template in templates if not any(_fits(parts[template], path) for path in every))


def _parts(template: str) -> list[str]:
    """The plain text before, between and after the `${...}` of a template."""
    whole, end, tail = template.rpartition("}")  # up to here each search for an end finds one
    parts = PLACE.split(whole + end)
    parts[-1] += tail
    return [part.replace(f"\\{MARK}", MARK) for part in parts]


def _fits(parts: list[str], text: str) -> bool:
    """Whether `text` is the first of the parts, the others in their order with anything between, and the last."""
    first, *others = parts
    if not others:
        return first == text
    position, end = len(first), len(text) - len(others[-1])
    if not text.startswith(first) or not text.endswith(others[-1]):
        return False
    for part in others[:-1]:
        found = text.find(part, position, max(end, 0))
        if found < 0:
            return False
        position = found + len(part)
    return position <= end
