"""pipelines.determinism: what is asked for is set in time, and checked."""

import os
import subprocess
import sys

import pytest

from pipelines import determinism
from registry.errors import InputError


def said(code: str, **variables: str) -> str:
    """What a fresh Python prints."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(determinism.FOREIGN)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_profile_that_comes_in_time_holds() -> None:
    code = (
        "from pipelines import determinism as d; d.apply(d.PORTABLE); found = d.check(d.PORTABLE);"
        "print(found.capability, found.blas_core, found.threads, found.digest == d.PORTABLE.identity.digest)"
    )
    assert said(code) == "AVX2 Haswell 1 True"


def test_a_profile_that_comes_too_late_is_refused() -> None:
    code = (
        "import numpy\nfrom pipelines import determinism as d\nfrom registry.errors import Refused\n"
        "try: d.apply(d.PORTABLE)\nexcept Refused as problem: print(problem.message)"
    )
    assert "numpy is loaded already" in said(code)
    assert said(code, **determinism.PORTABLE.environment) == "", "set from outside, it is not too late"


def test_portable_clears_what_it_does_not_name_and_native_writes_it_down() -> None:
    code = (
        "from pipelines import determinism as d; profile = d.named({!r}); d.apply(profile); import os;"
        "print(os.environ.get('MKL_CBWR'), d.check(profile).environment.get('MKL_CBWR'))"
    )
    assert said(code.format("portable"), MKL_CBWR="COMPATIBLE") == "None None"
    assert said(code.format("native"), MKL_CBWR="COMPATIBLE") == "COMPATIBLE COMPATIBLE"


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
    with pytest.raises(InputError, match="no numeric profile"):
        determinism.named("fast")


def test_the_portable_profile_is_the_one_that_chains_were_signed_with() -> None:
    assert determinism.PORTABLE.identity.digest == GOLDEN


GOLDEN = "cc9bff614dbb41b18059c33bd1c58431106a32d65b0a4d0a5c9a08809d491214"
