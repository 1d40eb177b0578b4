"""A model whose layers torch.compile writes kernels for: `train.compile`.

Kernels are written and compiled where the training runs, for its CPU, by its C++ compiler. So their bits are promised
where both are the same, and environment.json tells the compiler. Matrix products stay those of the profile.

Law: each layer is compiled for the shapes of a micro-batch, which every process has. So their number changes no bit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from pipelines.portable import PRODUCTS
from registry.digest import sha256_bytes
from registry.errors import Unavailable
from registry.files import cache_folder
from registry.variables import INDUCTOR_CACHE

COMPILER = "compiler"
"""What environment.json calls the C++ compiler among the builds."""


def _into(kernel: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def filled(*tensors: torch.Tensor, out: torch.Tensor, **numbers: float) -> torch.Tensor:
        return out.copy_(kernel(*tensors, **numbers))

    return filled


PRODUCTS_INTO: Mapping[str, Callable[..., torch.Tensor]] = {
    f"{name}.out": _into(kernel) for name, kernel in PRODUCTS.items()
}
"""The products by the names under which compiled code asks for them: with memory to put them into."""


def compile_layers(model: PreTrainedModel) -> None:
    """Let torch.compile write the layers of `model`. Raises Unavailable where it needs a compiler that is not there."""
    os.environ.setdefault(INDUCTOR_CACHE, str(cache_folder() / "torchinductor"))  # else where others can write
    compiler(model.device.type)
    layers = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in layers:
            module.compile(dynamic=False)


def compiler(device: str) -> dict[str, str]:
    """The digest of what the C++ compiler says of itself, by COMPILER; nothing on a GPU, where torch brings its own.

    Raises Unavailable where there is none.
    """
    if device != "cpu":
        return {}
    builder: Any
    from torch._inductor import cpp_builder as builder
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        found = builder.get_cpp_compiler()
    except InvalidCxxCompiler as problem:
        raise Unavailable(
            "train.compile needs a C++ compiler, and none is here",
            mend="install g++, or name one in CXX; or set train.compile to false, which gives other bits",
        ) from problem
    return {COMPILER: sha256_bytes(str(builder.get_compiler_version_info(found)).encode())}


@contextmanager
def kernels_made() -> Iterator[None]:
    """Around what a model computes: where a kernel of it cannot be written or compiled here, that is Unavailable.

    It says nothing of the model: headers are missing, the compiler fails, or its cache's disk is full.
    """
    try:
        yield
    except Exception as problem:
        known = sys.modules.get("torch._dynamo.exc")  # who compiles nothing has not loaded it
        if known is None or not isinstance(problem, known.BackendCompilerFailed):
            raise
        inner = problem.inner_exception
        said = str(getattr(inner, "output", None) or inner).splitlines()
        first = next((line for line in said if "error" in line.lower()), said[0] if said else "it said nothing")
        raise Unavailable(
            f"torch.compile could make no kernel here: {type(inner).__name__}: {' '.join(first.split())[:300]}",
            mend="install what it names (g++, and the headers of this Python); or set train.compile to false, which "
            "gives other bits",
        ) from problem
