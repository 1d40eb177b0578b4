"""The weights as llama.cpp and its kin load them: a GGUF file. The one door to the library of that format.

Laws: the same model, label and type give the same bytes; F32 holds every weight as it is. Tensors are read and written
one at a time.
Source: the GGUF specification (ggml-org/ggml, docs/gguf.md), and what llama.cpp's own converter makes of a Llama:
vectors stay F32, and the two halves of a rotary pair, which `transformers` keeps apart, stand side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_args

from registry import extras
from registry.errors import InputError, Refused
from registry.release import gguf_source
from registry.release.gguf_source import Llama, Placed

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

    Numbers = np.ndarray[Any, np.dtype[Any]]

Type = Literal["F32", "F16", "BF16", "Q8_0"]
"""How matrices are stored: as they are, as halves of either sort, in blocks of 32 bytes with a scale."""
TYPES: tuple[Type, ...] = get_args(Type)
ROTARY = (".self_attn.q_proj.", ".self_attn.k_proj.")


@dataclass(frozen=True, slots=True)
class Label:
    """What only a person can say of the file."""

    title: str
    """What people call the model."""
    licence: str
    """The licence, as the Hub knows it."""
    source: str
    """What the file was made from."""
    pre_tokenizer: str | None = None
    """For a tokenizer that llama.cpp does not know: its name of a way to part text into words that comes near."""


def write(model: Path, target: Path, kind: Type, label: Label) -> None:
    """Write the model in the directory `model` to the file `target`.

    Raises InputError for another architecture than a plain Llama or another tokenizer than byte-level BPE, Unavailable
    where the library is not installed, Refused for weights that the type cannot hold.
    """
    gguf = _library()
    config = Llama.read(model)
    placed = gguf_source.placed(model, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    writer = gguf.GGUFWriter(target, "llama")
    try:
        _describe(writer, config, kind, label)
        _tokens(writer, model, config, label)
        for each in placed:
            shape, stored = each.tensor.shape, _stored(each, kind)
            size = math.prod(gguf.quant_shape_to_byte_shape(shape, stored))
            name = names.get_name(each.tensor.name, try_suffixes=(".weight",))
            writer.add_tensor_info(name, shape, _numpy().dtype("float32"), size, stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for each in placed:
            writer.write_tensor_data(_converted(each, config, _stored(each, kind)))
    finally:
        writer.close()


def _describe(writer: GGUFWriter, config: Llama, kind: Type, label: Label) -> None:
    gguf = _library()
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(label.title)
    writer.add_license(label.licence)
    writer.add_source_repo_url(label.source)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    files = gguf.LlamaFileType
    known = {"F32": files.ALL_F32, "F16": files.MOSTLY_F16, "BF16": files.MOSTLY_BF16, "Q8_0": files.MOSTLY_Q8_0}
    writer.add_file_type(known[kind])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _tokens(writer: GGUFWriter, model: Path, config: Llama, label: Label) -> None:
    gguf = _library()
    types = gguf.TokenType
    known = gguf_source.vocabulary(model, config.vocab_size)
    kinds = {None: types.NORMAL, True: types.CONTROL, False: types.USER_DEFINED}
    writer.add_tokenizer_model("gpt2")
    if pre_tokenizer := known.words or label.pre_tokenizer:
        writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list([f"[PAD{number}]" if token is None else token for number, token in enumerate(known.tokens)])
    writer.add_token_types(
        [
            types.UNUSED if token is None else kinds[known.special.get(number)]
            for number, token in enumerate(known.tokens)
        ]
    )
    try:
        gguf.SpecialVocab(model, load_merges=True, n_vocab=config.vocab_size).add_to_gguf(writer, quiet=True)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise InputError(
            f"{gguf_source.TOKENIZER} and tokenizer_config.json do not go together: {problem}", mend="dvc repro"
        ) from problem


def _stored(placed: Placed, kind: Type) -> Any:
    """As what the tensor is stored: what is too narrow for whole blocks as F16, as llama.cpp itself does."""
    gguf = _library()
    types, shape = gguf.GGMLQuantizationType, placed.tensor.shape
    if len(shape) < 2:
        return types.F32
    return types.F16 if kind == "Q8_0" and shape[-1] % gguf.GGML_QUANT_SIZES[types.Q8_0][0] else types[kind]


def _converted(placed: Placed, config: Llama, stored: Any) -> Numbers:
    np, gguf = _numpy(), _library()
    numbers = _read(placed)
    if any(part in placed.tensor.name for part in ROTARY):
        rows = numbers.reshape(-1, 2, config.head_dim // 2, numbers.shape[-1])  # heads, halves, pairs, width
        numbers = np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(numbers.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        made: Numbers = gguf.quantize(numbers, stored)
        if not np.isfinite(gguf.dequantize(made, stored)).all():
            raise Refused(
                f"{placed.tensor.name} holds a number that {stored.name} cannot say", mend="take BF16 or F32 as type"
            )
    return made


def _read(placed: Placed) -> Numbers:
    """Its numbers as float32, which holds each of the three types exactly."""
    np, tensor = _numpy(), placed.tensor
    stored = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[tensor.dtype]
    raw = np.memmap(placed.path, stored, "r", tensor.start, tensor.shape)
    half = tensor.dtype == "BF16"  # the upper half of a float32
    numbers: Numbers = (raw.astype(np.uint32) << 16).view(np.float32) if half else raw.astype(np.float32)
    return numbers


def _library() -> ModuleType:
    """The library of the format. Raises Unavailable where it is not installed."""
    with extras.needed("gguf"):
        import gguf
    return gguf


def _numpy() -> Any:
    import numpy

    return numpy
