"""YAML read from hostile bytes: plain maps, lists and scalars, nothing else.

Refused, with InputError: too many bytes, deep nesting, aliases (the "billion laughs"), tags, keys that are no strings
or stand twice in one map, several documents. Dates stay strings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import yaml

from registry.errors import InputError

MAX_BYTES = 4 << 20
MAX_DEPTH = 64
_STRING_TAG = "tag:yaml.org,2002:str"
_SCALAR_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}


def parse(data: bytes, *, name: str = "document", max_bytes: int = MAX_BYTES) -> Any:
    """The value that `data` holds. `name` is what an error calls it."""
    if len(data) > max_bytes:
        _refuse(name, f"{len(data)} bytes, more than the {max_bytes} allowed")
    try:
        loader = yaml.SafeLoader(data.decode("utf-8"))
        _check_events(name, data.decode("utf-8"))
        node = loader.get_single_node()
        return None if node is None else _value(name, loader, node)
    except (yaml.YAMLError, UnicodeError, ValueError, OverflowError) as problem:
        _refuse(name, " ".join(str(problem).split())[:300])


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """`parse` the file at `path`, of which no more than `max_bytes` are read. Raises InputError, also when missing."""
    try:
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}", mend="check the path") from problem
    return parse(data, name=path.name, max_bytes=max_bytes)


def _refuse(name: str, found: str) -> NoReturn:
    raise InputError(f"{name} is not plain YAML: {found}", mend=f"mend {name} as the message says")


def _check_events(name: str, text: str) -> None:
    """Refuse aliases and depth before a tree is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            _refuse(name, f"the alias *{event.anchor}; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(name, f"nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value(name: str, loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    match node:
        case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
            result: dict[str, Any] = {}
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag != _STRING_TAG:
                    _refuse(name, f"line {key.start_mark.line + 1}: a key that is no string")
                if key.value in result:
                    _refuse(name, f"line {key.start_mark.line + 1}: the key {key.value!r} stands twice")
                result[key.value] = _value(name, loader, item)
            return result
        case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
            return [_value(name, loader, item) for item in node.value]
        case yaml.ScalarNode(tag=tag) if tag in _SCALAR_TAGS:
            return loader.construct_object(node)
        case yaml.ScalarNode(tag="tag:yaml.org,2002:timestamp"):
            return node.value
        case _:
            _refuse(name, f"line {node.start_mark.line + 1}: the tag {node.tag}")
