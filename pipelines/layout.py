"""How the parameters of a model lie in a file: as `save_pretrained` of its architecture writes them.

For most architectures that is each parameter under its name. Some keep several tensors of the file in one parameter:
Mixtral's experts are one tensor in memory, and one for each expert and matrix in the file. Checkpoints have the file's
layout, weights and optimizer state alike, so that the last one is what is exported.

Law: `restored(stored(x)) == x`, and nothing is computed on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from registry.errors import InputError

Tensors = Mapping[str, torch.Tensor]
Places = np.ndarray[Any, np.dtype[np.int64]]
"""Which numbers of all parameters, end to end, a tensor holds."""
ADAPTER = "default"
"""What peft calls an adapter in memory; in a file its tensors do without."""
STEP = "step"
"""What AdamW keeps beside tensors of the parameter's shape: a single number."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The two ways of one model."""

    shapes: Mapping[str, tuple[int, ...]]
    """The parameters, in the model's order."""
    places: Mapping[str, Places] | None
    """For each tensor of the file: which numbers of all parameters, end to end, it holds. None: each is a parameter."""

    def stored(self, tensors: Tensors) -> dict[str, torch.Tensor]:
        """Tensors of the parameters' shapes, by parameter -> by their names in a file."""
        if self.places is None:
            return dict(tensors)
        flat = np.concatenate([tensors[name].cpu().numpy().ravel() for name in self.shapes])
        return {name: torch.from_numpy(flat[place]) for name, place in self.places.items()}

    def restored(self, tensors: Tensors, path: Path) -> dict[str, torch.Tensor]:
        """The way back, of what is in the file at `path`. Raises InputError where a name or a shape is another."""
        if self.places is None:
            return dict(tensors)
        shapes = {name: place.shape for name, place in self.places.items()}
        if differ := sorted(
            name
            for name in shapes.keys() | tensors.keys()
            if name not in shapes or name not in tensors or tuple(tensors[name].shape) != shapes[name]
        ):
            raise InputError(f"{path} does not fit the model at {differ[0]}", mend="train anew: dvc repro -f train")
        flat = np.empty(sum(place.size for place in self.places.values()), np.float32)
        for name, place in self.places.items():
            flat[place] = tensors[name].numpy()
        found, start = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            found[name] = torch.from_numpy(flat[start : start + size].reshape(shape))
            start += size
        return found

    def stored_state(self, state: Mapping[str, Tensors]) -> dict[str, torch.Tensor]:
        """The optimizer's state by parameter -> by names in a file: the tensor's, a dot, and the state's."""
        keys = list(next(iter(state.values()), {}))
        by_key = {key: {name: kept[key] for name, kept in state.items()} for key in keys}
        lying = {key: self._steps(by_key[key]) if key == STEP else self.stored(by_key[key]) for key in keys}
        names = state if self.places is None else self.places
        return {f"{name}.{key}": lying[key][name] for name in names for key in keys}

    def restored_state(self, tensors: Tensors, path: Path) -> dict[str, torch.Tensor]:
        """The way back, flat as in the file. Raises InputError as `restored` does."""
        if self.places is None:
            return dict(tensors)
        by_key: dict[str, dict[str, torch.Tensor]] = {}
        for full, tensor in tensors.items():
            name, _, key = full.rpartition(".")
            by_key.setdefault(key, {})[name] = tensor
        steps = by_key.pop(STEP, {})
        found = {f"{name}.{key}": tensor for key in by_key for name, tensor in self.restored(by_key[key], path).items()}
        return found | {f"{name}.{STEP}": next(iter(steps.values())) for name in self.shapes if steps}

    def _steps(self, steps: Tensors) -> dict[str, torch.Tensor]:
        """The number of steps, which is the same for all."""
        if self.places is None:
            return dict(steps)
        return {name: next(iter(steps.values())).clone() for name in self.places}


def layout_of(model: PreTrainedModel) -> Layout:
    """The layout that `save_pretrained` would write: of the parameters that are trained."""
    given = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
    shapes = {name: tuple(tensor.shape) for name, tensor in given.items()}
    if any(f".{ADAPTER}." in name for name in given):
        return Layout(shapes, {name.replace(f".{ADAPTER}.", "."): place for name, place in _places(given).items()})
    lying = revert_weight_conversion(model, dict(given))
    if lying.keys() == given.keys() and all(lying[name] is tensor for name, tensor in given.items()):
        return Layout(shapes, None)
    numbers = {name: torch.from_numpy(place) for name, place in _places(given).items()}
    places = {
        name: np.ascontiguousarray(tensor.numpy()) for name, tensor in revert_weight_conversion(model, numbers).items()
    }
    return Layout(shapes, places)


def _places(tensors: Tensors) -> dict[str, Places]:
    """For each tensor, which numbers of all, end to end, it holds."""
    found, start = {}, 0
    for name, tensor in tensors.items():
        found[name] = np.arange(start, start + tensor.numel(), dtype=np.int64).reshape(tensor.shape)
        start += tensor.numel()
    return found
