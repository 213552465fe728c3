"""The simulator's yardstick: a graph's bare matrix products in the fastest exact type, and a pass over its neurons.

Exact are, for messages up to 127 and even weights of 8 bits: float32; float32 whose operands torch may round to
bfloat16 (``set_float32_matmul_precision("medium")``), for integers up to 256 are exact in it; int8 with int32 sums, on
half of the weights. ``torch.mm`` of bfloat16 is not: its output is rounded. Operands and results are allocated
beforehand, which no simulator can do: the yardstick is as short as it can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.stopwatch import COPY_BYTES, Arms, copy_arm, interleaved, medians
from exporters.nir.graph import Attention, Graph, Neuron, TokenLinear

FLOAT32, MEDIUM, INT8 = "float32", "float32, precision medium", "int8"
DTYPES = (FLOAT32, MEDIUM, INT8)
TRIAL_OPERATIONS = 2**30  # multiply-accumulates of one trial of a type: on some machines int8 is 20 times as slow
LEAST_ROWS = 256

Shape = tuple[int, int]


@dataclass(frozen=True)
class Work:
    """What a batch asks for, whoever computes it.

    Attributes:
        rows: samples times steps times token slots.
        linears: (inputs, outputs) of each linear layer: bias, packing and cuts aside.
        attentions: (heads, tokens, channels of a head) of each ``ssa`` attention.
        neurons: neuron updates: neurons times steps times samples.
    """

    rows: int
    linears: tuple[Shape, ...]
    attentions: tuple[tuple[int, int, int], ...]
    neurons: int

    @classmethod
    def of(cls, graph: Graph, samples: int, steps: int) -> Work:
        """All token slots counted, padded or not."""
        nodes = graph.nodes.items()
        layers = [n for name, n in nodes if isinstance(n, TokenLinear) and name.endswith(".weight")]
        ssa = [n for _, n in nodes if isinstance(n, Attention) and n.kind == "ssa"]
        tokens = layers[0].tokens
        channels = sum(n.shape[0] for name, n in nodes if isinstance(n, Neuron) and not name.endswith("_valid"))
        return cls(
            samples * steps * tokens,
            tuple((n.weight.shape[1], n.weight.shape[0]) for n in layers),
            tuple((n.heads, n.tokens, n.width // n.heads) for n in ssa),
            channels * tokens * steps * samples,
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the linear layers."""
        return self.rows * sum(i * o for i, o in self.linears)

    @property
    def attention_macs(self) -> int:
        """Of Q (K^T V) per head: two products of N d^2, linear in the number of tokens."""
        return sum(2 * (self.rows // n) * heads * n * d * d for heads, n, d in self.attentions)

    def bytes_moved(self, item: int, result: int) -> int:
        """Of the linear layers: each operand read once, each result written once."""
        return sum(item * (self.rows * i + i * o) + result * self.rows * o for i, o in self.linears)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """``torch.set_float32_matmul_precision`` within the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Products:
    """The products of a batch; operands and results of equal shape share memory."""

    def __init__(self, work: Work, rows: int | None = None) -> None:
        self.work, self.rows = work, rows or work.rows
        self.buffers: dict[tuple[object, ...], Tensor] = {}

    def linears(self, dtypes: dict[Shape, str]) -> None:
        """One call: every linear layer in the type chosen for its shape."""
        for shape in self.work.linears:
            self.one(shape, dtypes[shape])

    def one(self, shape: Shape, dtype: str) -> Tensor:
        """(rows, inputs) times (inputs, outputs); int8 gives half of the sums."""
        inputs, outputs = shape
        if dtype == INT8:
            x, w = self._spikes(inputs, torch.int8), self._weights(shape, torch.int8)
            return torch._int_mm(x, w, out=self._result(outputs, torch.int32))
        x, w = self._spikes(inputs, torch.float32), self._weights(shape, torch.float32)
        with precision("medium" if dtype == MEDIUM else "highest"):
            return torch.mm(x, w, out=self._result(outputs, torch.float32))

    def attention(self) -> None:
        """One call: K^T V and Q (K^T V) of every head, sample and step, in float32."""
        for heads, tokens, d in self.work.attentions:
            x, summary, out = self._heads(heads * self.rows // tokens, tokens, d)
            torch.bmm(x.transpose(1, 2), x, out=summary)
            torch.bmm(x, summary, out=out)

    def _heads(self, groups: int, tokens: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
        """Spikes (G, N, d), which stand for q, k and v, and room for K^T V (G, d, d) and for the sums (G, N, d)."""
        key = (groups, tokens, d)
        x = self._get(("heads", *key), lambda: _random(groups * tokens, d, torch.float32).view(key))
        summary = self._get(("summary", *key), lambda: torch.empty(groups, d, d))
        return x, summary, self._get(("sums", *key), lambda: torch.empty(key))

    def _spikes(self, inputs: int, dtype: torch.dtype) -> Tensor:
        return self._get(("x", inputs, dtype), lambda: _random(self.rows, inputs, dtype))

    def _weights(self, shape: Shape, dtype: torch.dtype) -> Tensor:
        """Even integers of 8 bits, or for int8 their halves."""
        halves = self._get(("w", shape), lambda: torch.randint(-128, 128, shape, dtype=torch.int8))
        return halves if dtype == torch.int8 else self._get(("w", shape, dtype), lambda: 2 * halves.to(dtype))

    def _result(self, outputs: int, dtype: torch.dtype) -> Tensor:
        return self._get(("y", outputs, dtype), lambda: torch.empty(self.rows, outputs, dtype=dtype))

    def _get(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
        if key not in self.buffers:
            self.buffers[key] = make()
        return self.buffers[key]


def try_dtypes(work: Work, rounds: int) -> dict[Shape, dict[str, float]]:
    """Multiply-accumulates a second of each exact type, by shape of the layer; on part of the rows."""
    found: dict[Shape, dict[str, float]] = {}
    for shape in Counter(work.linears):
        rows = min(work.rows, max(LEAST_ROWS, TRIAL_OPERATIONS // (shape[0] * shape[1])))
        trial = Products(work, rows)
        arms = {dtype: partial(trial.one, shape, dtype) for dtype in DTYPES if _runs(trial, shape, dtype)}
        macs = rows * shape[0] * shape[1]
        found[shape] = {dtype: macs / took for dtype, took in medians(interleaved(arms, rounds, 0)).items()}
    return found


def fastest(speeds: dict[Shape, dict[str, float]]) -> dict[Shape, str]:
    """By shape, the type that was fastest."""
    return {shape: max(speed, key=lambda dtype: speed[dtype]) for shape, speed in speeds.items()}


def arms_of(work: Work, dtypes: dict[Shape, str]) -> Arms:
    """The yardstick as calls to be timed: products, those of attention, and a copy of as much as the neurons hold.

    The copy is of the same total size, up to :data:`COPY_BYTES`; :func:`pass_seconds` scales its time.
    """
    products = Products(work)
    arms: dict[str, Callable[[], object]] = {"linear products": partial(products.linears, dtypes)}
    if work.attentions:
        arms["attention products"] = products.attention
    for name, dtype in PASSES.items():
        arms[name] = copy_arm(dtype, min(work.neurons * dtype.itemsize, COPY_BYTES))[0]
    return arms


PASSES = {"copy float32": torch.float32, "copy uint8": torch.uint8}


def pass_seconds(work: Work, name: str, took: float) -> tuple[float, float]:
    """Seconds of a pass over the neurons in this type, and bytes a second, from the time of its copy."""
    nbytes = work.neurons * PASSES[name].itemsize
    copied = min(nbytes, COPY_BYTES)
    return took * nbytes / copied, 2 * copied / took


def _random(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, 2, (rows, columns), dtype=torch.int8).to(dtype)


def _runs(trial: Products, shape: Shape, dtype: str) -> bool:
    """Whether torch has this product here and it is exact; also the warm-up of those that are."""
    wanted = trial.one(shape, FLOAT32).clone()
    try:
        got = trial.one(shape, dtype)
    except RuntimeError:
        return False
    return torch.equal(2 * got.float() if dtype == INT8 else got, wanted)
