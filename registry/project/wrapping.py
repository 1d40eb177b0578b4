"""Put `glasshouse record` around the commands of a dvc.yaml, and change nothing else of its text.

    cmd: python train.py      cmd: glasshouse record -- python train.py
    cmd: a && b               cmd: [glasshouse record --begin, a && b, glasshouse record --end]

The places come from the parser, the rest of the text stays byte for byte, comments too. What came out is parsed again:
a stage that does not read as it must is left as it was, and that is said.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from registry import suffixes
from registry.records.addresses import NAME

RECORD = "glasshouse record"
FOLDER = ".glasshouse"
"""Where the records of runs go, from the directory that a stage works in."""
SIGNS = frozenset(("&&", "||", ";", "|", "&", "|&", ";;"))
"""What parts one program from the next."""
SHELL_WORDS = frozenset(
    (
        "cd",
        "export",
        "source",
        ".",
        "set",
        "unset",
        "if",
        "for",
        "while",
        "case",
        "until",
        "eval",
        "exec",
        "(",
        "{",
        "!",
    )
)
"""Words that only a shell understands: such a command is not one program."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A dvc.yaml whose stages are recorded."""

    text: str
    """What it says."""
    stages: tuple[str, ...]
    """Those that are now recorded."""
    left: tuple[str, ...]
    """Why others are left as they were, a sentence each."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """What takes the place of the characters between two places."""

    start: int
    end: int
    text: str


def wrap(text: str) -> Wrapped:
    """The dvc.yaml `text`, each of its stages recorded that can be. Raises yaml.YAMLError where it is not YAML."""
    done: list[str] = []
    left: list[str] = []
    for name in _stages(text):
        try:
            new = _applied(text, list(_edits(text, name)))
            _check(text, new, name)
        except (_Left, yaml.YAMLError) as problem:
            if words := str(problem):
                left.append(f"{name}: {' '.join(words.split())[:200]}")
        else:
            text = new
            done.append(name)
    return Wrapped(text, tuple(done), tuple(left))


def is_one_program(command: str) -> bool:
    """Whether a shell runs one program for `command`, and nothing before, after or beside it."""
    words = shlex.shlex(command, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split = True
    words.commenters = ""
    try:
        found = list(words)
    except ValueError:
        return False
    if not found or "\n" in command or found[0] in SHELL_WORDS or "=" in found[0]:
        return False
    return not any(word and set(word) <= set("();<>|&") for word in found) and "`" not in command


def after_record(command: str) -> str | None:
    """What ends the program of `... record -- PROGRAM` in a shell, so that more follows: `&&`, `;`, `|` and the like.

    None where nothing does: then all that the line runs after `--` is measured.
    """
    words = shlex.shlex(command, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split = True
    words.commenters = ""
    try:
        found = list(words)
    except ValueError:
        return None  # a shell refuses it, too
    if "--" not in found or "record" not in found[: found.index("--")]:
        return None
    return next((word for word in found[found.index("--") :] if word in SIGNS), None)


class _Left(Exception):
    """A stage stays as it is; an empty message: because it is recorded."""


def _stages(text: str) -> list[str]:
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    stages = _value(document, "stages")
    return [key.value for key, _ in stages.value] if isinstance(stages, yaml.MappingNode) else []


def _edits(text: str, name: str) -> Iterator[_Edit]:
    stage = _value(_value(yaml.compose(text, Loader=yaml.SafeLoader), "stages"), name)
    body = _value(stage, "do") or stage
    command = _value(body, "cmd")
    if not isinstance(stage, yaml.MappingNode) or not isinstance(body, yaml.MappingNode) or command is None:
        raise _Left("it has no command of its own")
    if RECORD in text[command.start_mark.index : command.end_mark.index]:
        raise _Left
    if not re.fullmatch(NAME, name):
        raise _Left("its name cannot be the name of a file")
    if _value(body, "frozen") is not None:
        raise _Left("it is frozen, and dvc would not run it again")
    if any(key.value == "<<" for key, _ in body.value) or (text.count("*") and _is_aliased(text, body)):
        raise _Left("it takes parts from an alias; write them out, or put `glasshouse record` there by hand")
    yield from _commands(text, command)
    yield _output(text, body, command, f"{FOLDER}/{name}{_each(stage)}{suffixes.RUN}")


def _is_aliased(text: str, body: yaml.Node) -> bool:
    """Whether some part of the body stands elsewhere in the text, where an alias leads to."""
    inside = range(body.start_mark.index, body.end_mark.index + 1)
    waiting: list[Any] = [body]
    while waiting:
        node = waiting.pop()
        if node.start_mark.index not in inside:
            return True
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return False


def _each(stage: Any) -> str:
    """What tells the stages of one template apart, as DVC fills it in; "" for a stage that is none."""
    if (over := _value(stage, "foreach")) is not None:
        if isinstance(over, yaml.MappingNode):
            return "@${key}"
        if isinstance(over, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in over.value):
            return "@${item}"
        raise _Left("what it goes over is not told here; put `glasshouse record` there by hand")
    if (matrix := _value(stage, "matrix")) is not None:
        if isinstance(matrix, yaml.MappingNode):
            return "@" + "-".join(f"${{item.{key.value}}}" for key, _ in matrix.value)
        raise _Left("its matrix is not told here; put `glasshouse record` there by hand")
    return ""


def _commands(text: str, command: yaml.Node) -> Iterator[_Edit]:
    """The edits that measure before the first command and after the last."""
    start, end = command.start_mark.index, command.end_mark.index
    indent = " " * command.start_mark.column
    begin, finish = f"{RECORD} --begin", f"{RECORD} --end"
    if isinstance(command, yaml.SequenceNode):
        if command.flow_style:
            yield _Edit(start + 1, start + 1, f"{begin}, ")
            yield _Edit(end - 1, end - 1, f", {finish}")
            return
        yield _Edit(start, start, f"- {begin}\n{indent}")
        last = command.value[-1].end_mark.index
        last = len(text[:last].rstrip())
        yield _Edit(last, last, f"\n{indent}- {finish}")
    elif isinstance(command, yaml.ScalarNode) and command.style in ("|", ">"):
        lines = text[start:end].rstrip().split("\n")
        inner = next((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), 0)
        if command.style == ">" or not inner:
            raise _Left("its command is a folded text; put `glasshouse record` there by hand")
        first, last = start + len(lines[0]) + 1, len(text[:end].rstrip())
        yield _Edit(first, first, f"{' ' * inner}{begin}\n")
        yield _Edit(last, last, f"\n{' ' * inner}{finish}")
    elif isinstance(command, yaml.ScalarNode) and is_one_program(command.value):
        inside = start + (1 if command.style in ("'", '"') else 0)
        yield _Edit(inside, inside, f"{RECORD} -- ")
    elif isinstance(command, yaml.ScalarNode):
        outer = " " * (len(_line(text, start)) - len(_line(text, start).lstrip()) + 2)
        source = text[start:end]
        yield _Edit(start, end, f"\n{outer}- {begin}\n{outer}- {source}\n{outer}- {finish}")
        if text[start - 1] == " ":
            yield _Edit(start - 1, start, "")
    else:
        raise _Left("its command is not text")


def _output(text: str, body: yaml.MappingNode, command: yaml.Node, path: str) -> _Edit:
    """The edit that adds the output `path`."""
    outs = _value(body, "outs")
    quoted = f"'{path}'" if "$" in path or "@" in path else path
    if outs is None:
        key = next(key for key, value in body.value if value is command)
        column = key.start_mark.column
        if body.flow_style:
            return _Edit(key.start_mark.index, key.start_mark.index, f"outs: [{quoted}], ")
        return _Edit(key.start_mark.index, key.start_mark.index, f"outs: [{quoted}]\n{' ' * column}")
    if not isinstance(outs, yaml.SequenceNode):
        raise _Left("its outs are not a list")
    start = outs.start_mark.index
    if outs.flow_style:
        return _Edit(start + 1, start + 1, f"{quoted}, " if outs.value else quoted)
    return _Edit(start, start, f"- {quoted}\n{' ' * outs.start_mark.column}")


def _line(text: str, place: int) -> str:
    """The line that the place is in."""
    return text[text.rfind("\n", 0, place) + 1 :].partition("\n")[0]


def _applied(text: str, edits: list[_Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _check(before: str, after: str, name: str) -> None:
    """Whether the stage reads as it must, and all else as it did."""
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    was, now = old["stages"].pop(name), new["stages"].pop(name)
    was, now = was.get("do", was), now.get("do", now)
    plain = {key: value for key, value in was.items() if key not in ("cmd", "outs")}
    if old != new or plain != {key: value for key, value in now.items() if key not in ("cmd", "outs")}:
        raise _Left("it cannot be changed without changing more; put `glasshouse record` there by hand")
    added = [out for out in now["outs"] if out not in (was.get("outs") or [])]
    said, here = (_flat(body["cmd"]) for body in (was, now))
    wrapped = here == [f"{RECORD} -- {said[0]}"] or here == [f"{RECORD} --begin", *said, f"{RECORD} --end"]
    if len(added) != 1 or len(now["outs"]) != len(was.get("outs") or []) + 1 or not wrapped:
        raise _Left("its command does not read as it must; put `glasshouse record` there by hand")


def _flat(command: Any) -> list[str]:
    """The commands, one after the other."""
    lines = command.splitlines() if isinstance(command, str) else command
    return [str(line).strip() for line in lines if str(line).strip()]


def _value(node: Any, key: str) -> Any:
    """The value at `key` of a map; None where there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
