"""What a file of settings names that a loader would import, call, or fetch from another repository.

Loaders go by such files: they import the module that a setting names, and call what they find in it, some of them
without being asked to trust anything. So a name counts as harmless only where it lies in the library that reads it.

Sources: transformers 5 (auto_map, attn_implementation: integrations/hub_kernels.py), diffusers (model_index.json,
pipeline_loading_utils.py), sentence-transformers (modules.json, util.import_from_string), PEFT (auto_mapping), Keras 3
(serialization_lib.py), Hydra and MONAI (`_target_`), jsonpickle (`py/...`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LIBRARIES = frozenset(("diffusers", "transformers", "peft", "sentence_transformers", "keras", "tf_keras"))
"""Whose own modules a setting can name."""
PIPELINES = frozenset(
    (
        "audioldm2", "blip_diffusion", "controlnet", "deepfloyd_if", "flux", "kandinsky", "kandinsky2_2",
        "latent_diffusion", "musicldm", "paint_by_example", "pixart_alpha", "shap_e", "stable_cascade",
        "stable_diffusion", "stable_diffusion_3", "stable_diffusion_xl", "unidiffuser", "wuerstchen",
    )
)  # fmt: skip
"""What model_index.json calls folders of diffusers.pipelines."""
KERAS = ("keras", "tf_keras")
KERAS_MODULES = frozenset(
    ("activations", "constraints", "dtype_policies", "engine", "initializers", "layers", "losses", "metrics", "models",
     "ops", "optimizers", "quantizers", "random", "regularizers")
)  # fmt: skip
"""Those of Keras whose classes a model is made of."""
KERAS_CALLS = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Classes of Keras that run code which stands beside them."""
INDEX, MODULES, ROUTER = "model_index.json", "modules.json", "router_config.json"
MODULAR = "modular_model_index.json"
MAPS = ("auto_map", "custom_pipelines")
"""Keys under which a configuration names code."""
ELSEWHERE = re.compile(r"^([\w.-]+/[\w.-]+)--")
"""`org/name--module.Class`: code of another repository."""
NAMED = {"configuration_files": "config.json", "fast_tokenizer_files": "tokenizer.json"}
"""Keys that have transformers go by another file of settings, or of the tokenizer: by version, wherever its name
leads; and the name of the file that it would go by otherwise."""
TARGETS = ("_target_", "__target__", "class_path", "_component_")
"""Keys under which stands what is called: of Hydra, MONAI, the command line of Lightning, and torchtune."""
CALLED = ("target", "type")
"""Keys of latent diffusion and Haystack: a dotted name under them is called."""
SERVERS = "mcpServers"
"""The key under which commands stand that an agent starts."""
MEGATRON = "megatron_core"
"""The key of PEFT's under which stands a module that is imported: by custom that of the same name."""
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
"""What is imported by its name."""
TORCH = "torch.nn."
"""Where activations are taken from by their name."""
CHAT = "chat_template"
"""A part of the keys under which chat templates stand."""
LEADING = (
    b"auto_map", b"custom_pipelines", b"chat_template", b"_implementation", b"parent_library", b"_target_", b'"target',
    b'"py/', b"class_path", b"_component_", b"megatron_core", b"mcpServers", b"class_name", b"name_or_path",
    b"weight_map", b"transformers_weights", b"configuration_files", b"fast_tokenizer_files",
)  # fmt: skip
"""Parts of the keys that are looked for in files of any name."""
NEAR, MAX_MET = 48, 1000
"""Bytes around such a part that are looked at; and how often it is, in one file."""
_LEADS = re.compile(rb'"\s*:\s*["\[{]')
"""A key's end, with what is not a number behind it: in a vocabulary it would be a word."""
_HIDDEN = re.compile(rb"\\u00[2-7]")
"""A plain letter, written as no writer of JSON writes it."""


def may_lead(data: bytes) -> bool:
    """Whether the JSON `data` may have a key that `named`, `templates` or `weights` looks for. Takes linear time."""
    return _HIDDEN.search(data) is not None or any(_is_key(data, part) for part in LEADING)


def _is_key(data: bytes, part: bytes) -> bool:
    """Whether `part` may be one of a key."""
    place = -1
    for _ in range(MAX_MET):
        place = data.find(part, place + 1)
        if place < 0:
            return False
        end = data.find(b'"', place + len(part), place + 2 * NEAR)
        if end >= 0 and _LEADS.match(data, end):
            return True
    return True


def named(value: Any, file: str) -> Iterator[str]:
    """In words, each thing that the settings `value` name and a loader would run.  file: what they are called."""
    if file in (INDEX, MODULAR) and isinstance(value, dict):
        yield from _components(value)
    found = (words for part in parts(value) for words in _of_part(part, file))
    yield from dict.fromkeys(found)


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every map in `value`, at whatever depth."""
    left = [value]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            yield here
            left += here.values()
        elif isinstance(here, list):
            left += here


def texts(value: Any) -> Iterator[str]:
    """Every text in `value`."""
    left = [value]
    while left:
        here = left.pop()
        if isinstance(here, str):
            yield here
        elif isinstance(here, dict | list):
            left += here.values() if isinstance(here, dict) else here


def templates(value: Any) -> Iterator[str]:
    """Every chat template in the settings `value`."""
    for part in parts(value):
        for key, item in part.items():
            if CHAT in key:
                yield from texts(item)


def _of_part(part: dict[str, Any], file: str) -> Iterator[str]:
    """What one map names."""
    if file in (MODULES, ROUTER):
        yield from _modules(part)
    for key, item in part.items():
        if not is_number(item):
            yield from _of_key(key, item)
    yield from _serialized(part)


def is_number(item: Any) -> bool:
    """Whether `item` names nothing, as most do: those of a vocabulary."""
    return isinstance(item, int | float) and item is not True


def _of_key(key: str, item: Any) -> Iterator[str]:
    """What one setting names."""
    if key in MAPS:
        yield from (_asked(text) for text in sorted(set(texts(item))))
    elif isinstance(item, str) and ELSEWHERE.match(item):
        yield _asked(item)
    elif key.endswith("_implementation") or "_implementation_" in key:
        kernels = sorted({text for text in texts(item) if "/" in text or "\\" in text})
        yield from (
            f"it asks for the kernel {one[:100]}, code of another repository, which transformers fetches and runs"
            for one in kernels
        )
    elif key in NAMED:
        if item not in (None, [], [NAMED[key]]):
            yield f"it has a loader go by {str(item)[:100]} in place of {NAMED[key]}"
    elif key == "parent_library":
        yield from (f"it has a loader import {text[:100]}" for text in texts(item) if not _is_ours(text))
    elif item and (key in TARGETS or key.startswith("py/")):
        yield f"it names what is called as it is read: {key[:40]}: {' '.join(texts(item))[:100]}"
    elif key in CALLED and isinstance(item, str) and DOTTED.fullmatch(item):
        if not (_is_ours(item) or item.startswith("torch.")):
            yield f"it names what is called as it is read: {item[:100]}"
    elif key == MEGATRON and item not in (None, "", "megatron.core"):
        yield f"it has a loader import {str(item)[:100]}"
    elif key == SERVERS and item:
        yield f"it names commands that an agent starts: {str(item)[:100]}"
    elif "activation" in key:
        found = [text for text in texts(item) if DOTTED.fullmatch(text) and not text.startswith(TORCH)]
        yield from (f"it has a loader import {text[:100]}" for text in found if not _is_ours(text))


def _asked(text: str) -> str:
    there = ELSEWHERE.match(text)
    where = f"of {there[1]}, which no signature here covers" if there else "of this release"
    return f"it names code {where}, that `trust_remote_code` would run: {text[:100]}"


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in LIBRARIES


def _is_kerass(module: str) -> bool:
    """Whether there are classes of layers and their like in a module, and nothing that reads or fetches files."""
    library, *rest = [part for part in module.split(".") if part != "src"]
    return library in KERAS and (not rest or rest[0] in KERAS_MODULES)


def _components(index: dict[str, Any]) -> Iterator[str]:
    """What a pipeline of diffusers is made of: each of a library, and a class in it."""
    if not isinstance(index.get("_class_name"), str | None):
        yield f"it names a pipeline that `trust_remote_code` would run: {str(index['_class_name'])[:100]}"
    for name, item in index.items():
        library = item[0] if isinstance(item, list) and item and not name.startswith("_") else None
        if isinstance(library, str) and library not in LIBRARIES | PIPELINES:
            yield f"it has diffusers import {library[:100]} for its part {name[:100]}"


def _modules(part: dict[str, Any]) -> Iterator[str]:
    """The modules of a sentence-transformers model, each of a type that is imported by its name."""
    for text in texts([part.get("type"), part.get("types")]):
        if not text.startswith("sentence_transformers."):
            yield f"it has sentence-transformers import {text[:100]}"


def _serialized(part: dict[str, Any]) -> Iterator[str]:
    """What Keras makes anew by module and class: a class of Keras's own is none of anybody's code, but for those that
    call what they are given, or fetch it."""
    made, module = part.get("class_name"), part.get("module")
    foreign = isinstance(module, str) and "config" in part and not _is_kerass(module)
    if isinstance(made, str) and (made in KERAS_CALLS or foreign):
        yield f"it has Keras make {str(module)[:60]}.{made[:60]}, which is code"
