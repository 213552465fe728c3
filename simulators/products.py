"""Ways to compute a matrix product of integers, which of them are exact for a layer, and which is fastest.

Every candidate reads float32 signals (or the type it wants) and fills float32 sums:

- ``float32``: full precision. Exact while every partial sum stays below 2^24.
- ``float32 medium``: operands rounded inside, to bfloat16 on a CPU that has it and to TF32 on CUDA; sums in
  float32. The narrower, bfloat16, has 8 significant bits: integers up to 256 and even ones up to 512 are exact.
- ``bfloat16``: operands in bfloat16, sums in float32 (CUDA only: on CPU torch rounds the sums to bfloat16).
- ``int8``: operands in int8, sums in int32; even weights are halved first.

The proof is :func:`is_exact`. What a machine's library does beyond it (saturating pairs of int8 products,
say) is asked of the machine: a candidate that misses one sum of the extremes is not used.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from simulators.arithmetic import FLOAT32_EXACT, INT32

CANDIDATES = ("float32", "float32 medium", "bfloat16", "int8")
BFLOAT16_EXACT = 256  # 8 significant bits
WORTH_MEASURING = 2**22  # multiply-accumulates; below it, choosing costs more than it saves
MEASURED_ELEMENTS = {"cpu": 2**21, "cuda": 2**24}  # signals and sums to measure with: 8 and 64 MiB in float32
REPEATS = 5
HOPELESS = 3.0  # times the fastest: not measured again
GAIN = 0.95  # of float32's time, or it is kept


@dataclass(frozen=True)
class Bounds:
    """What is proved of a product's factors.

    Attributes:
        weights: least and largest weight, integers.
        even: all weights are even.
        messages: least and largest message, integers.
        sums: largest absolute value of a sum or of any part of it, in whatever order it is added.
    """

    weights: tuple[float, float]
    even: bool
    messages: tuple[float, float]
    sums: float


def is_exact(candidate: str, bounds: Bounds) -> bool:
    """Whether a candidate gives the exact sums of every product within bounds, in float32."""
    low, high = bounds.weights
    weight, message = max(abs(low), abs(high)), max(map(abs, bounds.messages))
    if max(bounds.sums, weight, message) >= FLOAT32_EXACT:
        return False
    if candidate == "float32":
        return True
    if candidate in ("float32 medium", "bfloat16"):
        return message <= BFLOAT16_EXACT and weight <= BFLOAT16_EXACT * (2 if bounds.even else 1)
    if candidate == "int8":
        half = 2 if bounds.even else 1
        return _is_int8(low / half, high / half) and _is_int8(*bounds.messages) and bounds.sums / half < INT32
    raise ValueError(f"product {candidate!r}: none of {', '.join(CANDIDATES)}; choose one of them")


def _is_int8(low: float, high: float) -> bool:
    return low >= -128 and high <= 127


def runs(candidate: str, shape: tuple[int, int, int], device: torch.device) -> bool:
    """Whether a device has the instructions for a candidate, for (rows, inputs, outputs).

    A CPU without them still gives the same sums, at float32's pace ("medium") or 20 times slower (int8).
    """
    rows, inputs, outputs = shape
    if candidate == "float32":
        return True
    if device.type == "cpu":
        has_bfloat16 = candidate == "float32 medium" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return bool(has_bfloat16 or (candidate == "int8" and torch.cpu._is_vnni_supported()))
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    return candidate != "int8" or (rows > 16 and inputs % 8 == 0 and outputs % 8 == 0)  # cuBLASLt's limits


@contextmanager
def reduced_precision() -> Iterator[None]:
    """``float32 medium`` for the products inside, and the process's own setting again after them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _full_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Matrix:
    """A weight made ready for one candidate."""

    def __init__(self, candidate: str, weight: Tensor, even: bool) -> None:
        """``weight`` is (in, out), integer-valued, on its device; ``even`` lets int8 halve it."""
        self.candidate, self.factor = candidate, 1
        if candidate == "int8":
            self.factor = 2 if even else 1
            self.weight = (weight / self.factor).to(torch.int8)
        elif candidate == "bfloat16":
            self.weight = weight.to(torch.bfloat16)
        else:
            self.weight = weight.float()

    def write(self, out: Tensor, x: Tensor) -> None:
        """``out = x W``; x is (rows, in), out (rows, out) float32."""
        if self.candidate == "int8":
            torch.mul(torch._int_mm(x.to(torch.int8), self.weight), self.factor, out=out)
        elif self.candidate == "bfloat16":
            torch.mm(x.to(torch.bfloat16), self.weight, out_dtype=torch.float32, out=out)
        elif self.candidate == "float32 medium":
            with reduced_precision():
                torch.mm(x.float(), self.weight, out=out)
        else:
            with _full_precision():
                torch.mm(x.float(), self.weight, out=out)


def choose(bounds: Bounds, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> str:
    """The fastest candidate that is proved exact, for signals of ``dtype`` and (rows, inputs, outputs).

    Raises:
        ValueError: where float32 itself is not exact within the bounds.
    """
    if not is_exact("float32", bounds):
        raise ValueError(f"sums up to {bounds.sums:g} are not exact in float32 (2^24); use float64")
    exact = tuple(c for c in CANDIDATES if is_exact(c, bounds) and runs(c, shape, device))
    rows, inputs, outputs = shape
    if len(exact) == 1 or rows * inputs * outputs < WORTH_MEASURING:
        return "float32"
    most = MEASURED_ELEMENTS.get(device.type, 2**21) // (inputs + outputs)
    alike = 1 << (rows - 1).bit_length()  # batches of about a size share one measurement
    return fastest(exact, (max(32, min(alike, most)), inputs, outputs), dtype, device)


@cache
def fastest(candidates: Sequence[str], shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> str:
    """The candidate of least median time on this machine, measured once per process and argument.

    Args:
        candidates: names, exact for the layer; "float32" is the one that the others are held against.
        shape: (rows, inputs, outputs).
        dtype: type of the signals that the product reads: a candidate that wants another pays for it.
        device: where.
    """
    matrices = {c: Matrix(c, _weights(shape, device), even=True) for c in candidates if agrees(c, shape, device)}
    if len(matrices) < 2:
        return next(iter(matrices), "float32")
    x = (torch.rand(shape[:2], device=device) < 0.25).to(dtype)
    out = torch.empty(shape[0], shape[2], device=device)
    times: dict[str, list[float]] = {name: [] for name in matrices}
    for turn in range(REPEATS + 2):  # in turn: what slows the machine down slows all of them
        for name, matrix in matrices.items():
            times[name].append(_seconds(matrix, out, x))
        if turn == 1:  # the first call of each sets libraries up and says nothing
            best = min(seconds[1] for seconds in times.values())
            matrices = {name: m for name, m in matrices.items() if times[name][1] <= HOPELESS * best}
    medians = {name: statistics.median(times[name][1:]) for name in matrices}
    winner = min(medians, key=lambda name: medians[name])
    slow = "float32" in medians and medians[winner] > GAIN * medians["float32"]
    return "float32" if slow else winner


def _weights(shape: tuple[int, int, int], device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (2.0 * torch.randint(-128, 128, shape[1:], generator=generator)).to(device)


def _seconds(matrix: Matrix, out: Tensor, x: Tensor) -> float:
    _wait(out.device)
    start = time.perf_counter()
    matrix.write(out, x)
    _wait(out.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@cache
def agrees(candidate: str, shape: tuple[int, int, int], device: torch.device) -> bool:
    """Whether the machine gives the exact sums at the extremes of what :func:`is_exact` allows.

    Rows of largest messages against columns of largest, of least and of mixed weights, held against the same
    sums by the distributive law: message times the sum of the column, in int64.
    """
    if candidate == "float32":
        return True
    rows, inputs, outputs = max(32, min(shape[0], 64)), shape[1], shape[2]
    most = 127 if candidate == "int8" else BFLOAT16_EXACT
    sending = torch.arange(inputs) < (FLOAT32_EXACT - 1) // (256 * most)  # more would leave float32
    message = torch.arange(rows)[:, None] % 3 * most // 2 * sending  # 0, half and all of the largest message
    weight = _weights((rows, inputs, outputs), torch.device("cpu")).to(torch.int64)
    weight[:, 0::3], weight[:, 1::3] = 254, -256
    expected = message[:, :1] * weight[sending].sum(dim=0)
    x = message.float().to(device)
    out = torch.empty(rows, outputs, device=device)
    Matrix(candidate, weight.float().to(device), even=True).write(out, x)
    return bool((out.cpu().to(torch.int64) == expected).all())
