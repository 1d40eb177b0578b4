"""What a chat template does beyond putting texts together. It is parsed as Jinja, and not run.

Law: what looks at templates, `Templates`, takes no more than some seconds for a whole release, however many they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

EACH = 200
"""Characters that the shortest template counts for beyond its own."""
MAX_BYTES = 1 << 19
"""Characters of templates, of all files together, which take a second or two to look at: long ones have a twentieth."""


class Templates:
    """The chat templates of a release, looked at one after the other."""

    def __init__(self) -> None:
        self._left = MAX_BYTES

    def amiss(self, texts: Iterable[str]) -> Iterator[str]:
        """What is to be told of the templates `texts`, in words."""
        found = [text for text in texts if text]
        size = sum(len(text) + EACH for text in found)
        if size > self._left:
            yield f"chat templates of more than {MAX_BYTES} bytes, with those before: what they do cannot be told"
            return
        self._left -= size
        yield from dict.fromkeys(words for text in found if (words := _amiss(text)))


def _amiss(text: str) -> str | None:
    from jinja2 import TemplateError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # What transformers adds to Jinja: the two extensions, and `{% generation %}`.
    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    source = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", text)
    try:
        tree = environment.parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError):
        return "a chat template that is not Jinja as it is known here: what it does cannot be told"
    asked = set[str]()
    for node in _nodes(tree):
        match node:
            case nodes.Import() | nodes.FromImport() | nodes.Include() | nodes.Extends():
                asked.add(f"{{% {type(node).__name__.lower()} %}}")
            case nodes.Getattr() if node.attr.startswith("_"):
                asked.add(f".{node.attr}")
            case nodes.Filter() if node.name in ("attr", "map") and _odd(node):
                asked.add(f"|{node.name}")
            case nodes.Const() if _is_dunder(node.value):
                asked.add(repr(node.value))
    if asked:
        return f"a chat template that reaches out of its sandbox: {', '.join(sorted(asked)[:5])[:200]}"
    return None


def _nodes(tree: Any) -> Iterator[Any]:
    """Each node of a template, however deep: Jinja's own way calls itself once for each level."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_child_nodes())


def _odd(node: Any) -> bool:
    """Whether a filter fetches an attribute whose name is not plain."""
    if node.name == "attr":
        return True
    named = [getattr(word.value, "value", None) for word in node.kwargs if word.key == "attribute"]
    return not all(isinstance(name, int) or (isinstance(name, str) and _is_plain(name)) for name in named)


def _is_plain(name: str) -> bool:
    """Whether Jinja, which takes an attribute of an attribute at each dot, fetches none that begins with `_`."""
    return all(part.isidentifier() and not part.startswith("_") for part in name.split("."))


def _is_dunder(value: object) -> bool:
    """Whether a text is such a name, or has one in it, as those that are formatted can."""
    return isinstance(value, str) and bool(re.search(r"^_\w+$|__\w+__|\{[^{}]*[.\[]_", value))
