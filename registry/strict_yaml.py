"""YAML read from hostile bytes: plain maps, lists and scalars, nothing else; scalars as YAML 1.2 has them, as DVC does.

Refused, with Malformed: too many bytes, deep nesting, aliases (the "billion laughs"), tags, keys that are not strings
or stand twice in one map, several documents. Dates stay strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from registry.errors import Malformed
from registry.files import read_bytes

MAX_BYTES = 4 << 20
MAX_DEPTH = 64
_STRING_TAG = "tag:yaml.org,2002:str"
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"
_SCALAR_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}


def parse(data: bytes, *, name: str = "document", max_bytes: int = MAX_BYTES, one_way: bool = False) -> Any:
    """The value that `data` holds. `name` is what an error calls it.

    one_way: refuse what YAML 1.1 and 1.2 read differently, such as `010`, `1:30` and `no`.
    """
    if len(data) > max_bytes:
        _refuse(name, f"{len(data)} bytes, more than the {max_bytes} allowed")
    try:
        loader = yaml.SafeLoader(data.decode("utf-8"))
        _check_events(name, data.decode("utf-8"))
        node = loader.get_single_node()
        return None if node is None else _value(_Reading(name, loader, one_way), node)
    except (yaml.YAMLError, UnicodeError, ValueError, OverflowError) as problem:
        _refuse(name, " ".join(str(problem).split())[:300])


def read(path: Path, *, max_bytes: int = MAX_BYTES, one_way: bool = False) -> Any:
    """`parse` the file at `path`, of which no more than `max_bytes` are read.

    Raises Malformed as `parse` does, and InputError where it cannot be read.
    """
    return parse(read_bytes(path, max_bytes), name=path.name, max_bytes=max_bytes, one_way=one_way)


def _refuse(name: str, found: str) -> NoReturn:
    raise Malformed(f"{name} is not plain YAML: {found}", mend=f"mend {name} as the message says")


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


@dataclass(frozen=True)
class _Reading:
    """A document that is read."""

    name: str
    """What an error calls it."""
    loader: yaml.SafeLoader
    one_way: bool
    """Whether what YAML 1.1 and 1.2 read in two ways is refused, as `parse` says."""


def _value(reading: _Reading, node: yaml.Node) -> Any:
    line = f"line {node.start_mark.line + 1}"
    match node:
        case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
            result: dict[str, Any] = {}
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode) or not isinstance(_value(reading, key), str):
                    _refuse(reading.name, f"line {key.start_mark.line + 1}: a key that is not a string")
                if key.value in result:
                    _refuse(reading.name, f"line {key.start_mark.line + 1}: the key {key.value!r} stands twice")
                result[key.value] = _value(reading, item)
            return result
        case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
            return [_value(reading, item) for item in node.value]
        case yaml.ScalarNode(tag=tag) if tag in _SCALAR_TAGS:
            return _scalar(reading, node, line)
    _refuse(reading.name, f"{line}: the tag {node.tag}")


def _scalar(reading: _Reading, node: yaml.ScalarNode, line: str) -> Any:
    """A scalar as YAML 1.2's core schema reads it (section 10.3.2); one that is quoted is a string."""
    if node.style is not None:
        if node.tag != _STRING_TAG:
            _refuse(reading.name, f"{line}: the tag {node.tag}")
        return node.value
    value = _plain(node.value)
    if _tagged(node):
        _refuse(reading.name, f"{line}: a tag before {node.value[:40]!r}")
    if reading.one_way and node.tag != _TIMESTAMP_TAG:
        other = reading.loader.construct_object(node)
        if not isinstance(other, str) and str(other) != str(value):
            _refuse(
                reading.name,
                f"{line}: {node.value[:40]!r} is {value!r} in YAML 1.2 and {other!r} in YAML 1.1; "
                "write a decimal number, true or false, or put a text in quotes",
            )
    return value


def _tagged(node: yaml.ScalarNode) -> bool:
    """Whether a tag was written before a plain scalar: then its tag is not what its text resolves to."""
    resolved: str = yaml.SafeLoader("").resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
    return node.tag != resolved


def _plain(text: str) -> Any:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.capitalize()):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if match := re.fullmatch(r"0(o[0-7]+|x[0-9a-fA-F]+)", text):
        return int(match[1][1:], 8 if match[1][0] == "o" else 16)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return float(re.sub(r"(?i)\.(?=inf|nan)", "", text))
    return text
