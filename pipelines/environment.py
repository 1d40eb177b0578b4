"""environment.json: what this machine is and what runs on it."""

from __future__ import annotations

import platform
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import torch

from pipelines import compiled
from pipelines.determinism import NUMERICAL, named
from pipelines.params import Params
from registry import canonical
from registry.digest import sha256_file
from registry.records.environment import Environment, Machine, NumericProfile, Shape, Software

FEATURES = frozenset(
    {
        "sse4_2",
        "avx",
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512_bf16",
        "avx512_vnni",
        "amx_tile",
    }
)
"""CPU features that numerical libraries choose their code by, as Linux spells them."""


def describe(profile: NumericProfile, settings: Params, lock: Path) -> Environment:
    """The record of this process. Says nothing of when or who."""
    facts = _cpu_facts()
    compiler = compiled.compiler(named(profile.name).device) if settings.train.compile else {}
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    machine = Machine(
        cpu=facts.get("model name", platform.processor() or "unknown"),
        architecture=platform.machine(),
        features=tuple(sorted(FEATURES.intersection(facts.get("flags", "").split()))),
        accelerator=torch.cuda.get_device_name() if profile.name == "cuda" else None,
        system=platform.system(),
        libc=" ".join(platform.libc_ver()),
    )
    software = Software(
        python=platform.python_version(),
        packages=sha256_file(lock),
        torch=torch.__version__,
        torch_config=torch.__config__.show(),
        numpy=np.__version__,
        blas=f"{blas['name']} {blas['version']}",
        transformers=version("transformers"),
        builds={name: build(name) for name in NUMERICAL} | compiler,
        blas_config=" ".join(str(blas.get("openblas configuration", "")).split())[:500],
    )
    shape = Shape(
        micro_batches=settings.train.micro_batches,
        micro_batch_rows=settings.train.micro_batch_rows,
        context=settings.model.context,
    )
    return Environment(machine=machine, software=software, profile=profile, shape=shape)


def build(package: str) -> str:
    """The digest of a wheel's own list of its files, each with its digest; what installers add is left out."""
    files = distribution(package).files or []
    listed = {
        file.as_posix(): file.hash.value
        for file in files
        if file.hash and file.suffix != ".pyc" and file.parts[0] != ".." and ".dist-info" not in file.parts[0]
    }
    return canonical.digest(listed)


def _cpu_facts() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    source = Path("/proc/cpuinfo")
    facts: dict[str, str] = {}
    if source.is_file():
        for line in source.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            facts[key.strip()] = value.strip()
    return facts
