"""Code that a release carries, or asks a loader to fetch. None of it is run here.

A library runs such code when it is asked to trust it (`trust_remote_code`), when Python finds it on its path, or when
somebody starts it. A chat template runs in every chat: in a sandbox, which templates have left before.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry import canonical
from registry.errors import Malformed
from registry.formats import gguf_header
from registry.formats.protobuf import OtherFormat

MAX_CONFIG = 64 << 20
"""Bytes of a configuration or a template that is read: tokenizer.json of a large vocabulary has a third of it."""
MAX_TEMPLATE = 1 << 19
"""Bytes of the chat templates of one file, which take a second or two to look at: long ones have a twentieth of it."""
BY_ITSELF = frozenset(("sitecustomize.py", "usercustomize.py"))
"""What Python runs when it starts, where the folder is on its path; so it does the import lines of `*.pth`."""
CODE = frozenset((".py", ".pyc", ".pyx", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".cmd", ".ps1", ".js", ".jar"))
"""Suffixes of what is run as it is."""
CONFIGS = frozenset(
    ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json", "model_index.json",
     "generation_config.json", "adapter_config.json", "video_preprocessor_config.json", "feature_extractor_config.json")
)  # fmt: skip
"""Files in which the libraries of Hugging Face look for `auto_map`, `custom_pipelines`, and chat templates."""
MAPS = ("auto_map", "custom_pipelines")
"""Keys under which a configuration names code."""
ELSEWHERE = re.compile(r"^([\w.-]+/[\w.-]+)--")
"""`org/name--module.Class`: code of another repository."""
TEMPLATES = (".jinja", ".jinja2", ".j2")


@dataclass(frozen=True, slots=True)
class Carried:
    """Code in a release."""

    path: str
    """The file that holds it, or names it."""
    words: str
    """What it is, and who would run it."""
    refused: bool = False
    """Whether it runs without anybody's asking."""


def carried(root: Path, paths: list[str]) -> Iterator[Carried]:
    """The code among the files `paths` below `root`, each a plain file. Raises OSError for one that cannot be read."""
    for path in paths:
        name, suffix = PurePosixPath(path).name.lower(), PurePosixPath(path).suffix.lower()
        if name in BY_ITSELF or suffix == ".pth":
            yield Carried(path, "Python runs it when it starts with this folder on its path", refused=True)
        elif suffix in CODE:
            yield Carried(path, "code that `trust_remote_code`, or whoever starts it, would run")
        elif name in CONFIGS:
            yield from _configured(root / path, path)
        elif suffix in TEMPLATES:
            yield from _template(path, _read(root / path))
        elif suffix == ".gguf":
            with suppress(OtherFormat), (root / path).open("rb") as stream:
                texts = gguf_header.read(stream, os.fstat(stream.fileno()).st_size)
                yield from _template(path, texts.get(gguf_header.TEMPLATE, ""))
        elif suffix not in CODE and _is_script(root / path):
            yield Carried(path, "a script, which whoever starts it would run")


def _is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"


def _read(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_CONFIG)


def _configured(place: Path, path: str) -> Iterator[Carried]:
    """What a configuration names."""
    data = _bytes(place)
    try:
        canonical.check_shape(data)
        config = json.loads(data.decode("utf-8", "replace"))  # with numbers beyond 2**53, which such files have
    except (Malformed, ValueError, RecursionError):
        yield Carried(path, "a configuration that is not JSON: what it names cannot be told")
        return
    if not isinstance(config, dict):
        return
    named = sorted({text for key in MAPS for text in _texts(config.get(key), 0)})
    for text in named:
        there = ELSEWHERE.match(text)
        where = f"of {there[1]}, which no signature here covers" if there else "of this release"
        yield Carried(path, f"it names code {where}, that `trust_remote_code` would run: {text[:100]}")
    yield from _template(path, *_texts(config.get("chat_template"), 0))


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Every text in `value`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < 8:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, depth + 1)


def _template(path: str, *texts: str) -> Iterator[Carried]:
    """Whether chat templates do more than to put texts together."""
    if sum(map(len, texts)) > MAX_TEMPLATE:
        yield Carried(path, f"chat templates of more than {MAX_TEMPLATE} bytes: what they do cannot be told")
        return
    for text in filter(None, texts):
        yield from _reaching(path, text)


def _reaching(path: str, text: str) -> Iterator[Carried]:
    """Whether one does."""
    from jinja2 import TemplateError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # What transformers adds to Jinja: the two extensions, and `{% generation %}`.
    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    source = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", text)
    try:
        tree = environment.parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError):
        yield Carried(path, "a chat template that is not Jinja as it is known here: what it does cannot be told")
        return
    asked = {f"{{% {type(node).__name__.lower()} %}}" for node in tree.find_all((nodes.Import, nodes.FromImport))}
    asked |= {f"{{% {type(node).__name__.lower()} %}}" for node in tree.find_all((nodes.Include, nodes.Extends))}
    asked |= {f".{node.attr}" for node in tree.find_all(nodes.Getattr) if node.attr.startswith("_")}
    asked |= {f"|{node.name}" for node in tree.find_all(nodes.Filter) if node.name in ("attr", "map") and _odd(node)}
    asked |= {repr(node.value) for node in tree.find_all(nodes.Const) if _is_dunder(node.value)}
    if asked:
        yield Carried(path, f"a chat template that reaches out of its sandbox: {', '.join(sorted(asked)[:5])[:200]}")


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
    return isinstance(value, str) and bool(re.fullmatch(r"_\w*", value)) and value != "_"
