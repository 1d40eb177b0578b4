"""The places that a file of settings has a loader take weights or a tokenizer from: other repositories, other files.

Law: what a loader fetches by itself is told, wherever it leads. What only says where the settings came from is not.

Sources: transformers 5 (backbone_utils.py, composite models), PEFT 0.21 (XLoRA, Shadow, CorDA, LoRA-GA, multitask
prompt tuning), sentence-transformers (modules.json), diffusers (model_index.json, and its modular form), OpenCLIP,
timm, MLC (ndarray-cache.json), TensorFlow.js (model.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from registry.formats.settings import INDEX, MODULAR, MODULES, ROUTER, is_number, parts, texts

SAID = frozenset(("_name_or_path", "name_or_path", "base_model_name_or_path", "base_model"))
"""Keys that say where settings came from, and, of an adapter, which base it is for: step 5 looks at that."""
PLACES = frozenset(("repo_or_path", "backbone", "vision_tower", "mm_vision_tower", "adapters"))
"""Keys, beside those that end in `name_or_path`, under which stands a repository that weights are taken from."""
LIKELY = re.compile(
    r"(?:^|_)(?:model|model_id|model_name|repo|repo_id|hub_id|encoder|tower|tower_aux_list|tokenizer|tokenizer_name|"
    r"checkpoint|adapter)$"
)
"""How keys end of the settings of many models, under which such a repository stands, where a place stands there."""
PLACE = re.compile(r"(?:[a-z][a-z0-9+.-]*://.+|[/~].+|[A-Za-z]:\\.+|[\w.-]+/[\w.-]+(?:[@:/][\w./@:-]*)?)")
"""What such a place looks like: an address, a path of a machine, a repository."""
FILES = frozenset(("cache_file", "covariance_file", "prompt_tuning_init_state_dict_path"))
"""Keys of PEFT's under which a file stands that it loads, as a pickle where it is one."""
SHADOW, MIRROR = "shadow_model", "mirror"
"""The key of PEFT's under which stands a model that is loaded beside the base; and its word for none."""
PRETRAINED = "use_pretrained_backbone"
"""The key that has transformers fetch the weights of a part from where its name leads."""


def elsewhere(value: Any, file: str) -> Iterator[str]:
    """In words, each place that the settings `value` have a loader take something from.  file: what they are called."""
    of_loader = "config" in file or file in (INDEX, MODULAR, MODULES)
    said = ((key, item) for part in parts(value) for key, item in part.items() if not is_number(item))
    found = (place for key, item in said for place in _of_key(key, item, of_loader))
    yield from (
        f"it has a loader take weights from {one[:100]}, which no signature here covers" for one in dict.fromkeys(found)
    )


def weights(value: Any) -> Iterator[str]:
    """Each file that the settings `value` say that tensors are taken from, as they name it."""
    for part in parts(value):
        if isinstance(found := part.get("weight_map"), dict):
            yield from {item: None for item in found.values() if isinstance(item, str)}
        for key in ("transformers_weights", "dataPath"):
            if isinstance(found := part.get(key), str):
                yield found
        for group in found if isinstance(found := part.get("weightsManifest"), list) else ():
            yield from texts(group.get("paths")) if isinstance(group, dict) else ()


def folders(value: Any, file: str) -> Iterator[str]:
    """Each folder that the settings `value` name as one of the model's own parts."""
    if file == MODULES:
        yield from (part["path"] for part in parts(value) if isinstance(part.get("path"), str))
    elif file == ROUTER:
        yield from (key for part in parts(value) if isinstance(part.get("types"), dict) for key in part["types"])
    elif file in (INDEX, MODULAR) and isinstance(value, dict):
        yield from (name for name, item in value.items() if isinstance(item, list))


def leads_out(name: str) -> bool:
    """Whether the path `name`, from a folder of the release, can lead out of it; "" is that folder."""
    parts = name.replace("\\", "/").split("/")
    return bool(name) and (any(part in ("", "..") for part in parts) or ":" in name)


def _of_key(key: str, item: Any, of_loader: bool) -> Iterator[str]:
    """The repositories, or folders and files of a machine, that one setting has a loader take something from."""
    if key in PLACES or (key.endswith("name_or_path") and key not in SAID):
        yield from sorted({text for text in texts(item) if "/" in text.removeprefix("./")})
    elif key == PRETRAINED and item is True:
        yield "the place that the name of its backbone leads to"
    elif key in FILES:
        yield from texts(item)
    elif key == SHADOW:
        yield from (text for text in texts(item) if text != MIRROR)
    elif of_loader and key not in SAID and LIKELY.search(key):
        named = item if isinstance(item, list) else [item]
        yield from (text for text in named if isinstance(text, str) and PLACE.fullmatch(text))
