"""The model: a causal language model of `transformers`, made from a configuration and weights of our own drawing.

`transformers` supplies the architecture and, later, `from_pretrained`; the numeric profile decides the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from pipelines import fused, rows
from pipelines.compiled import PRODUCTS_INTO, kernels_made
from pipelines.determinism import Profile
from pipelines.families import CENTRED_NORMS, EAGER, MEND, attempted, demand_causal
from pipelines.layout import layout_of
from pipelines.params import Model
from pipelines.portable import PRODUCTS, Gate, Kernels, uniform
from registry.errors import InputError

Parameters = Mapping[str, torch.nn.Parameter]


def arithmetic(profile: Profile) -> AbstractContextManager[object]:
    """Within it, this thread computes as the profile says."""
    if profile.operations == "known":
        return Gate()
    return Kernels({**PRODUCTS, **PRODUCTS_INTO} if profile.products == "openblas" else {})


def configuration(model: Model, *, vocabulary: int, end_of_text: int) -> PreTrainedConfig:
    """The configuration that transformers knows the model by. Raises InputError for one that it refuses."""
    demand_causal(model.architecture)
    with attempted(model.architecture):
        config: PreTrainedConfig = AutoConfig.for_model(
            model.architecture,
            **dict(model.config),
            vocab_size=vocabulary,
            max_position_embeddings=model.context,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
            dtype="float32",
        )
    return config


def end_of_text(tokenizer: Path) -> int:
    """The number of the token that ends a document, of the tokenizer in that folder. Raises InputError without one."""
    found = AutoTokenizer.from_pretrained(str(tokenizer), local_files_only=True).eos_token_id
    if not isinstance(found, int):
        raise InputError(f"the tokenizer in {tokenizer} has no end-of-text token", mend="dvc repro -f tokenizer")
    return found


def blank(config: PreTrainedConfig, profile: Profile, *, compiled: bool = False) -> PreTrainedModel:
    """The model without weights: its parameters hold whatever memory held, so give them values before use.

    compiled: whether torch.compile will write its kernels, so that its code stays as transformers has it. Raises
    InputError where transformers does not make it.
    """
    attention = "eager" if compiled or config.model_type in EAGER else profile.attention
    experts = "eager" if profile.products == "openblas" else None  # one by one: torch groups products that are not ours
    with attempted(config.model_type), arithmetic(profile), no_init_weights():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, attn_implementation=attention, experts_implementation=experts
        )
        model.tie_weights()
    if attention == fused.ATTENTION:
        fused.fuse(model)
    model.config.use_cache = False
    return model.to(profile.device)


def recompute(model: PreTrainedModel) -> None:
    """Let each layer compute anew, on the way back, what it computed on the way forward, instead of keeping it."""
    with attempted(model.config.model_type):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    model.train()


def initialise(model: PreTrainedModel, seed: int) -> None:
    """Give every parameter its first value: a function of the seed, the parameter's name and its shape.

    Matrices are uniform with mean 0 and standard deviation `initializer_range` of the configuration, less by
    sqrt(2 * layers) where they end a residual branch (Radford et al., GPT-2, section 2.3); biases 0; norms' weights 1,
    or 0 where the norm adds 1 to them. Raises InputError for a vector that is neither.
    """
    with attempted(model.config.model_type):
        spread = float(getattr(model.config, "initializer_range", 0.02)) * 3**0.5
        depth = float(2 * model.config.num_hidden_layers) ** 0.5
    centred = {f"{name}.weight" for name, module in model.named_modules() if type(module).__name__ in CENTRED_NORMS}
    with torch.no_grad():
        for name, parameter in parameters(model).items():
            if parameter.ndim >= 2:
                ends_branch = name.endswith(("o_proj.weight", "down_proj.weight", "c_proj.weight"))
                width = spread / depth if ends_branch else spread
                drawn = uniform(f"glasshouse:{seed}:{name}", tuple(parameter.shape), width)
                rows.own(parameter).copy_(drawn[rows.held(parameter)])
            elif name.endswith("bias") or name in centred:
                rows.own(parameter).zero_()
            elif "norm" in name.lower() or "ln_" in name:
                rows.own(parameter).fill_(1.0)
            else:
                raise InputError(
                    f"{model.config.model_type!r}: no first value is known for {name}, {tuple(parameter.shape)}",
                    mend=MEND,
                )


def parameters(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """The parameters that are trained by name, in the model's order, a tied one once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def load(model: PreTrainedModel, *paths: Path) -> None:
    """Fill the parameters from safetensors files. Raises InputError unless they hold exactly them, or are none."""
    if not paths:
        raise InputError("there are no weights to load", mend="dvc repro export")
    tensors = {name: tensor for path in paths for name, tensor in read_tensors(path).items()}
    assign(parameters(model), layout_of(model).restored(tensors, paths[0]), paths[0])


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file. Raises InputError where it is none.

    By way of numpy, because safetensors' own reader for torch does not work inside a dispatch mode such as the gate.
    """
    try:
        tensors = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    except (OSError, SafetensorError) as problem:
        raise InputError(f"{path} holds no tensors: {problem}", mend="train anew: dvc repro -f train") from problem
    return tensors


def assign(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], path: Path) -> None:
    """Copy each tensor of `found` into that of its name. Raises InputError unless names, shapes and types agree."""
    if differ := sorted(
        name
        for name in wanted.keys() | found.keys()
        if name not in wanted or name not in found
        or (wanted[name].shape, wanted[name].dtype) != (found[name].shape, found[name].dtype)
    ):  # fmt: skip
        raise InputError(f"{path} does not fit the model at {differ[0]}", mend="train anew: dvc repro -f train")
    with torch.no_grad():
        for name, tensor in wanted.items():
            rows.own(tensor).copy_(found[name][rows.held(tensor)] if tensor.ndim else found[name])


def loss_sum(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
    """Sum of the losses in nats of predicting rows[:, 1:] from what comes before; rows: (rows, context + 1)."""
    with attempted(model.config.model_type), kernels_made():
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits.float()
    if model.config._attn_implementation == fused.ATTENTION:
        return fused.loss_sum(logits.flatten(0, 1), rows[:, 1:].flatten())
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")


def greedy(model: PreTrainedModel, prompt: list[int], length: int) -> Iterator[int]:
    """The `length` tokens that follow `prompt`, each the likeliest after all before it (within the context)."""
    context: int = model.config.max_position_embeddings
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(length):
            window: Any = torch.tensor([tokens[-context:]], device=model.device)
            token = int(model(input_ids=window, use_cache=False).logits[0, -1].argmax())
            tokens.append(token)
            yield token
