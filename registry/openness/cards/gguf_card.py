"""The card of a repository with a release's weights as GGUF.

Law: the same records give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.manifest import Entry
from registry.openness.cards.model_card import About, environment, front

TEMPLATE = "gguf_card.md.j2"


@dataclass(frozen=True, slots=True)
class Gguf:
    """What the card beside GGUF files is made from."""

    repo: str
    """`namespace/name` on the Hub."""
    about: About
    """What a person says of the model."""
    version: str
    """The version of the release."""
    commit: str
    """The commit of the source."""
    weights: tuple[Entry, ...]
    """The release's files of weights, from which these were made."""
    files: tuple[Entry, ...]
    """The GGUF files."""
    words: str | None
    """What llama.cpp calls the tokenizer's way to part text into words; None where it knows no such way."""
    pre_tokenizer: str | None
    """What the files then name as near to it, if anything."""


def render(gguf: Gguf) -> str:
    """README.md."""
    metadata = {
        **gguf.about.licence,
        "base_model": gguf.about.repo,
        "base_model_relation": "quantized",
        "language": list(gguf.about.languages),
        "library_name": "gguf",
        "pipeline_tag": "text-generation",
        "tags": ["glasshouse", "gguf", "llama.cpp"],
    }
    text = environment().get_template(TEMPLATE).render(gguf=gguf, about=gguf.about, smallest=min(gguf.files, key=_size))
    return front({name: value for name, value in metadata.items() if value}) + text


def _size(entry: Entry) -> int:
    return entry.size
