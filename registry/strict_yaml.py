"""YAML read from hostile bytes: plain maps, lists and scalars, nothing else; scalars as YAML 1.2 has them, as DVC does.

Refused, with Malformed: too many bytes or values, deep nesting, aliases (the "billion laughs"), tags, keys that are not
strings or stand twice in one map, several documents. Dates stay strings.

Aliases, and the merge key `<<`, are read where a caller asks for it: for files that people write for DVC, which reads
them. What an alias stands for counts each time that it stands there, so what laughs is refused, and soon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

import yaml

from registry.errors import Malformed
from registry.files import read_bytes

MAX_BYTES = 4 << 20
MAX_DEPTH = 64
MAX_EVENTS = 250_000
"""Scalars, and beginnings and ends of maps and lists: as many as a lock of 20,000 files has, and a few seconds."""
READER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, which PyYAML's wheels bring; else PyYAML's own, which takes eight times as long. What DVC and people write
they read alike: a test holds them to each other."""
_UNQUOTED = (None, "")
"""How the two call the style of a scalar without quotes."""
_PREFIX = "tag:yaml.org,2002:"
_STRING_TAG = f"{_PREFIX}str"
_TIMESTAMP_TAG = f"{_PREFIX}timestamp"
_SCALAR_TAGS = {f"{_PREFIX}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_COMMANDS = ("<<", "=")
"""Scalars that YAML 1.1 takes for a command to its reader."""
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""Scalars that are neither a string nor a number in YAML 1.2, and what each is."""
_BEGIN_NUMBERS = frozenset("+-.0123456789")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OF_BASE = re.compile(r"0(o[0-7]+|x[0-9a-fA-F]+)")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse(
    data: bytes, *, name: str = "document", max_bytes: int = MAX_BYTES, one_way: bool = False, aliases: bool = False
) -> Any:
    """The value that `data` holds. `name` is what an error calls it.

    one_way: refuse what YAML 1.1 and 1.2 read differently, such as `010`, `1:30` and `no`.
    aliases: read aliases and merge keys. What one stands for is then one object in several places: not to be changed.
    """
    if len(data) > max_bytes:
        _refuse(name, f"{len(data)} bytes, more than the {max_bytes} allowed")
    try:
        events = yaml.parse(data.decode("utf-8"), Loader=READER)
        return _Reading(name, _bounded(name, events), one_way, _Aliases() if aliases else None).document()
    except (yaml.YAMLError, UnicodeError, ValueError, OverflowError) as problem:
        _refuse(name, " ".join(str(problem).split())[:300])


def read(path: Path, *, max_bytes: int = MAX_BYTES, one_way: bool = False, aliases: bool = False) -> Any:
    """`parse` the file at `path`, of which no more than `max_bytes` are read.

    Raises Malformed as `parse` does, and InputError where it cannot be read.
    """
    data = read_bytes(path, max_bytes)
    return parse(data, name=path.name, max_bytes=max_bytes, one_way=one_way, aliases=aliases)


def _refuse(name: str, found: str) -> NoReturn:
    raise Malformed(f"{name} is not plain YAML: {found}", mend=f"mend {name} as the message says")


def _bounded(name: str, events: Iterable[Any]) -> Iterator[Any]:
    """The same events. Who asks for more than MAX_EVENTS of them gets Malformed."""
    return chain(islice(events, MAX_EVENTS), _too_many(name))


def _too_many(name: str) -> Iterator[NoReturn]:
    yield _refuse(name, f"more than {MAX_EVENTS} values, and ends of maps and lists")


@dataclass
class _Aliases:
    """What aliases can stand for, and how many values there are so far, what they stand for among them."""

    known: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """By anchor: the value, and how many values it is."""
    count: int = 0


@dataclass(frozen=True)
class _Reading:
    """A document whose events are read one after the other, so that nothing is built before it is known to be plain."""

    name: str
    """What an error calls it."""
    events: Iterator[Any]
    one_way: bool
    """Whether what YAML 1.1 and 1.2 read in two ways is refused, as `parse` says."""
    aliases: _Aliases | None = None
    """None: an alias is refused."""

    def document(self) -> Any:
        """The value of the one document there is; None where there is none."""
        next(self.events)  # the stream starts
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self.events), 0)
        next(self.events)  # the document ends
        if not isinstance(following := next(self.events), yaml.StreamEndEvent):
            _refuse(self.name, f"{_line(following)}: a second document")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        if self.aliases is None:
            return self._plain_value(event, depth)
        before = self.aliases.count
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.aliases.known:
            value, size = self.aliases.known[event.anchor]
            self.aliases.count += size
        else:
            self.aliases.count += 1
            value = self._plain_value(event, depth)
            if event.anchor is not None:
                self.aliases.known[event.anchor] = value, self.aliases.count - before
        if self.aliases.count > MAX_EVENTS:
            _refuse(self.name, f"{_line(event)}: more than {MAX_EVENTS} values, what aliases stand for among them")
        return value

    def _plain_value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.AliasEvent:
            _refuse(self.name, f"{_line(event)}: the alias *{event.anchor}; write the value out")
        is_map = kind is yaml.MappingStartEvent
        if event.tag not in (None, f"{_PREFIX}{'map' if is_map else 'seq'}"):
            _refuse(self.name, f"{_line(event)}: the tag {event.tag}")
        if depth == MAX_DEPTH:
            _refuse(self.name, f"{_line(event)}: nested more than {MAX_DEPTH} deep")
        return self._map(depth + 1) if is_map else self._list(depth + 1)

    def _map(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if self.aliases is not None and _is_merge(event):
                merged = {**self._merged(next(self.events), depth), **merged}
                continue
            key = self._value(event, depth)
            if not isinstance(key, str):
                _refuse(self.name, f"{_line(event)}: a key that is not a string")
            if key in found:
                _refuse(self.name, f"{_line(event)}: the key {key!r} stands twice")
            found[key] = self._value(next(self.events), depth)
        return {**merged, **found}

    def _merged(self, event: Any, depth: int) -> dict[str, Any]:
        """The entries of the map, or the maps, that a merge key names: of two with one key the first counts."""
        value = self._value(event, depth)
        found: dict[str, Any] = {}
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                _refuse(self.name, f"{_line(event)}: << names what is not a map")
            found = {**item, **found}
        return found

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._value(event, depth))
        return found

    def _scalar(self, event: Any) -> Any:
        """A scalar as YAML 1.2's core schema reads it (section 10.3.2); one that is quoted is a string."""
        text: str = event.value
        if event.style not in _UNQUOTED:
            if event.tag not in (None, _STRING_TAG):
                _refuse(self.name, f"{_line(event)}: the tag {event.tag}")
            return text
        value = _plain(text)
        if self.one_way or event.tag is not None or text in _COMMANDS:
            self._check_plain(event, value)
        return value

    def _check_plain(self, event: Any, value: Any) -> None:
        """Refuse tags and commands, and, where they are to be refused, two ways to read one scalar.

        A tag that says what would be read without it says nothing, and may stay.
        """
        loader, text = yaml.SafeLoader(""), event.value
        tag: str = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if tag not in _SCALAR_TAGS:
            _refuse(self.name, f"{_line(event)}: the tag {tag}")
        if event.tag not in (None, tag):
            _refuse(self.name, f"{_line(event)}: a tag before {text[:40]!r}")
        if not self.one_way or tag == _TIMESTAMP_TAG:
            return
        other = loader.construct_object(yaml.ScalarNode(tag, text))
        if not isinstance(other, str) and str(other) != str(value):
            _refuse(
                self.name,
                f"{_line(event)}: {text[:40]!r} is {value!r} in YAML 1.2 and {other!r} in YAML 1.1; "
                "write a decimal number, true or false, or put a text in quotes",
            )


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.style in _UNQUOTED and not event.tag


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _BEGIN_NUMBERS:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if match := _OF_BASE.fullmatch(text):
        return int(match[1][1:], 8 if match[1][0] == "o" else 16)
    if _REAL.fullmatch(text):
        return float(re.sub(r"(?i)\.(?=inf|nan)", "", text))
    return text
