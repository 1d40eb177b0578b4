"""Parts of a model that are computed at once, forward and backward, instead of one small operation after another.

    attention       causal, in blocks of queries, so that about half of all products with later keys is never made
    rms_norm        with its gradient in closed form
    loss_sum        cross-entropy; its gradient, softmax minus one at the target, is made in place on the way forward

Each computes in float32, and gives what the model's own code gives, but for rounding. All are made of operations that
pass the gate, so they are as portable as what they replace.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch.autograd import Function
from transformers import AttentionInterface, PreTrainedModel

from pipelines.portable import logarithm, product
from registry.errors import InputError

ATTENTION = "glasshouse_blocks"
"""What transformers knows `attention` by."""
BLOCK = 128
"""Queries at once. Changes no sum: each query's products are made whole."""
NORMS = frozenset({"LlamaRMSNorm", "MistralRMSNorm", "Olmo2RMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"})
"""Classes of transformers that are weight * x / sqrt(mean(x ** 2) + variance_epsilon)."""
FAR = 2.0**-100
"""Below this likelihood float32 begins to lose digits, and a loss is made from the logits instead."""


class _Attention(Function):
    """softmax(scale * queries @ keys^T, causal) @ values; the heads of one group share keys and values.

    queries: [rows, heads, length, width].  keys, values: [rows, groups, length, width].
    Gives [rows, length, heads, width].
    """

    @staticmethod
    def forward(
        ctx: Any, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, window: int
    ) -> torch.Tensor:
        rows, heads, length, width = queries.shape
        grouped = (queries * scale).view(rows, keys.shape[1], -1, length, width)
        result = queries.new_empty(rows, length, heads, width)
        seen = result.transpose(1, 2).view(grouped.shape)
        kept = []
        for start, stop, first, mask in _blocks(length, window):
            block = grouped[..., start:stop, :].flatten(2, 3)
            scores = product(block, keys[:, :, first:stop].transpose(2, 3))
            _by_head(scores, start, stop).add_(mask)
            shares = scores.softmax(-1)
            part = product(shares, values[:, :, first:stop])
            seen[..., start:stop, :] = _by_head(part, start, stop)
            kept += [block, shares]
        ctx.save_for_backward(keys, values, *kept)
        ctx.scale, ctx.window = scale, window
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        keys, values, *kept = ctx.saved_tensors
        rows, length, heads, width = gradients[0].shape
        grouped = gradients[0].transpose(1, 2).reshape(rows, keys.shape[1], -1, length, width)
        d_queries, d_keys, d_values = torch.empty_like(grouped), torch.zeros_like(keys), torch.zeros_like(values)
        for index, (start, stop, first, _) in enumerate(_blocks(length, ctx.window)):
            block, shares = kept[2 * index : 2 * index + 2]
            gradient = grouped[..., start:stop, :].flatten(2, 3)
            d_values[:, :, first:stop] += product(shares.transpose(2, 3), gradient)
            d_shares = product(gradient, values[:, :, first:stop].transpose(2, 3))
            d_scores = torch.ops.aten._softmax_backward_data(d_shares, shares, -1, shares.dtype)
            d_keys[:, :, first:stop] += product(d_scores.transpose(2, 3), block)
            d_block = product(d_scores, keys[:, :, first:stop]).mul_(ctx.scale)
            d_queries[..., start:stop, :] = _by_head(d_block, start, stop)
        return d_queries.view(rows, heads, length, width), d_keys, d_values, None, None


def _by_head(of_group: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """[rows, groups, heads of a group * queries, ...] as [rows, groups, heads of a group, queries, ...]."""
    rows, groups, _, last = of_group.shape
    return of_group.view(rows, groups, -1, stop - start, last)


@lru_cache(maxsize=8)
def _blocks(length: int, window: int) -> list[tuple[int, int, int, torch.Tensor]]:
    """For each block of queries: start, stop, the first key that one sees, and -inf where one does not see a key."""
    found = []
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        first = max(0, start - window + 1)
        query, key = np.arange(start, stop)[:, None], np.arange(first, stop)[None, :]
        hidden = (key > query) | (key <= query - window)
        found.append((start, stop, first, torch.from_numpy(np.where(hidden, -np.inf, 0.0).astype(np.float32))))
    return found


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it. Raises InputError for a kind of attention that this is not."""
    asked = {name: value for name, value in others.items() if name in ("softcap", "s_aux", "position_bias")}
    strange = [name for name, value in asked.items() if value is not None]
    if attention_mask is not None or dropout or strange or query.shape[2] != key.shape[2]:
        raise InputError(
            f"the model asks for attention with {', '.join(strange) or 'a mask of its own, dropout or a cache'}",
            mend="choose another architecture in params.yaml, such as llama, or set its attention_dropout to 0",
        )
    length, width = query.shape[2:]
    window = length if sliding_window is None else sliding_window
    scale = width**-0.5 if scaling is None else scaling
    found = _Attention.apply(query.float(), key.float(), value.float(), scale, window)  # type: ignore[no-untyped-call]
    return found.to(query.dtype), None


class _Norm(Function):
    """weight * x / sqrt(mean(x ** 2) + epsilon), over the last dimension."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        inverse = (x * x).mean(-1, keepdim=True).add_(epsilon).rsqrt()
        even = x * inverse
        ctx.save_for_backward(even, inverse, weight)
        return even * weight

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        even, inverse, weight = ctx.saved_tensors
        gradient = gradients[0]
        along = gradient * even
        along_rows = along.flatten(0, -2)
        d_weight = (
            along.new_ones(1, len(along_rows)) @ along_rows
        ).flatten()  # a product: see the norm in pipelines.worker
        mean = along.mul_(weight).mean(-1, keepdim=True)
        d_x = (gradient * weight).sub_(even * mean).mul_(inverse)
        return d_x, d_weight, None


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """weight * x / sqrt(mean(x ** 2) + epsilon), over the last dimension."""
    found: torch.Tensor = _Norm.apply(x.float(), weight.float(), epsilon)  # type: ignore[no-untyped-call]
    return found.to(x.dtype)


def _rms_norm(module: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return rms_norm(hidden_states, module.weight, module.variance_epsilon)


class _Loss(Function):
    """Sum of the losses in nats of `targets`, [n], under `logits`, [n, vocabulary]."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        likelihoods = logits.softmax(-1)
        index = targets[:, None]
        right = likelihoods.gather(1, index)
        ctx.save_for_backward(likelihoods.scatter_(1, index, right - 1))
        chances = right.flatten().numpy().astype(np.float64)
        nats = -logarithm(np.maximum(chances, FAR))
        if (far := np.flatnonzero(chances < FAR)).size:
            rows = torch.from_numpy(far)
            nats[far] = -logits[rows].log_softmax(-1).gather(1, index[rows]).flatten().numpy()
        return torch.from_numpy(nats.sum(keepdims=True).astype(np.float32)).view(())

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (difference,) = ctx.saved_tensors
        scale = float(gradients[0])
        return (difference if scale == 1 else difference * scale), None


def loss_sum(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Sum of the losses in nats of `targets`, [n], under `logits`, [n, vocabulary]; float32."""
    return _Loss.apply(logits, targets)  # type: ignore[no-untyped-call, no-any-return]


def fuse(model: PreTrainedModel) -> None:
    """Let the norms of `model` be computed here."""
    for module in model.modules():
        if type(module).__name__ in NORMS:
            module.forward = partial(_rms_norm, module)


AttentionInterface.register(ATTENTION, attention)
