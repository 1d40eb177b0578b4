"""The card of a repository with a release's weights as GGUF.

Law: the same records give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.manifest import Entry
from registry.openness.cards.model_card import About, environment

TEMPLATE = "gguf_card.md.j2"


@dataclass(frozen=True, slots=True)
class Gguf:
    """What is known of it.

    repo: namespace/name.  about: the model's.  commit: of the source.  weights: the release's, which it was made from.
    files: what was made of them.  words: what llama.cpp calls the tokenizer's way to part text into words; None where
    it knows no such way.  pre_tokenizer: what the files then name as near to it, if anything.
    """

    repo: str
    about: About
    version: str
    commit: str
    weights: tuple[Entry, ...]
    files: tuple[Entry, ...]
    words: str | None
    pre_tokenizer: str | None


def render(gguf: Gguf) -> str:
    """README.md."""
    return environment().get_template(TEMPLATE).render(gguf=gguf, about=gguf.about, smallest=min(gguf.files, key=_size))


def _size(entry: Entry) -> int:
    return entry.size
