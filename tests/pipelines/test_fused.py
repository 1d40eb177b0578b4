"""pipelines.fused: one computation for what torch does in many, forward and backward."""

import math

import pytest
import torch
from torch.nn import functional

from pipelines import fused
from registry.errors import InputError

GENERATOR = torch.Generator().manual_seed(3)
MODULE = torch.nn.Module()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, requires_grad=True)


def same(ours: torch.Tensor, theirs: torch.Tensor, *leaves: torch.Tensor) -> None:
    """Values agree, and so do the gradients of a fixed combination of them."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    weights = torch.randn(ours.shape, generator=GENERATOR)
    found = [torch.autograd.grad((result * weights).sum(), leaves) for result in (ours, theirs)]
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 127, 128, 300])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_is_causal_attention(length: int, groups: int) -> None:
    q, k, v = drawn(2, 4, length, 8), drawn(2, groups, length, 8), drawn(2, groups, length, 8)
    ours, _ = fused.attention(MODULE, q, k, v, None, scaling=0.3)
    theirs = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3, enable_gqa=True)
    same(ours, theirs.transpose(1, 2), q, k, v)


@pytest.mark.parametrize("window", [1, 5, 130, 1000])
def test_a_window_hides_what_lies_before_it(window: int) -> None:
    q, k, v = drawn(1, 2, 200, 8), drawn(1, 2, 200, 8), drawn(1, 2, 200, 8)
    place = torch.arange(200)
    seen = (place[None] <= place[:, None]) & (place[None] > place[:, None] - window)
    ours, _ = fused.attention(MODULE, q, k, v, None, sliding_window=window)
    same(ours, functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2), q, k, v)


def test_the_size_of_a_block_is_not_seen_in_the_shape_of_memory() -> None:
    """Queries, keys and values come as transposed views, which no product may take for contiguous ones."""
    q, k, v = (drawn(2, 150, heads, 8) for heads in (4, 2, 2))
    a, b, c = (tensor.transpose(1, 2) for tensor in (q, k, v))
    ours, _ = fused.attention(MODULE, a, b, c, None)
    theirs, _ = fused.attention(MODULE, a.contiguous(), b.contiguous(), c.contiguous(), None)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("asked", [{"dropout": 0.1}, {"softcap": 30.0}, {"s_aux": torch.ones(2)}])
def test_another_kind_of_attention_is_refused(asked: dict[str, object]) -> None:
    q = drawn(1, 2, 4, 8)
    with pytest.raises(InputError, match="attention"):
        fused.attention(MODULE, q, q, q, None, **asked)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="mask"):
        fused.attention(MODULE, q, q, q, torch.zeros(4, 4))
    with pytest.raises(InputError, match="cache"):
        fused.attention(MODULE, q[:, :, -1:], q, q, None)


def test_the_norm_is_the_norm() -> None:
    x, weight = drawn(3, 5, 16), drawn(16)
    same(fused.rms_norm(x, weight, 1e-5), functional.rms_norm(x, (16,), weight, 1e-5), x, weight)


@pytest.mark.parametrize("size", [1.0, 30.0])
def test_the_loss_is_cross_entropy(size: float) -> None:
    logits, targets = drawn(40, 300), torch.arange(40) * 7
    ours = fused.loss_sum(logits * size, targets)
    same(ours, functional.cross_entropy(logits * size, targets, reduction="sum"), logits)


def test_a_target_that_is_out_of_reach_has_a_loss_all_the_same() -> None:
    logits = torch.tensor([[0.0, 1000.0], [0.0, 1.0]], requires_grad=True)
    same(
        fused.loss_sum(logits, torch.tensor([0, 1])),
        functional.cross_entropy(logits, torch.tensor([0, 1]), reduction="sum"),
        logits,
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_that_diverged_has_no_loss(value: float) -> None:
    assert math.isnan(float(fused.loss_sum(torch.tensor([[0.0, value]]), torch.tensor([0]))))
