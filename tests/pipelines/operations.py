"""Every operation of the portable profile on fixed numbers: `python -m tests.pipelines.operations`.

Prints a JSON object, for each operation the digest of what it gave; with --refused also for some that the gate refuses.
The numbers are drawn by SHAKE-256, so they are the same everywhere; what differs between two machines is the
operation's doing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pipelines import determinism

determinism.apply(determinism.PORTABLE)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from pipelines import fused, portable, reduce  # noqa: E402
from pipelines.portable import Gate, uniform  # noqa: E402

Case = Callable[[], Any]

COUNT = 10_007
"""A prime, so that vector loops have a rest to do."""
SHAPE = (7, 13, 37)


def numbers(key: str, *shape: int, width: float = 4.0) -> torch.Tensor:
    """Fixed float32 numbers."""
    return uniform(f"operations:{key}", shape, width)


X = numbers("x", COUNT)
"""Of common size."""
Y = numbers("y", COUNT)
WIDE = numbers("wide", COUNT) * torch.from_numpy(2.0 ** np.arange(-70, 70, dtype=np.float32)).repeat(72)[:COUNT]
"""Of all sizes, 2 ** -93 to 2 ** 71."""
EDGES = torch.tensor(
    [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1.1754944e-38, 3e38, -3e38, float("inf"), -float("inf"), 88.7, -88.7, -104.0]
    * 3
)
REVERSED = EDGES.flip(0)
EACH = (X, WIDE, EDGES)
POSITIVE = tuple(t.abs() + 2.0**-140 for t in EACH)
MATRIX = numbers("matrix", 67, 301)
BLOCK = numbers("block", *SHAPE)
MASK = X > 0.5
WHOLE = (X * 1000).to(torch.int64)
TARGETS = WHOLE[:67].remainder(301)
ROWS, FEW = TARGETS.remainder(67), WHOLE[:301].remainder(11)
TIES = WHOLE[:60].view(6, 10).remainder(4)
DTYPES = (torch.float32, torch.float64, torch.int32, torch.bool)
aten = torch.ops.aten


def of_one(operation: Any) -> Case:
    return lambda: [operation(t) for t in EACH]


def of_positive(operation: Any) -> Case:
    return lambda: [operation(t) for t in POSITIVE]


def of_two(operation: Any) -> Case:
    return lambda: [operation(a, b) for a, b in ((X, Y), (WIDE, X), (EDGES, REVERSED))]


def in_place(operation: Any, *more: Any) -> Case:
    return lambda: [operation(t.clone(), *more) for t in EACH]


def of_logic(operation: Any) -> Case:
    return lambda: operation(MASK, Y > 0)


def adamw() -> list[torch.Tensor]:
    """Some steps of the optimizer as training takes them."""
    state = [[numbers(f"adamw:{i}", n)] for i, n in enumerate([COUNT] * 4)]
    weights, gradients, first, second = state
    second = [second[0].abs()]
    steps = [torch.zeros(())]
    for _ in range(5):
        aten._fused_adamw_.default(
            weights, gradients, first, second, [], steps,
            lr=0.003, beta1=0.9, beta2=0.95, weight_decay=0.1, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip
    return [*weights, *first, *second, *steps]


def nll(reduction: int) -> Case:
    def run() -> Any:
        logs = aten._log_softmax.default(MATRIX, 1, False)
        loss, weight = aten.nll_loss_forward.default(logs, TARGETS, None, reduction, -100)
        one = torch.ones_like(loss)
        back = aten.nll_loss_backward.default(one, logs, TARGETS, None, reduction, -100, weight)
        return [loss, back]

    return run


def softmax_backward(operation: Any, forward: Any) -> Case:
    return lambda: operation(numbers("grad", 67, 301), forward(MATRIX, 1, False), 1, torch.float32)


def softmaxes(forward: Any) -> Case:
    def run() -> list[torch.Tensor]:
        masked = torch.where(numbers("mask", 67, 301) > 1, -float("inf"), MATRIX)
        rows = [MATRIX, MATRIX * 30, masked, MATRIX[:, :1], numbers("long", 2, 4096) * 5]
        return [forward(t, 1, False) for t in rows] + [forward(BLOCK, 0, False), forward(BLOCK, 1, False)]

    return run


CASES: dict[str, Case] = {
    "_chunk_cat": lambda: aten._chunk_cat.default([BLOCK, MATRIX], 0, 4),
    "_foreach_add_": lambda: _foreach(),
    "_foreach_copy_": lambda: _foreach_copied(),
    "_fused_adamw_": adamw,
    "_index_put_impl_": lambda: aten._index_put_impl_.default(MATRIX.clone(), [ROWS], numbers("put", 67, 301), True),
    "_local_scalar_dense": lambda: torch.tensor([aten._local_scalar_dense.default(t[5]) for t in EACH]),
    "_log_softmax": softmaxes(aten._log_softmax.default),
    "_log_softmax_backward_data": softmax_backward(aten._log_softmax_backward_data.default, aten._log_softmax.default),
    "_reshape_alias": lambda: aten._reshape_alias.default(BLOCK, [91, 37], [37, 1]),
    "_softmax": softmaxes(aten._softmax.default),
    "_softmax_backward_data": softmax_backward(aten._softmax_backward_data.default, aten._softmax.default),
    "_to_copy": lambda: [aten._to_copy.default(t, dtype=d) for t in (X, WHOLE, MASK) for d in DTYPES],
    "_unsafe_view": lambda: aten._unsafe_view.default(BLOCK, [91, 37]),
    "abs": of_one(aten.abs.default),
    "add": lambda: [of_two(aten.add.Tensor)(), aten.add.Tensor(X, Y, alpha=0.3), aten.add.Scalar(X, 0.1)],
    "add_": lambda: [in_place(aten.add_.Scalar, 0.1)(), aten.add_.Tensor(X.clone(), Y, alpha=0.3)],
    "alias": lambda: aten.alias.default(X),
    "all": lambda: [aten.all.default(MASK), aten.all.dim(MASK[:10000].view(100, 100), 1)],
    "aminmax": lambda: [aten.aminmax.default(t) for t in (X, MATRIX, WHOLE)],
    "any": lambda: [aten.any.default(MASK), aten.any.dim(MASK[:10000].view(100, 100), 1)],
    "arange": lambda: [aten.arange.default(101), aten.arange.start_step(0, 32, 2, dtype=torch.float32)],
    "argmax": lambda: aten.argmax.default(MATRIX, -1),
    "as_strided": lambda: aten.as_strided.default(BLOCK, [37, 7], [1, 481], 3),
    "as_strided_": lambda: aten.as_strided_.default(BLOCK.clone(), [37, 7], [1, 481], 3),
    "bitwise_and": of_logic(aten.bitwise_and.Tensor),
    "bitwise_not": lambda: aten.bitwise_not.default(MASK),
    "bitwise_or": of_logic(aten.bitwise_or.Tensor),
    "cat": lambda: aten.cat.default([X, WIDE, EDGES]),
    "clone": of_one(aten.clone.default),
    "copy_": lambda: aten.copy_.default(torch.zeros(COUNT), WHOLE),
    "cumsum": lambda: [aten.cumsum.default(WHOLE, 0), aten.cumsum.default(MATRIX, 1)],
    "detach": of_one(aten.detach.default),
    "div": lambda: [of_two(aten.div.Tensor)(), aten.div.Tensor(X, 3.0), aten.div.Tensor(X, 1937.0)],
    "div_": lambda: [in_place(aten.div_.Scalar, 1937.0)(), aten.div_.Tensor(X.clone(), Y)],
    "embedding": lambda: aten.embedding.default(MATRIX, ROWS),
    "embedding_dense_backward": lambda: aten.embedding_dense_backward.default(
        numbers("embedding", 301, 64), FEW, 67, -1, False
    ),
    "eq": of_two(aten.eq.Tensor),
    "expand": lambda: aten.expand.default(MATRIX[:, :1], [67, 301]),
    "fill_": in_place(aten.fill_.Scalar, 0.1),
    "full": lambda: aten.full.default([COUNT], 0.1),
    "full_like": of_one(lambda t: aten.full_like.default(t, 0.1)),
    "gather": lambda: aten.gather.default(MATRIX, 1, TARGETS[:, None]),
    "ge": of_two(aten.ge.Tensor),
    "gelu": lambda: [of_one(torch.nn.functional.gelu)(), torch.nn.functional.gelu(BLOCK.mT), *_gelus(EACH)],
    "gelu_backward": lambda: [
        *of_two(aten.gelu_backward.default)(), aten.gelu_backward.default(X, Y, approximate="tanh"),
    ],
    "gt": of_two(aten.gt.Tensor),
    "index": lambda: aten.index.Tensor(MATRIX, [ROWS]),
    "index_add_": lambda: aten.index_add_.default(MATRIX.clone(), 0, ROWS, numbers("put", 67, 301)),
    "index_select": lambda: aten.index_select.default(MATRIX, 0, ROWS),
    "isfinite": of_one(torch.isfinite),
    "is_pinned": lambda: torch.tensor(aten.is_pinned.default(X)),
    "le": of_two(aten.le.Tensor),
    "lift_fresh": of_one(aten.lift_fresh.default),
    "logical_and": of_logic(aten.logical_and.default),
    "logical_not": lambda: aten.logical_not.default(MASK),
    "logical_or": of_logic(aten.logical_or.default),
    "lt": of_two(aten.lt.Tensor),
    "masked_fill": lambda: aten.masked_fill.Scalar(X, MASK, -3.4e38),
    "masked_fill_": lambda: aten.masked_fill_.Scalar(X.clone(), MASK, -3.4e38),
    "maximum": of_two(aten.maximum.default),
    "mean": lambda: [aten.mean.dim(t, [-1], True) for t in (MATRIX, BLOCK, X[None], BLOCK.transpose(0, 2))],
    "minimum": of_two(aten.minimum.default),
    "mul": lambda: [of_two(aten.mul.Tensor)(), aten.mul.Tensor(MATRIX, MATRIX[:, :1]), aten.mul.Scalar(X, 0.1)],
    "mul_": lambda: [in_place(aten.mul_.Scalar, 0.1)(), aten.mul_.Tensor(X.clone(), Y)],
    "native_layer_norm": lambda: [
        aten.native_layer_norm.default(tensor, [tensor.shape[-1]], *affine, 1e-5)
        for tensor in (MATRIX, MATRIX * 30, BLOCK, X[None], WIDE[None])
        for affine in ((None, None), _affine(tensor.shape[-1]))
    ],
    "native_layer_norm_backward": lambda: _with_gradients(
        lambda x, weight, bias: torch.nn.functional.layer_norm(x, (301,), weight, bias), MATRIX, *_affine(301)
    ),
    "ne": of_two(aten.ne.Tensor),
    "neg": of_one(aten.neg.default),
    "new_ones": lambda: aten.new_ones.default(X, [3, 5]),
    "new_zeros": lambda: aten.new_zeros.default(X, [3, 5]),
    "nll_loss_backward": nll(2),
    "nll_loss_forward": lambda: [nll(0)(), nll(1)()],
    "nonzero": lambda: [aten.nonzero.default(MASK), aten.nonzero.default(MASK[:10000].view(100, 100))],
    "ones": lambda: aten.ones.default([COUNT]),
    "ones_like": of_one(aten.ones_like.default),
    "permute": lambda: aten.permute.default(BLOCK, [2, 0, 1]),
    "reciprocal": of_one(aten.reciprocal.default),
    "rsqrt": of_positive(aten.rsqrt.default),
    "rsub": lambda: aten.rsub.Scalar(X, 1.0),
    "scalar_tensor": lambda: aten.scalar_tensor.default(0.1),
    "scatter_": lambda: aten.scatter_.src(MATRIX.clone(), 1, TARGETS[:, None], MATRIX[:, :1]),
    "scatter_add_": lambda: aten.scatter_add_.default(MATRIX.clone(), 0, ROWS[:, None].expand(67, 301), MATRIX),
    "select": lambda: aten.select.int(BLOCK, 1, 5),
    "select_backward": lambda: aten.select_backward.default(BLOCK[:, 5], list(SHAPE), 1, 5),
    "silu": of_one(aten.silu.default),
    "silu_backward": of_two(aten.silu_backward.default),
    "slice": lambda: aten.slice.Tensor(BLOCK, 2, 3, 30, 2),
    "slice_backward": lambda: aten.slice_backward.default(BLOCK[..., 3:30:2], list(SHAPE), 2, 3, 30, 2),
    "split": lambda: aten.split.Tensor(BLOCK, 3, 0),
    "split_with_sizes": lambda: aten.split_with_sizes.default(BLOCK, [3, 4], 0),
    "split_with_sizes_copy": lambda: aten.split_with_sizes_copy.default(BLOCK, [3, 4], 0),
    "squeeze": lambda: aten.squeeze.dim(X[None], 0),
    "stack": lambda: aten.stack.default([X, Y]),
    "sub": lambda: [of_two(aten.sub.Tensor)(), aten.sub.Scalar(X, 0.1)],
    "sub_": in_place(aten.sub_.Scalar, 0.1),
    "sum": lambda: [
        *(aten.sum.default(t) for t in (X, WIDE, MATRIX, BLOCK.transpose(0, 2), numbers("many", 300_001))),
        *(aten.sum.dim_IntList(t, [d]) for t in (MATRIX, BLOCK[0], BLOCK[:, 1], BLOCK.mT[1]) for d in (0, 1)),
        aten.sum.dim_IntList(BLOCK, [0, 1]), aten.sum.dim_IntList(BLOCK, [0, 2]),
    ],
    "t": lambda: aten.t.default(MATRIX),
    "topk": lambda: [aten.topk.default(t, 5, -1) for t in (MATRIX, WIDE, BLOCK, TIES)],
    "transpose": lambda: aten.transpose.int(BLOCK, 0, 2),
    "tril": lambda: aten.tril.default(MATRIX),
    "triu": lambda: aten.triu.default(MATRIX, 1),
    "unbind": lambda: aten.unbind.int(BLOCK),
    "unsqueeze": lambda: aten.unsqueeze.default(X, 0),
    "view": lambda: aten.view.default(BLOCK, [91, 37]),
    "where": lambda: aten.where.self(MASK, X, Y),
    "zero_": in_place(aten.zero_.default),
    "zeros": lambda: aten.zeros.default([COUNT]),
    "zeros_like": of_one(aten.zeros_like.default),
}  # fmt: skip
"""For each of KNOWN that computes or moves anything, what it is given."""

NO_NUMBERS: dict[str, Case] = {
    "detach_": lambda: [t.clone().detach_() for t in EACH],
    "empty": lambda: [tuple(torch.empty(3, 5).stride())],
    "empty_like": lambda: [tuple(torch.empty_like(BLOCK.transpose(0, 2)).stride())],
    "empty_strided": lambda: [tuple(torch.empty_strided((3, 5), (1, 3)).stride())],
    "new_empty": lambda: [tuple(X.new_empty(3, 5).stride())],
    "new_empty_strided": lambda: [tuple(X.new_empty_strided((3, 5), (1, 3)).stride())],
    "resize_": lambda: [tuple(torch.empty(0).resize_(3, 5).stride())],
    "set_": lambda: [tuple(torch.empty(0).set_(X.untyped_storage()).stride())],
}  # fmt: skip
"""Of KNOWN: what gives memory without numbers in it. The layout is all that is looked at."""


def _affine(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight and the bias of a norm."""
    return numbers("scale", width), numbers("shift", width)


def _gelus(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [torch.nn.functional.gelu(tensor, approximate="tanh") for tensor in tensors]


def _foreach() -> list[torch.Tensor]:
    tensors = [X.clone(), WIDE.clone()]
    aten._foreach_add_.Scalar(tensors, 1)
    return tensors


def _foreach_copied() -> Any:
    tensors = [torch.zeros_like(X), torch.zeros_like(WIDE)]
    aten._foreach_copy_.default(tensors, [X, WIDE])
    return tensors


def products() -> list[torch.Tensor]:
    """Products of many shapes, also of transposed and of batched matrices."""
    long = numbers("long", 1, 100_003).double()
    found = [portable.product(long, long.t())]
    for n, k, m in ((1, 1, 1), (3, 5, 7), (16, 256, 16), (67, 301, 33), (128, 700, 96), (1, 500, 40), (40, 500, 1)):
        a, b = numbers(f"a{n}{k}", n, k), numbers(f"b{k}{m}", k, m)
        found += [portable.product(a, b), portable.product(b.t(), a.t()), portable.product(a, a.t())]
        found.append(portable.product(torch.stack([a, -a]), torch.stack([b.t(), b.t() * 3]).transpose(1, 2)))
    return found


OURS: dict[str, Case] = {
    "product": products,
    "add_product": lambda: portable.add_product(numbers("c", 67, 33), MATRIX, numbers("d", 301, 33), beta=0.5, alpha=2),
    "cosine": lambda: torch.from_numpy(portable.cosine(X.numpy().astype(np.float64) * 1000)),
    "sine": lambda: torch.from_numpy(portable.sine(X.numpy().astype(np.float64) * 1000)),
    "logarithm": lambda: torch.from_numpy(portable.logarithm(np.abs(WIDE.numpy().astype(np.float64)) + 2.0**-149)),
    "whole_power": lambda: [portable.whole_power(t, n) for t in EACH for n in (1, 2, 3)],
    "powers": lambda: portable.powers(10000.0, torch.arange(0, 64, 2, dtype=torch.float32) / 64),
    "uniform": lambda: uniform("operations:uniform", (1000,), 0.02),
    "tree": lambda: _tree(),
    "attention": lambda: _with_gradients(
        lambda q, k, v: fused.attention(torch.nn.Module(), q, k, v, None)[0],
        *(numbers(f"attention:{heads}", 2, heads, 150, 16) for heads in (4, 2)),
        numbers("values", 2, 2, 150, 16),
    ),
    "rms_norm": lambda: _with_gradients(lambda x, w: fused.rms_norm(x, w, 1e-6), BLOCK, numbers("weight", SHAPE[-1])),
    "loss_sum": lambda: _with_gradients(lambda x: fused.loss_sum(x, TARGETS), MATRIX * 10),
}
"""What pipelines puts in the place of an operation, or adds."""


def _with_gradients(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> list[torch.Tensor]:
    """What a differentiable function gives, and its gradients."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    found = function(*leaves)
    found.backward(torch.ones_like(found) if found.ndim == 0 else numbers("backward", *found.shape))  # type: ignore[no-untyped-call]
    return [found.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def _tree() -> torch.Tensor:
    total = reduce.TreeSum()
    for number in range(8):
        total.add(numbers(f"tree:{number}", COUNT))
    return total.total()


def digest(value: Any) -> str:
    """SHA-256 of all numbers in a tensor or a nest of them, with types and shapes; of strides as they are."""
    found = hashlib.sha256()
    for tensor in _flat(value):
        if isinstance(tensor, tuple):
            found.update(repr(tensor).encode())
            continue
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def _flat(value: Any) -> Iterable[torch.Tensor | tuple[int, ...]]:
    if isinstance(value, torch.Tensor) or (isinstance(value, tuple) and isinstance(value[0], int)):
        yield value
    else:
        for part in value:
            yield from _flat(part)


def refused() -> dict[str, str]:
    """The digests of operations that the gate refuses, or answers by others of ours, as torch gives them."""
    q, k, v = (numbers(f"sdpa:{name}", 2, 4, 64, 32) for name in "qkv")
    cases: dict[str, Case] = {
        **{name: of_positive(getattr(torch, name)) for name in ("cos", "erf", "exp", "log", "sigmoid", "sqrt", "tanh")},
        "mm": lambda: MATRIX @ MATRIX.t(),
        "sdpa": lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    }
    return {f"refused::{name}": digest(case()) for name, case in cases.items()}


def digests() -> dict[str, str]:
    """The digest of every operation's results, by its name."""
    determinism.check(determinism.PORTABLE)
    with Gate():
        found = {f"aten::{name}": digest(case()) for name, case in (CASES | NO_NUMBERS).items()}
        return found | {f"pipelines::{name}": digest(case()) for name, case in OURS.items()}


if __name__ == "__main__":
    found = digests() | (refused() if "--refused" in sys.argv[1:] else {})
    print(json.dumps(found, indent=1, sort_keys=True))
