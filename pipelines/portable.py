"""Arithmetic that gives the same bits on every x86-64 CPU with AVX2 and FMA.

Every operation of torch, forward and backward, passes the `Gate`. It answers in one of four ways:

    products         matrix products are made by numpy's OpenBLAS, pinned to one code path and one thread
    cosine, sine     by series over IEEE additions and multiplications, which every CPU rounds alike
    powers           x ** 1, 2, 3 by multiplications, and constant ** x in decimal arithmetic
    KNOWN            goes on to torch, whose kernels, capped at AVX2, are the same instructions on every CPU
    anything else    is refused by name: MKL's vector functions behind torch.exp or torch.sqrt, for one, choose
                     their code by the CPU's maker, and nobody has shown the others to be portable

so a model that trains under the gate trains in the same bits elsewhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from registry.errors import InputError

Float64 = npt.NDArray[np.float64]

MEND = "choose `profile: native` in params.yaml, or an architecture without it, such as llama with silu"

_NAMES = """
    _foreach_add_ _fused_adamw_ _local_scalar_dense _log_softmax _log_softmax_backward_data
    _record_function_enter_new _record_function_exit _softmax _softmax_backward_data _to_copy _unsafe_view abs add
    add_ alias all any arange argmax bitwise_and bitwise_not bitwise_or cat clone copy_ cumsum detach detach_ div
    div_ embedding embedding_dense_backward empty empty_like empty_strided eq expand fill_ full full_like gather
    ge gt index isfinite le lift_fresh logical_and logical_not logical_or lt masked_fill masked_fill_ maximum mean
    minimum mul mul_ ne neg new_empty new_ones new_zeros nll_loss_backward nll_loss_forward ones ones_like permute
    reciprocal rsqrt rsub scalar_tensor select select_backward silu silu_backward slice slice_backward split
    split_with_sizes squeeze stack sub sub_ sum t transpose tril triu unbind unsqueeze view where zero_ zeros
    zeros_like
"""
KNOWN = frozenset(_NAMES.split())
"""Names of torch's operations whose results are the same bits on one thread, whatever the CPU: moves of data,
comparisons, IEEE arithmetic (also fused by instructions that every AVX2 CPU has), sums in a fixed order, and the
exponentials inside silu and softmax, which torch compiles in (SLEEF) rather than leaving them to MKL."""


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The matrix product of two tensors of one type, (..., n, k) @ (..., k, m) -> (..., n, m), without copying them."""
    return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy()))


def add_product(
    start: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: float = 1, alpha: float = 1
) -> torch.Tensor:
    """beta * start + alpha * (left @ right)."""
    return start * beta + product(left, right) * alpha


def cosine(angles: Float64) -> Float64:
    """The cosine of angles in radians, |angle| < 2**20, within 1e-11, by IEEE operations only."""
    return _series(angles, shift=0)


def sine(angles: Float64) -> Float64:
    """The sine of angles in radians, |angle| < 2**20, within 1e-11, by IEEE operations only."""
    return _series(angles, shift=3)  # sin(x) = cos(x - pi/2) = cos(x + 3 pi/2)


def _series(angles: Float64, shift: int) -> Float64:
    """cos(angle + shift * pi/2): the angle is brought to [-pi/4, pi/4], then Taylor's series of cosine and of sine."""
    quarters = np.rint(angles / (math.pi / 2))
    # pi/2 in two parts, the first with 33 bits, so that its multiples are exact.
    x = (angles - quarters * 1.5707963267341256) - quarters * 6.077100506506192e-11
    square = x * x
    cos, sin = np.zeros_like(x), np.zeros_like(x)
    for n in range(18, 0, -2):  # Horner's scheme, from the innermost term; 18 terms leave less than 1e-17
        cos = (1.0 - cos) * square / (n * (n - 1))
        sin = (1.0 - sin) * square / (n * (n + 1))
    cos, sin = 1.0 - cos, x * (1.0 - sin)
    turn = (quarters.astype(np.int64) + shift) & 3
    return np.select([turn == 0, turn == 1, turn == 2], [cos, -sin, -cos], sin)


def whole_power(tensor: torch.Tensor, exponent: float) -> torch.Tensor:
    """tensor ** exponent for 1, 2 or 3. Raises InputError for another: 0.5, for one, would be MKL's square root."""
    if exponent not in (1, 2, 3):
        raise InputError(f"the model raises to the power {exponent}", mend=MEND)
    result = tensor.clone()
    for _ in range(int(exponent) - 1):
        result *= tensor
    return result


def powers(base: float, exponents: torch.Tensor) -> torch.Tensor:
    """base ** exponents, elementwise, rounded from 28 decimal digits: how rotary embeddings make their frequencies."""
    found = [float(Decimal(base) ** Decimal(exponent)) for exponent in exponents.flatten().tolist()]
    return torch.tensor(found, dtype=exponents.dtype).reshape(exponents.shape)


def uniform(key: str, shape: tuple[int, ...], half_width: float) -> torch.Tensor:
    """A float32 tensor of `shape`, uniform in [-half_width, half_width), that depends on `key` and nothing else.

    SHAKE-256 of the key gives 24 bits a number; each is a whole multiple of 2**-23, so only the one multiplication
    by `half_width` rounds. Law: a larger shape begins with the numbers of a smaller one. Source: FIPS 202.
    """
    stream = hashlib.shake_256(key.encode()).digest(4 * math.prod(shape))
    whole = (np.frombuffer(stream, dtype="<u4") >> 8).astype(np.int32) - (1 << 23)
    scaled = whole.astype(np.float32) / np.float32(1 << 23) * np.float32(half_width)
    return torch.from_numpy(scaled.reshape(shape))


def _by_float64(function: Callable[[Float64], Float64]) -> Callable[[torch.Tensor], torch.Tensor]:
    def elementwise(tensor: torch.Tensor) -> torch.Tensor:
        values = function(tensor.detach().numpy().astype(np.float64))
        return torch.from_numpy(values.astype(np.float32)).to(tensor.dtype)

    return elementwise


aten = torch.ops.aten
REPLACED: Mapping[Any, Callable[..., torch.Tensor]] = {
    aten.mm.default: product,
    aten.bmm.default: product,
    aten.addmm.default: add_product,
    aten.baddbmm.default: add_product,
    aten.cos.default: _by_float64(cosine),
    aten.sin.default: _by_float64(sine),
    aten.pow.Tensor_Scalar: whole_power,
    aten.pow.Scalar: powers,
}


class Gate(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within `with Gate():` every operation of this thread, and of the backward passes it starts, is portable.

    Raises InputError that names the first operation which is not known to be.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if (replacement := REPLACED.get(operation)) is not None:
            return replacement(*args, **(kwargs or {}))
        if operation in _ADMITTED or _admit(operation):
            return operation(*args, **(kwargs or {}))
        with self:  # what is only made of other operations is taken apart, and each of those comes here
            if (parts := operation.decompose(*args, **(kwargs or {}))) is not NotImplemented:
                return parts
        raise InputError(
            f"the model uses {operation}, which is not known to give the same bits on every CPU", mend=MEND
        )


_ADMITTED: set[Any] = set()
"""Overloads that were found among KNOWN: looked up once each, since a step makes a thousand calls."""


def _admit(operation: Any) -> bool:
    """Whether `operation` may go on to torch. What sends between processes (c10d) moves bytes and computes nothing."""
    namespace, name = operation.name().split("::")
    if namespace != "c10d" and name.split(".")[0] not in KNOWN:
        return False
    _ADMITTED.add(operation)
    return True
