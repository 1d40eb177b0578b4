"""Numeric profiles: everything that decides bits, named, set before torch is loaded, and checked after.

    portable   the same bits on every x86-64 CPU with AVX2 and FMA (pipelines.portable says how)
    native     the fastest code path of this CPU: bits promised on one type of CPU only
    cuda       deterministic kernels: bits promised on one type of GPU only

Every process computes on one thread, under every profile, so that the number of cores decides nothing; several cores
are used by several processes (pipelines.reduce).

Libraries read the variables below when they are loaded, so `apply` has to come before the first import of numpy or
torch, and refuses to come later.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from registry import canonical
from registry.errors import InputError, Refused, Unavailable
from registry.records.checkpoint_chain import ProfileName
from registry.records.environment import NumericProfile

NUMERICAL = ("numpy", "torch")
"""Modules that choose their code path when they are loaded."""

FOREIGN = ("ATEN_", "BLIS_", "DNNL_", "GOMP_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_")
"""How the names of variables begin that such modules read. A profile sets some; portable clears all others."""

UNHEEDED = ("KMP_DUPLICATE_LIB_OK",)
"""Those among them that threadpoolctl sets when it is loaded, and that decide no bit."""

ONE_THREAD = {
    "MKL_DYNAMIC": "FALSE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What decides bits.

    name: a key of PROFILES.  device: cpu or cuda.  environment: variables, set before numerical libraries are loaded.
    products: which library multiplies matrices, openblas (numpy's) or torch.  attention: transformers' name for it;
    fused.ATTENTION stands for all of pipelines.fused, norms and loss too.  operations: known, where all others are
    refused, or any.  capability: the code path of torch's CPU kernels, or None for the fastest.  blas_core: OpenBLAS'
    code path, or None for the one that it chooses.
    """

    name: str
    device: str
    environment: Mapping[str, str]
    products: str
    attention: str
    operations: str
    capability: str | None
    blas_core: str | None
    optimizer: str = "adamw-fused"
    initial_weights: str = "shake256-uniform/v1"
    reduction: str = "binary-tree/v1"
    order: str = "feistel-sha256/v1"
    threads: int = 1

    def as_json(self) -> dict[str, object]:
        """All of it, as JSON."""
        return {
            "name": self.name, "device": self.device, "environment": dict(self.environment), "products": self.products,
            "attention": self.attention, "operations": self.operations, "capability": self.capability,
            "blasCore": self.blas_core, "optimizer": self.optimizer, "initialWeights": self.initial_weights,
            "reduction": self.reduction, "order": self.order, "threads": self.threads,
        }  # fmt: skip

    @property
    def identity(self) -> ProfileName:
        """Its name and the digest of all of it."""
        return ProfileName(name=self.name, digest=canonical.digest(self.as_json()))


PORTABLE = Profile(
    name="portable",
    device="cpu",
    environment=MappingProxyType(
        ONE_THREAD | {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
    ),
    products="openblas",
    attention="glasshouse_blocks",
    operations="known",
    capability="AVX2",
    blas_core="Haswell",
)
NATIVE = Profile(
    name="native",
    device="cpu",
    environment=MappingProxyType(ONE_THREAD),
    products="openblas",
    attention="glasshouse_blocks",
    operations="any",
    capability=None,
    blas_core=None,
)
CUDA = Profile(
    name="cuda",
    device="cuda",
    environment=MappingProxyType(ONE_THREAD | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NVIDIA_TF32_OVERRIDE": "0"}),
    products="torch",
    attention="eager",
    operations="any",
    capability=None,
    blas_core=None,
)
PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in (PORTABLE, NATIVE, CUDA)})


def named(name: str) -> Profile:
    """The profile of that name. Raises InputError for another name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise InputError(f"{name!r} is not a numeric profile", mend=f"use one of: {', '.join(PROFILES)}") from None


def apply(profile: Profile) -> None:
    """Set the profile's variables in this process and so in its children, and clear others where bits are portable.

    Raises Refused where numpy or torch was loaded before under other variables: they would not notice.
    """
    cleared = foreign(profile) if profile.operations == "known" else {}
    differ = sorted(name for name, value in profile.environment.items() if os.environ.get(name) != value)
    loaded = [module for module in NUMERICAL if module in sys.modules]
    if loaded and (differ or cleared):
        raise Refused(
            f"the numeric profile {profile.name} sets or clears {', '.join((*differ, *cleared))}, "
            f"and {loaded[0]} is loaded already",
            mend="apply the profile first, or in the shell: env "
            + " ".join([f"-u {name}" for name in cleared] + [f"{k}={v}" for k, v in profile.environment.items()]),
        )
    for name in cleared:
        del os.environ[name]
    os.environ.update(profile.environment)


def foreign(profile: Profile) -> dict[str, str]:
    """Variables that numerical libraries read and the profile does not name, with their values."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(FOREIGN) and name not in (*profile.environment, *UNHEEDED)
    }


def check(profile: Profile) -> NumericProfile:
    """Load torch and numpy, set what they are told by calls, and see that all the profile names holds.

    Raises Unavailable where this machine cannot do it: a CPU without AVX2, no GPU, a BLAS that goes its own way.
    """
    import numpy  # noqa: F401 - loads the BLAS that is looked at below
    import torch
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    torch.set_num_threads(profile.threads)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, without a second to load a compiler
    torch.set_flush_denormal(False)
    torch.backends.mkldnn.set_flags(_enabled=False)  # type: ignore[no-untyped-call]
    torch.backends.cudnn.set_flags(  # type: ignore[no-untyped-call]
        _enabled=True, _benchmark=False, _deterministic=True, _allow_tf32=False
    )
    products = torch.backends.cuda.matmul
    products.allow_tf32 = products.allow_bf16_reduced_precision_reduction = False
    products.allow_fp16_reduced_precision_reduction = False
    blas = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas" and "numpy" in pool["filepath"]]
    core = str(blas[0]["architecture"]) if blas else "none"
    found = {
        # Told a code path by its variable, torch takes it, and ends at the first instruction that the CPU has not.
        "AVX2 of the CPU": (torch.cpu._is_avx2_supported(), True if profile.capability == "AVX2" else None),
        "threads of torch": (torch.get_num_threads(), profile.threads),
        "code path of torch": (torch.backends.cpu.get_cpu_capability(), profile.capability),
        "code path of numpy's BLAS": (core, profile.blas_core),
        "threads of numpy's BLAS": (int(blas[0]["num_threads"]) if blas else 0, profile.threads),
        "a CUDA device": (torch.cuda.is_available(), True if profile.device == "cuda" else None),
    }
    for what, (is_, wanted) in found.items():
        if wanted is not None and is_ != wanted:
            raise Unavailable(
                f"this machine cannot hold the numeric profile {profile.name}: {what} is {is_}, not {wanted}",
                mend="run on an x86-64 CPU with AVX2, or choose `train.profile: native` in params.yaml",
            )
    return NumericProfile(
        name=profile.name,
        digest=profile.identity.digest,
        settings={key: value for key, value in profile.as_json().items() if isinstance(value, str | int | type(None))},
        environment={**profile.environment, **{k: repr(v)[1:-1][:500] for k, v in foreign(profile).items()}},
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        blas_core=core,
    )
