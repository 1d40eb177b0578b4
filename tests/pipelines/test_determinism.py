"""pipelines.determinism: what is asked for is set in time, and checked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import determinism
from registry.errors import InputError


def said(code: str, *, emulated: str | None = None, **variables: str) -> str:
    """What a fresh Python prints. emulated: on another CPU."""
    code = f"import atexit, gc\natexit.register(gc.freeze)  # as in pipelines.stage\n{code}"
    command = [sys.executable, "-c", code]
    if emulated:
        python = str(Path(sys.executable).resolve())
        command = [str(EMULATOR), "-cpu", emulated, "-0", sys.executable, python, "-c", code]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(determinism.FOREIGN)}
    done = subprocess.run(command, env={**clean, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_profile_that_comes_too_late_is_refused() -> None:
    code = (
        "import numpy\nfrom pipelines import determinism as d\nfrom registry.errors import Refused\n"
        "try: d.apply(d.PORTABLE)\nexcept Refused as problem: print(problem.message)"
    )
    assert "numpy is loaded already" in said(code)
    assert said(code, **determinism.PORTABLE.environment) == "", "set from outside, it is not too late"


def test_a_profile_that_comes_in_time_holds_and_portable_clears_what_native_writes_down() -> None:
    code = (
        "from pipelines import determinism as d; profile = d.named({!r}); d.apply(profile); import os;"
        "found = d.check(profile); print(os.environ.get('MKL_CBWR'), found.environment.get('MKL_CBWR'),"
        "found.capability, found.blas_core, found.threads, found.digest == profile.identity.digest)"
    )
    assert said(code.format("portable"), MKL_CBWR="COMPATIBLE") == "None None AVX2 Haswell 1 True"
    native = said(code.format("native"), MKL_CBWR="COMPATIBLE").split()
    assert native[:2] == ["COMPATIBLE"] * 2 and native[-2:] == ["1", "True"]


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [("OPENBLAS_CORETYPE", "Nehalem", "code path of numpy"), ("ATEN_CPU_CAPABILITY", "default", "code path of torch")],
)
def test_a_profile_that_does_not_hold_is_not_claimed(variable: str, value: str, named: str) -> None:
    code = (
        "from pipelines import determinism as d\nfrom registry.errors import Unavailable\n"
        "try: d.check(d.PORTABLE)\nexcept Unavailable as problem: print(problem.message)"
    )
    assert named in said(code, **{**determinism.PORTABLE.environment, variable: value})


EMULATOR = shutil.which("qemu-x86_64-static")


@pytest.mark.slow
@pytest.mark.skipif(EMULATOR is None, reason="qemu-x86_64-static (Debian: qemu-user-static) is not installed here")
def test_a_cpu_without_avx2_is_told_before_it_ends_at_an_instruction_it_has_not() -> None:
    """Told by a variable to take its path for AVX2, torch says that it does, on any CPU."""
    code = (
        "from pipelines import determinism as d\nfrom registry.errors import Unavailable\nd.apply(d.PORTABLE)\n"
        "try: d.check(d.PORTABLE)\nexcept Unavailable as problem: print(problem.message)"
    )
    assert "AVX2 of the CPU is False, not True" in said(code, emulated="SandyBridge")


def test_a_gpu_that_is_not_there_is_not_claimed() -> None:
    code = (
        "from pipelines import determinism as d\nfrom registry.errors import Unavailable\nd.apply(d.CUDA)\n"
        "import torch\ntry: d.check(d.CUDA); print(torch.cuda.is_available())\n"
        "except Unavailable as problem: print(not torch.cuda.is_available(), problem.message)"
    )
    assert said(code).startswith("True")


def test_each_profile_has_a_digest_of_its_own() -> None:
    assert len({profile.identity.digest for profile in determinism.PROFILES.values()}) == len(determinism.PROFILES)
    assert determinism.named("portable") is determinism.PORTABLE
    with pytest.raises(InputError, match="not a numeric profile"):
        determinism.named("fast")


def test_the_portable_profile_is_the_one_that_chains_were_signed_with() -> None:
    assert determinism.PORTABLE.identity.digest == GOLDEN


GOLDEN = "cc9bff614dbb41b18059c33bd1c58431106a32d65b0a4d0a5c9a08809d491214"
