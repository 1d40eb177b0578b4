"""How the command is put together: what is imported to name a command is nothing of it, and help is plain text.

A group of commands, or one command, is an `App` in a module of its own, called `app`. The root names each by its word;
its module is imported when it is asked for. Rich takes longer to load than most commands run: help does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

OUTPUT = "--output"
RENAMED = ("--out", "--into")
"""What `--output` was called in some commands until 0.1; still understood, in none of the help pages."""


class Command(TyperCommand):
    """A command that understands how its options were once called."""

    def make_parser(self, ctx: Any) -> Any:
        """The parser of the words after the command's name."""
        parser = super().make_parser(ctx)
        known = parser._long_opt
        if OUTPUT in known:
            known |= {old: known[OUTPUT] for old in RENAMED if old not in known}
        return parser


class Group(TyperGroup):
    """A group of commands, whose help has the first sentence of each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The part of the help that names the commands."""
        found = [(name, command) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence(command)) for name, command in found])


def sentence(command: Any) -> str:
    """What a command does, as its help begins."""
    said: str = command.get_short_help_str(limit=1000)
    return said


class App(typer.Typer):
    """Commands, or one command, that show plain help."""

    def __init__(self, **settings: Any) -> None:
        plain = {"cls": Group, "rich_markup_mode": None, "pretty_exceptions_enable": False, "add_completion": False}
        super().__init__(**{**plain, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """As in Typer, of our own kind."""
        return super().command(name, **{"cls": Command, **settings})


class Commands(Mapping[str, Any]):
    """The root's commands by name, each imported when it is asked for, from the module of registry.cli of its name.

    hidden: the module of each that only those who used it before know of.
    """

    def __init__(self, names: Iterable[str], hidden: Mapping[str, str]) -> None:
        self._hidden = hidden
        self._modules = {name: name for name in names} | dict(hidden)
        self._asked: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._asked:
            return self._asked[name]
        command = typer.main.get_command(import_module(f"registry.cli.{self._modules[name]}").app)
        command.name, command.hidden = name, name in self._hidden
        self._asked[name] = command
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def root(panels: Mapping[str, Mapping[str, str]], hidden: Mapping[str, str]) -> type[Group]:
    """The kind of group that has the commands of `panels`, and those of `hidden`.

    panels: what each command does, by its words, in groups by their headings.  hidden: as `Commands` has it.
    """
    shown = dict.fromkeys(name.split()[0] for rows in panels.values() for name in rows)
    widest = max(len(name) for rows in panels.values() for name in rows)

    class Root(Group):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = Commands(shown, hidden)  # type: ignore[assignment]  # nothing is added to it

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            for heading, rows in panels.items():
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(widest), words) for name, words in rows.items()])

    return Root
