"""Each kind of model: what must be there before it is released (its door), and what the Hub is told of it.

Which files hold weights, and what tells a kind, is in registry.records.kinds. Nothing is guessed here: what the files
do not say is left out of the card, until the `release` section says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from registry.errors import Refused
from registry.records import kinds
from registry.records.kinds import Kind, ModelFolder
from registry.release.kinds import libraries, single
from registry.release.kinds.label import KindLabel

Door = Callable[[ModelFolder], Iterator[str]]
"""What is amiss with a folder of one kind, in words."""
Labeller = Callable[[ModelFolder], KindLabel]
"""What its files say of how it is loaded."""

DOORS: Mapping[str, tuple[Door, Labeller]] = {
    "peft": (libraries.adapter_amiss, libraries.adapter),
    "sentence-transformers": (libraries.sentences_amiss, libraries.sentences),
    "diffusers": (libraries.pipeline_amiss, libraries.pipeline),
    "gguf": (single.parts_amiss, single.gguf),
    "onnx": (single.nothing_amiss, single.onnx),
    "sklearn": (single.nothing_amiss, single.sklearn),
    "language-model": (libraries.transformers_amiss, libraries.language_model),
    "transformers": (libraries.transformers_amiss, libraries.transformers),
    "jax": (single.nothing_amiss, single.jax),
    "pytorch": (single.nothing_amiss, single.pytorch),
    "safetensors": (single.nothing_amiss, single.other),
    "other": (single.nothing_amiss, single.other),
}
"""By the names of registry.records.kinds."""


def kind_of(model: ModelFolder, said: str | None) -> Kind:
    """What kind of model it is: as somebody says, else as its files tell."""
    return kinds.named(said) if said else kinds.recognised(model)


def check(model: ModelFolder, kind: Kind) -> None:
    """Refuse, with Refused that names everything, a folder that a loader of its kind would not load whole."""
    amiss = [*single.shards_amiss(model), *DOORS[kind.name][0](model)]
    if not any(path.lower().endswith(kind.endings) for path in model.weights):
        amiss.insert(0, f"it holds no weights as {' or '.join(kind.endings)}")
    if amiss:
        raise Refused(
            f"the model is a {kind.title}, and {'; '.join(amiss[:5])}",
            mend="let its stage write what is missing; or say what it is: `kind` in the release section",
        )


def label(model: ModelFolder, kind: Kind) -> KindLabel:
    """What the files of `model` say of how it is loaded."""
    return DOORS[kind.name][1](model)
