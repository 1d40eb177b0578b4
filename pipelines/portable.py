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
import warnings
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt
import torch

from registry.errors import InputError

Float64 = npt.NDArray[np.float64]

MEND = "choose `profile: native` in params.yaml, or an architecture without it, such as llama with silu"

_NAMES = """
    _chunk_cat _foreach_add_ _foreach_copy_ _fused_adamw_ _index_put_impl_ _local_scalar_dense _log_softmax
    _log_softmax_backward_data _reshape_alias _softmax _softmax_backward_data _to_copy _unsafe_view abs add add_ alias
    all aminmax any arange argmax as_strided as_strided_ bitwise_and bitwise_not bitwise_or cat clone copy_ cumsum
    detach detach_ div div_ embedding embedding_dense_backward empty empty_like empty_strided eq expand fill_ full
    full_like gather ge gelu gelu_backward gt index index_add_ index_select is_pinned isfinite le lift_fresh logical_and
    logical_not logical_or lt masked_fill masked_fill_ maximum mean minimum mul mul_ native_layer_norm
    native_layer_norm_backward ne neg new_empty new_empty_strided new_ones new_zeros nll_loss_backward nll_loss_forward
    nonzero ones ones_like permute reciprocal resize_ rsqrt rsub scalar_tensor scatter_ scatter_add_ select
    select_backward set_ silu silu_backward slice slice_backward split split_with_sizes split_with_sizes_copy squeeze
    stack sub sub_ sum t topk transpose tril triu unbind unsqueeze view where zero_ zeros zeros_like
"""
KERNEL_KEYS = ("CPU", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")
"""Where torch looks for the kernel of an operation on tensors in memory that is not made of other operations."""
KNOWN = frozenset(_NAMES.split())
"""Names of torch's operations whose results are the same bits on one thread, whatever the CPU: moves of data,
comparisons, IEEE arithmetic (also fused by instructions that every AVX2 CPU has), sums in a fixed order, the
exponentials inside silu and softmax, which torch compiles in (SLEEF) rather than leaving them to MKL, and the error
function inside gelu, which oneDNN writes out for AVX2."""


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The matrix product of two tensors of one type, (..., n, k) @ (..., k, m) -> (..., n, m), without copying them.

    They are lent by DLPack: `numpy()` would forbid torch to free their memory, as it does where parameters are shared.
    """
    if left.dtype is torch.bfloat16:  # numpy has no such numbers: float32 has them all, and the product is rounded once
        return product(left.float(), right.float()).to(torch.bfloat16)
    return torch.from_numpy(np.matmul(np.from_dlpack(left.detach()), np.from_dlpack(right.detach())))


def add_product(
    start: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: float = 1, alpha: float = 1
) -> torch.Tensor:
    """beta * start + alpha * (left @ right)."""
    return start * beta + product(left, right) * alpha


PRODUCTS: Mapping[str, Callable[..., torch.Tensor]] = {
    "aten::mm": product,
    "aten::bmm": product,
    "aten::addmm": add_product,
    "aten::baddbmm": add_product,
}
"""Matrix products by numpy's OpenBLAS, by the operations' names."""


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


def logarithm(values: Float64) -> Float64:
    """The natural logarithm of positive finite numbers, within 1e-15 of its size or of 1, by IEEE operations only."""
    fractions, exponents = np.frexp(values)  # values = fractions * 2 ** exponents, fractions in [0.5, 1)
    low = fractions < math.sqrt(0.5)
    fractions, exponents = np.where(low, fractions * 2, fractions), exponents - low
    x = (fractions - 1) / (fractions + 1)  # log f = 2 artanh(x), |x| < 0.172
    square = x * x
    series = np.zeros_like(x)
    for n in range(21, 0, -2):
        series = series * square + 1.0 / n
    found: Float64 = exponents * math.log(2) + 2 * x * series
    return found


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
    @lru_cache(maxsize=4)  # a model asks for the cosines of the same positions in every layer and every step
    def of_bytes(numbers: bytes) -> npt.NDArray[np.float32]:
        return function(np.frombuffer(numbers, np.float32).astype(np.float64)).astype(np.float32)

    def elementwise(tensor: torch.Tensor) -> torch.Tensor:
        found = of_bytes(tensor.detach().to(torch.float32).numpy().tobytes())
        return torch.from_numpy(found.reshape(tensor.shape).copy()).to(tensor.dtype)

    return elementwise


REPLACED: Mapping[str, Callable[..., torch.Tensor]] = {
    **PRODUCTS,
    "aten::cos": _by_float64(cosine),
    "aten::sin": _by_float64(sine),
    "aten::pow.Tensor_Scalar": whole_power,
    "aten::pow.Scalar": powers,
}
"""What the gate computes otherwise than torch does, by the operations' names."""


_STANDING: dict[str, Kernels] = {}
"""Operations that have another kernel, and whose it is: within one `with`, an inner one changes nothing of the outer.

It also keeps the owner, since torch takes kernels back when the object that registered them is gone.
"""


class Kernels:
    """Within `with Kernels(...):` this process computes the named operations of tensors in memory by these functions.

    They stand in torch's own table of kernels, below its differentiation, so other operations cost nothing more, and
    what calls the named ones makes no difference: a model, a backward pass, or another operation's inside.
    """

    def __init__(self, kernels: Mapping[str, Callable[..., Any]]) -> None:
        self._kernels = kernels
        self._names: set[str] = set()
        self._libraries: list[Any] = []

    def __enter__(self) -> Self:
        self._names = self._kernels.keys() - _STANDING.keys()
        _STANDING.update(dict.fromkeys(self._names, self))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Warning only once for all operators", UserWarning)
            for namespace, names in groupby(sorted(self._names), lambda name: name.split("::")[0]):
                library = torch.library.Library(namespace, "IMPL")  # type: ignore[no-untyped-call]
                self._libraries.append(library)
                for name in names:
                    kernel = self._kernels[name]
                    library.impl(name.split("::")[1], kernel, "CPU")  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        while self._libraries:
            self._libraries.pop()._destroy()
        for name in self._names:
            del _STANDING[name]


class Gate(Kernels):
    """Within `with Gate():` every operation on tensors in memory is portable.

    Raises InputError that names the first operation which is not known to be.
    """

    def __init__(self) -> None:
        refused = {name: _refusal(name) for name in _operations() if not _admitted(name)}
        super().__init__({**refused, **REPLACED})


def _operations() -> Iterable[str]:
    """Every operation of torch that has a kernel for tensors in memory; those made of others come as those others."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    for name in torch._C._dispatch_get_all_op_names():
        if any(has(name, key) for key in KERNEL_KEYS) and not has(name, "CompositeImplicitAutograd"):
            yield name


def _admitted(name: str) -> bool:
    """Whether the operation may stay as it is.

    What sends between processes (c10d), and what lays out parameters for that (fsdp), moves bytes and computes nothing.
    """
    namespace, _, rest = name.partition("::")
    return namespace in ("c10d", "fsdp", "profiler") or (namespace == "aten" and rest.split(".")[0] in KNOWN)


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise InputError(f"the model uses {name}, which is not known to give the same bits on every CPU", mend=MEND)

    return refuse
