"""Chats as documents: a list of messages, each with a role and a content, written as one text by a template.

The template is the one that the model is released with, so whoever talks to it later writes as it was taught. It is
Jinja, as transformers renders it (no space of the template's own lines), in a sandbox, and without a clock: the same
messages give the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from registry.errors import InputError

NAME = "chat_template.jinja"
"""What transformers calls the file beside a tokenizer."""


class ChatTemplate:
    """A template, ready for use. Raises InputError for what is not one."""

    def __init__(self, source: str) -> None:
        self.source = source
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        try:
            self._template = environment.from_string(source)
        except TemplateError as problem:
            raise InputError(
                f"corpus.chat_template: {problem}", mend="mend it in params.yaml, as Jinja has it"
            ) from problem

    def render(self, messages: object, place: str) -> str:
        """The text of a chat, which stands at `place`. Raises InputError where it is none, or the template refuses."""
        if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
            _refuse(f"{place} is not a list of messages, each with a role and a content")
        try:
            return self._template.render(messages=messages, add_generation_prompt=False)
        except (TemplateError, TypeError, ValueError) as problem:
            _refuse(f"{place}: the template does not write it: {problem}"[:1000])


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(name), str) for name in ("role", "content"))


def _raise(message: Any) -> NoReturn:
    raise TemplateError(str(message))


def _refuse(found: str) -> NoReturn:
    raise InputError(found, mend="mend the row, or corpus.chat_template in params.yaml")
