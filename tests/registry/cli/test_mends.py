"""Every command that a message, a mend or a docstring names is one that exists, with options that it has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.cli import PANELS
from registry.cli.tree import sentence
from tests.registry.cli.words import ROOT, check, every, options

SOURCE = Path(__file__).resolve().parents[3]
FILES = [path for room in ("registry", "pipelines") for path in sorted((SOURCE / room).rglob("*.py"))]
_REST = r"glasshouse (?=[a-z-])(?:[^;,()`.]|\.(?! |$))*"
BARE = re.compile(rf"(?<![-.\w])(?<!of )({_REST})")
"""A command in a mend."""
SHOWN = re.compile(rf"`(glasshouse [^`]+)`|(?<=[:;] )({_REST})")
"""A command in any other text: in backticks, or after a colon."""
OTHERS = re.compile(r"\b(git|dvc|pip|hf|python|apt|ulimit) ")
"""Commands of others, whose options are not ours."""


def texts(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every string of a module, each with where it stands; what an f-string fills in is X."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node, node.value


def mends(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What people are told to do: the strings in `mend=...`, and in constants named like it."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.keyword(arg="mend", value=value) | ast.Assign(targets=[ast.Name(id="MEND" | "_MEND")], value=value)
            ):
                yield from texts(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_every_command_named_exists(path: Path) -> None:
    tree = ast.parse(path.read_text())
    told = {id(node) for node, _ in mends(tree)}
    for node, text in texts(tree):
        for found in (BARE if id(node) in told else SHOWN).finditer(" ".join(text.split())):
            check((found[1] or found[2]).replace("'", "").strip())


def test_every_option_that_a_mend_names_is_one() -> None:
    known = {option for command in every() for option in options(command)}
    told = [text for path in FILES for _, text in mends(ast.parse(path.read_text()))]
    assert len(told) > 300
    unknown = {
        (text, option)
        for text in told
        if not OTHERS.search(text)
        for option in re.findall(r"(?<![-\w])--[a-z][a-z-]*", text)
        if option not in known
    }
    assert not unknown


def test_a_command_that_is_not_there_is_noticed() -> None:
    (text,) = [text for _, text in texts(ast.parse("f'build it anew: glasshouse manifest build {x}, or not'"))]
    (line,) = BARE.findall(text)
    assert line == "glasshouse manifest build X"
    with pytest.raises(AssertionError, match="no command manifest"):
        check(line)
    with pytest.raises(AssertionError, match="no command token"):
        check("glasshouse token list")


def test_the_first_page_says_of_each_command_what_its_own_does() -> None:
    for name, words in ((name, words) for rows in PANELS.values() for name, words in rows.items()):
        command = ROOT
        for word in name.split():
            command = command.commands[word]
        assert sentence(command) == words
    assert [name for rows in PANELS.values() for name in rows][:2] == ["verify", "release cut"]
    assert set(ROOT.commands) - {"token"} == {name.split()[0] for rows in PANELS.values() for name in rows}
