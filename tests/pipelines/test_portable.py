"""pipelines.portable: what passes the gate, what is answered otherwise, what is refused."""

import contextlib
import gc
import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from pipelines import determinism, fused, model, portable
from pipelines.params import Model
from pipelines.portable import PRODUCTS, Gate, Kernels, cosine, logarithm, powers, sine, uniform
from registry.errors import InputError
from tests.bench.families import CONFIGS
from tests.pipelines.small_project import LLAMA

APART = ("mixtral", "falcon", "gpt_neox")
"""Families whose sizes have names of their own."""


def small(architecture: str = "llama", **changed: object) -> Model:
    return Model.model_validate({"architecture": architecture, "context": 16, "config": {**LLAMA, **changed}})


def family(architecture: str, **changed: object) -> Model:
    config = {**CONFIGS[architecture], **changed}
    return Model.model_validate({"architecture": architecture, "context": 16, "config": config})


def built(settings: Model, profile: determinism.Profile) -> PreTrainedModel:
    made = model.blank(model.configuration(settings, vocabulary=300, end_of_text=0), profile)
    model.initialise(made, seed=5)
    return made


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "mixtral", "falcon", "gpt_neox"])
@pytest.mark.parametrize("profile", [determinism.PORTABLE, determinism.NATIVE], ids=lambda profile: profile.name)
def test_a_profile_computes_what_transformers_and_torch_compute(
    architecture: str, profile: determinism.Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "BLOCK", 5)
    fused._blocks.cache_clear()
    rows = torch.arange(34).reshape(2, 17)
    window = {"sliding_window": 7} if architecture == "mistral" else {}
    settings, found = (family if architecture in APART else small)(architecture, **window), []
    for by in (profile, replace(determinism.CUDA, device="cpu")):  # the latter: all of it as transformers has it
        made = built(settings, by)
        with model.arithmetic(by):
            loss = model.loss_sum(made, rows)
            loss.backward()  # type: ignore[no-untyped-call]
        found.append([loss.detach(), *(p.grad for p in made.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 10
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["exp", "sqrt", "tanh", "sigmoid", "erf", "log"])
def test_what_mkl_computes_is_refused(name: str) -> None:
    with Gate(), pytest.raises(InputError, match=name):
        getattr(torch, name)(torch.ones(4))


def test_a_model_whose_tanh_mkl_computes_is_refused_by_name_and_native_is_the_mend() -> None:
    made = built(family("gemma2"), determinism.PORTABLE)
    with model.arithmetic(determinism.PORTABLE), pytest.raises(InputError, match="tanh") as caught:
        model.loss_sum(made, torch.arange(34).reshape(2, 17))
    assert "profile: native" in caught.value.mend


def test_backward_passes_go_through_the_gate() -> None:
    x = torch.ones(3, requires_grad=True)
    y = torch.exp(x).sum()  # outside
    with Gate():
        y.backward()  # type: ignore[no-untyped-call]  # only multiplies
        x.pow(3).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and torch.allclose(x.grad, torch.full((3,), 2.718281828 + 3))
    with Gate(), pytest.raises(InputError, match="power"):
        x.pow(0.5)


def test_products_are_numpy_s() -> None:
    a, b, bias = torch.randn(5, 7), torch.randn(7, 3), torch.randn(3)
    with Gate():
        product, sum_, batch = a @ b, torch.addmm(bias, a, b), torch.bmm(a[None], b[None])
    assert torch.equal(product, torch.from_numpy(np.matmul(a.numpy(), b.numpy())))
    torch.testing.assert_close(sum_, bias + a @ b)
    torch.testing.assert_close(batch[0], a @ b)


def test_what_other_operations_call_inside_is_looked_at_too() -> None:
    batch, weight = torch.ones(2, 4, 3), torch.ones(4)
    with Gate(), pytest.raises(InputError, match="native_group_norm"):
        torch.nn.functional.group_norm(batch, 2, weight)


def test_afterwards_torch_is_as_it_was() -> None:
    x = torch.linspace(0.1, 2, 50).reshape(5, 10)
    before = x.exp(), x @ x.t()
    with Gate(), Kernels(PRODUCTS), Gate(), pytest.raises(InputError):
        x.exp()
    with Kernels(PRODUCTS):
        x.exp()
        assert torch.equal(x @ x.t(), torch.from_numpy(np.matmul(x.numpy(), x.t().numpy())))
    assert torch.equal(x.exp(), before[0]) and torch.equal(x @ x.t(), before[1])


def test_kernels_stand_until_the_end_though_nobody_keeps_them() -> None:
    Gate().__enter__()
    gc.collect()
    with contextlib.ExitStack() as stack, pytest.raises(InputError):
        stack.push(portable._STANDING["aten::exp"])
        torch.ones(2).exp()
    assert not portable._STANDING


@given(st.lists(st.floats(2.0**-149, 2.0**127), min_size=1, max_size=50))
def test_the_logarithm_is_right(values: list[float]) -> None:
    for found, value in zip(logarithm(np.array(values)), values, strict=True):
        assert math.isclose(found, math.log(value), rel_tol=1e-15, abs_tol=1e-15)


@given(st.lists(st.floats(-(2.0**20), 2.0**20), min_size=1, max_size=50))
def test_cosine_and_sine_are_right(angles: list[float]) -> None:
    x = np.array(angles)
    assert np.abs(cosine(x) - np.cos(x)).max() < 1e-11
    assert np.abs(sine(x) - np.sin(x)).max() < 1e-11


def test_powers_are_rounded_from_decimal_digits() -> None:
    exponents = torch.arange(0, 32, 2, dtype=torch.float32) / 32
    expected = torch.tensor(10000.0, dtype=torch.float64) ** exponents.double()
    torch.testing.assert_close(powers(10000.0, exponents), expected.float(), rtol=1e-7, atol=0)


def test_first_weights_are_a_function_of_their_key() -> None:
    drawn = uniform("key", (1000, 10), 0.5)
    assert hashlib.sha256(drawn.numpy().tobytes()).hexdigest() == GOLDEN
    assert float(drawn.min()) >= -0.5 and float(drawn.max()) < 0.5
    assert abs(float(drawn.mean())) < 0.01 and abs(float(drawn.std()) - 0.5 / 3**0.5) < 0.01
    assert torch.equal(uniform("key", (20,), 0.5), drawn.flatten()[:20])
    assert not torch.equal(uniform("other", (20,), 0.5), drawn.flatten()[:20])


def test_a_vector_of_unknown_meaning_is_refused() -> None:
    made = built(small(), determinism.PORTABLE)
    made.register_parameter("scale", torch.nn.Parameter(torch.ones(3)))
    with pytest.raises(InputError, match="scale"):
        model.initialise(made, seed=1)


def test_a_configuration_that_transformers_refuses_is_an_input_error() -> None:
    with pytest.raises(InputError, match="transformers"):
        model.configuration(small("no-such-thing"), vocabulary=300, end_of_text=0)


GOLDEN = "174e1da1ae130f60f89fe7156d0190d2a707ec73f26cb30860ccd2a2f4b13e09"
