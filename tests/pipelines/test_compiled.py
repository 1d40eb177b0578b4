"""pipelines.compiled: kernels of torch.compile give the same bits again, in more processes, and in a replay."""

import shutil
import subprocess
import sys

import pytest
import torch
from torch._inductor.exc import CppCompileError, InductorError

from pipelines.compiled import PRODUCTS_INTO, kernels_made
from pipelines.families import attempted
from pipelines.portable import PRODUCTS, Kernels
from registry.errors import InputError, Unavailable
from registry.manifest import compare
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from tests.conftest import ALONE
from tests.pipelines.test_train import Place, place

__all__ = ["place"]  # a fixture

STEP = 3


def test_products_into_memory_are_those_of_the_profile() -> None:
    left, right, start = torch.randn(3, 4), torch.randn(4, 5), torch.randn(3, 5)
    with Kernels({**PRODUCTS, **PRODUCTS_INTO}):
        plain, added = torch.mm(left, right), torch.addmm(start, left, right, beta=0.5, alpha=2)
        assert torch.equal(torch.mm(left, right, out=torch.empty(3, 5)), plain)
        assert torch.equal(torch.addmm(start, left, right, beta=0.5, alpha=2, out=torch.empty(3, 5)), added)


def test_a_compiler_that_fails_says_nothing_of_the_model() -> None:
    """It is the machine that lacks something, so another could: exit code 3. What the model raises is still its own."""
    said = "In file included from kernel.cpp:1:\nheader.hpp:2:10: fatal error: Python.h: No such file or directory"
    failed = InductorError(CppCompileError(["g++", "kernel.cpp"], said), None)
    with (
        pytest.raises(Unavailable, match=r"CppCompileError: .* Python\.h: No such"),
        attempted("llama"),
        kernels_made(),
    ):
        raise failed
    with pytest.raises(Unavailable, match="could make no kernel here: OSError: "), kernels_made():
        raise InductorError(OSError(28, "No space left on device"), None)
    with (
        pytest.raises(InputError, match="'llama' cannot be trained here: KeyError"),
        attempted("llama"),
        kernels_made(),
    ):
        raise KeyError("size")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler, and there is no g++")
def test_a_training_that_is_compiled_repeats_in_any_number_of_processes_and_is_replayed(place: Place) -> None:
    """Each time its kernels are written and compiled anew: no run finds what another one kept."""
    place.set(profile="native", compile=True, steps=STEP)
    cache = [{"TORCHINDUCTOR_CACHE_DIR": str(place.root / f"cache-{number}")} for number in range(3)]
    alone = place.train({**ALONE, **cache[0]})
    assert any((place.root / "cache-0").rglob("*.so")), "a kernel was compiled"
    assert "compiler" in (Environment.read(place.out / "environment.json").software.builds or {})
    shutil.move(place.out, kept := place.root / "kept")
    assert not compare(alone, place.train({"GLASSHOUSE_PROCESSES": "2", **cache[1]}))
    shutil.rmtree(place.out)
    shutil.move(kept, place.out)
    command = (
        sys.executable, "-m", "pipelines.replay", "--chain", "build/train/checkpoints.json",
        "--segment", "1", "2", "build/train/checkpoints/step-000001", "again",
    )  # fmt: skip
    with place.start({**ALONE, **cache[2]}, command) as process:
        said = process.communicate()[1]
    assert process.returncode == 0, said
    signed, made = (Chain.read(root / "checkpoints.json") for root in (place.out, place.root / "again"))
    assert made.entries[-1] == signed.entries[2]
    place.set(compile=False)
    subprocess.run(["rm", "-r", str(place.out)], check=True)
    place.train(ALONE)
    plain = Chain.read(place.out / "checkpoints.json")
    assert plain.entries[-1].weights != signed.entries[-1].weights, "it was compiled"
