"""A small model of each kind, laid out as its library writes it: the bytes are made here, no library is needed."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from registry.files import write_atomic
from tests.synthetic_release import seeded


def safetensors(*names: str, metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors of four numbers each."""
    head: dict[str, Any] = {
        name: {"dtype": "U8", "shape": [4], "data_offsets": [4 * at, 4 * at + 4]} for at, name in enumerate(names)
    }
    text = json.dumps({**head, **({"__metadata__": dict(metadata)} if metadata else {})}).encode()
    return struct.pack("<Q", len(text)) + text + seeded("".join(names), 4 * len(names))


def onnx(location: str | None = None) -> bytes:
    """A model of one graph; with a tensor that lies in the file `location`."""
    if location is None:
        return b"\x08\x08\x3a\x03\x12\x01g"
    entry = _field(1, b"location") + _field(2, location.encode())
    tensor = _field(13, entry) + b"\x70\x01"
    return b"\x08\x08" + _field(7, _field(2, b"g") + _field(5, tensor))


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def gguf() -> bytes:
    """A file with one pair and no tensor."""
    key, value = b"general.name", b"small"
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair


def _npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(4, dtype=np.uint8))
    return stream.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


SHARDS = {f"model-{number:05d}-of-00003.safetensors": safetensors(f"layer.{number}.weight") for number in (1, 2, 3)}
INDEX = {"weight_map": {f"layer.{int(name[6:11])}.weight": name for name in SHARDS}}
PT = {"format": "pt"}

FOLDERS: dict[str, dict[str, bytes]] = {
    "language-model": {
        "config.json": _json({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}),
        "model.safetensors.index.json": _json(INDEX),
        **SHARDS,
    },
    "transformers": {
        "config.json": _json({"architectures": ["ViTForImageClassification"], "model_type": "vit"}),
        "model.safetensors": safetensors("vit.weight", metadata=PT),
    },
    "sentence-transformers": {
        "config.json": _json({"architectures": ["BertModel"], "model_type": "bert"}),
        "modules.json": _json(
            [
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]
        ),
        "1_Pooling/config.json": _json({"word_embedding_dimension": 4}),
        "model.safetensors": safetensors("bert.weight", metadata=PT),
        "README.md": b"---\ntags:\n- sentence-transformers\n---\n# Sentences\n\nIt compares them.\n",
    },
    "diffusers": {
        "model_index.json": _json(
            {
                "_class_name": "StableDiffusionPipeline",
                "_diffusers_version": "0.35.0",
                "unet": ["diffusers", "UNet2DConditionModel"],
                "vae": ["diffusers", "AutoencoderKL"],
                "safety_checker": [None, None],
            }
        ),
        "unet/config.json": _json({"_class_name": "UNet2DConditionModel"}),
        "unet/diffusion_pytorch_model.safetensors": safetensors("unet.weight", metadata=PT),
        "vae/diffusion_pytorch_model.safetensors": safetensors("vae.weight", metadata=PT),
    },
    "peft": {
        "adapter_config.json": _json(
            {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/base"}
        ),
        "adapter_model.safetensors": safetensors("lora_A.weight", "lora_B.weight", metadata=PT),
        "README.md": b"---\nbase_model: org/base\nlibrary_name: peft\n---\n\n# Model Card\n",
    },
    "gguf": {"small-Q8_0.gguf": gguf()},
    "onnx": {"model.onnx": onnx("weights.bin"), "weights.bin": bytes(range(16))},
    "jax": {"params.safetensors": safetensors("Dense_0/kernel", "Dense_0/bias")},
    "pytorch": {"net.safetensors": safetensors("fc.weight", "fc.bias", metadata=PT)},
    "safetensors": {"some/folder/net.safetensors": safetensors("w")},
    "other": {"table.npy": _npy()},
}  # fmt: skip
"""By the name of the kind. scikit-learn's is made by skops itself, in the tests."""


def write(folder: Path, kind: str, change: Callable[[dict[str, bytes]], object] = lambda files: None) -> Path:
    """Lay out the model of `kind` in `folder`, its files changed by `change`."""
    files = dict(FOLDERS[kind])
    change(files)
    for path, data in files.items():
        write_atomic(folder / path, data)
    return folder
