"""What the Hub is told of a model's kind: the fields of a card that depend on how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Relation = Literal["finetune", "adapter", "merge", "quantized"]
"""How a model comes of its base."""


@dataclass(frozen=True, slots=True)
class KindLabel:
    """The fields, each None where nothing says it."""

    library_name: str | None = None
    """What loads it, as the Hub calls it."""
    pipeline_tag: str | None = None
    """What it does, as the Hub calls it."""
    base_model: tuple[str, ...] = ()
    """The models of the Hub that its files say it was made from."""
    base_model_relation: Relation | None = None
    """How it was made from them."""
