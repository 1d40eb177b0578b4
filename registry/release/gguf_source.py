"""What a GGUF file is made from, held to what such a file can say: a Llama of `transformers`, and its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from registry import canonical, suffixes, tensors
from registry.errors import InputError
from registry.records.record import validated
from registry.tensors import Tensor

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
MAX_TOKENIZER = 256 << 20
MAX_MERGES = 8_000_000
"""Things in a tokenizer.json: a large vocabulary has half a million merges, each a pair."""
SUPPORTED = "a GGUF file is made of a Llama without biases and rope scaling, with a byte-level BPE tokenizer"
WORDS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
}
"""What llama.cpp calls the ways to part text into words that it knows, by the pattern in tokenizer.json."""

Size = Annotated[int, Field(ge=1, le=1 << 24)]


class _Rotary(BaseModel):
    """How positions are told."""

    model_config = ConfigDict(frozen=True)

    rope_type: Literal["default"] = "default"
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10_000.0


class Llama(BaseModel):
    """config.json, as far as the file tells of it."""

    model_config = ConfigDict(frozen=True)

    model_type: Literal["llama"]
    """The family."""
    hidden_size: Size
    """The width of the model."""
    intermediate_size: Size
    """The width inside a feed-forward layer."""
    num_hidden_layers: Annotated[int, Field(ge=1, le=4096)]
    """How many layers."""
    num_attention_heads: Size
    """How many heads ask, in each layer."""
    num_key_value_heads: Size
    """How many heads answer, in each layer."""
    head_dim: Annotated[int, Field(ge=2, le=1 << 16, multiple_of=2)]
    """The width of a head."""
    vocab_size: Annotated[int, Field(ge=1, le=1 << 22)]
    """How many tokens the model knows."""
    max_position_embeddings: Size
    """How many tokens it can read at once."""
    rms_norm_eps: Annotated[float, Field(gt=0, lt=1)]
    """What is added to a variance before its root is taken."""
    rope_parameters: _Rotary
    """The rotary settings."""
    tie_word_embeddings: bool
    """Whether tokens go in and come out by the same table."""
    hidden_act: Literal["silu"]
    """The function inside a feed-forward layer."""
    attention_bias: Literal[False] = False
    """Whether attention has biases."""
    mlp_bias: Literal[False] = False
    """Whether feed-forward layers have biases."""

    @model_validator(mode="before")
    @classmethod
    def _older(cls, value: Any) -> Any:
        """Also as transformers before version 5 wrote it: the rotary settings each for itself."""
        if not isinstance(value, dict) or "rope_parameters" in value:
            return value
        scaling = value.get("rope_scaling")
        return value | {"rope_parameters": {"rope_theta": value.get("rope_theta", 10_000.0)} | (scaling or {})}

    @classmethod
    def read(cls, model: Path) -> Llama:
        """That of the model in the directory `model`. Raises InputError for any other."""
        with validated(CONFIG, mend=f"{SUPPORTED}: {_MEND}"):
            return cls.model_validate(canonical.read(model / CONFIG, max_bytes=1 << 20))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors of such a model, by their names in `transformers`."""
        width, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        layer = {
            "input_layernorm": (width,), "post_attention_layernorm": (width,),
            "self_attn.q_proj": (queries, width), "self_attn.k_proj": (keys, width),
            "self_attn.v_proj": (keys, width), "self_attn.o_proj": (width, queries),
            "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner),
        }  # fmt: skip
        whole: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, width)}
        for number in range(self.num_hidden_layers):
            whole |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
        whole["model.norm.weight"] = (width,)
        return whole if self.tie_word_embeddings else whole | {"lm_head.weight": (self.vocab_size, width)}


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor in one of the files of weights."""

    path: Path
    """The file that the tensor is in."""
    tensor: Tensor
    """The tensor."""


def placed(model: Path, config: Llama) -> list[Placed]:
    """The tensors of the model, in the order of `Llama.shapes`. Raises InputError unless they are just those."""
    found = {
        tensor.name: Placed(path, tensor)
        for path in sorted(model.glob(f"*{suffixes.SAFETENSORS}"))
        for tensor in tensors.read_header(path)
    }
    shapes = config.shapes()
    for name in sorted(shapes.keys() | found.keys()):
        shape = found[name].tensor.shape if name in found else None
        if shape != shapes.get(name):
            raise InputError(f"the weights have {name} as {shape}, {CONFIG} as {shapes.get(name)}", mend=_MEND)
        if found[name].tensor.dtype not in ("F32", "F16", "BF16"):
            raise InputError(f"{name} holds {found[name].tensor.dtype}; F32, F16 or BF16 is needed", mend=_MEND)
    return [found[name] for name in shapes]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Byte-level BPE."""

    tokens: tuple[str | None, ...]
    """Each as tokenizer.json spells it; None where a number has no token."""
    special: dict[int, bool]
    """By the number of a special token: whether it is a control token (True), or a plain word that stays whole
    (False)."""
    words: str | None
    """llama.cpp's name of the way in which text is parted into words before that; None where it has no name for it."""


def vocabulary(model: Path, size: int) -> Vocabulary:
    """The tokens of the model in the directory `model`. Raises InputError where they are not byte-level BPE."""
    return vocabulary_of(canonical.read(model / TOKENIZER, max_bytes=MAX_TOKENIZER, max_parts=MAX_MERGES), size)


def vocabulary_of(document: Any, size: int) -> Vocabulary:
    """What tokenizer.json says, for a model that knows `size` tokens. Raises InputError as `vocabulary` does."""
    try:
        parts = _parts(document["pre_tokenizer"])
        if document["model"]["type"] != "BPE" or "ByteLevel" not in [part["type"] for part in parts]:
            raise InputError(f"{TOKENIZER} is not a byte-level BPE; {SUPPORTED}", mend=_MEND)
        spelled = {int(number): str(token) for token, number in document["model"]["vocab"].items()}
        added = {int(row["id"]): (str(row["content"]), bool(row["special"])) for row in document["added_tokens"]}
        words = None if document.get("normalizer") else _words(parts)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InputError(f"{TOKENIZER} is not one that the tokenizers library writes", mend=_MEND) from problem
    spelled |= {number: token for number, (token, _) in added.items()}
    if not all(0 <= number < size for number in spelled) or len(set(spelled.values())) != len(spelled):
        raise InputError(f"{TOKENIZER} has a token twice, or one beyond the {size} of {CONFIG}", mend=_MEND)
    return Vocabulary(
        tokens=tuple(spelled.get(number) for number in range(size)),
        special={number: special for number, (_, special) in added.items()},
        words=words,
    )


def _parts(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer, one after the other."""
    return list(part["pretokenizers"]) if part["type"] == "Sequence" else [part]


def _words(parts: list[dict[str, Any]]) -> str | None:
    *others, last = parts
    if last["type"] != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if not others:
        return "gpt-2" if last.get("use_regex", True) else None
    first, *more = others
    plain = first["type"] == "Split" and first["behavior"] == "Isolated" and not first["invert"]
    if more or not plain or last.get("use_regex", True):
        return None
    return WORDS.get(str(first["pattern"].get("Regex")))


_MEND = "leave the companion of kind `gguf` out of params.yaml, or make the file with another tool: kind `folder`"
