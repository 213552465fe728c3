"""The linears of one node, or of several that read the same source, as one product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from simulators.compiled.chunk import Chunk, Ints
from simulators.compiled.forms import Array, Form
from simulators.compiled.kernels.listing import list_events
from simulators.compiled.rates import Rates, rates
from simulators.compiled.weights import DenseWeights, EventWeights, bounds_of
from simulators.operations import Operation, Plan
from simulators.products import fastest, is_exact, runs

ROWS = 1024  # of the products that are timed against each other


def words_of(x: Array) -> NDArray[np.uint64]:
    """Rows of bytes as rows of 64-bit words."""
    return x.view(np.uint64)


class Product:
    """Weights of nodes side by side, for both ways to multiply.

    Attributes:
        source: name of the signal, or join, that all nodes read.
    """

    def __init__(self, ops: Sequence[Operation], plan: Plan, shapes: dict[str, Form]) -> None:
        assert all(op.product for op in ops)
        self.nodes = [[plan.linear(name) for name in op.product.linears] for op in ops if op.product]
        self.source = next(op.product.source for op in ops if op.product)
        self.form = shapes[self.source]
        self.sources = self.form.sources or (self.source,)
        sums = max(op.bound for op in ops)
        self.events, self.bounds = EventWeights(self.nodes, self.form, sums), bounds_of(self.nodes, self.form, sums)
        self.dense: DenseWeights | None = None
        # exact in float32, or the planner, which knows the process's own precision, would have said float64
        self.has_dense = all(op.dtype == torch.float32 for op in ops)

    def measure(self, may_reduce: bool) -> Rates | None:
        """What either way costs here; None where events alone are exact.

        Args:
            may_reduce: ``float32 medium`` may be chosen; it holds for a whole run, all its products included.
        """
        if not self.has_dense:
            return None
        outputs = sum(linears[0].weight.shape[0] for linears in self.nodes)
        shape, cpu = (ROWS, self.form.width, outputs), torch.device("cpu")
        exact = [c for c in ("float32", "float32 medium", "int8") if is_exact(c, self.bounds) and runs(c, shape, cpu)]
        allowed = tuple(c for c in exact if may_reduce or c != "float32 medium")
        self.dense = DenseWeights(self.nodes, self.form, fastest(allowed, shape, torch.uint8, cpu))
        return rates(self.events, self.dense)

    def ways(self, events: int, dense: int) -> str:
        """Name of the way taken by so many rows each."""
        by_event = f"events {self.events.rows.dtype}"
        if events and dense and self.dense:
            return f"{by_event} ({events} rows), {self.dense.candidate} ({dense} rows)"
        return self.dense.candidate if dense and self.dense else by_event

    def listed(self, chunk: Chunk) -> tuple[Array, Ints]:
        """The source as lists of events, made once for all who read it."""
        if self.source not in chunk.lists:
            index = chunk.shelf.take(chunk.rows + 1, self.form.most, self.events.index_dtype)
            start = np.empty(chunk.rows + 1, np.int64)
            left, *others = [words_of(chunk.values[s]) for s in self.sources]
            right = np.concatenate([left[:, :0], *others], axis=1) if len(others) != 1 else others[0]
            modes, base, positions = self.events.modes, self.events.base, self.events.positions
            list_events(left, modes[0], right, modes[1], base, positions, index.reshape(-1), start)
            chunk.lists[self.source] = index, start
        index, start = chunk.lists[self.source]
        return index.reshape(-1), start

    def multiply(self, chunk: Chunk) -> Array:
        """The product by a dense matrix, float32 (rows, padded(out)); to be given back to the shelf."""
        assert self.dense is not None
        inputs, outputs = self.dense.matrix.shape
        operand, first = chunk.shelf.take(chunk.rows, inputs, self.dense.operand), 0
        for source in self.sources:
            x = chunk.values[source]
            np.copyto(operand[:, first : first + x.shape[1]], x, casting="unsafe")
            first += x.shape[1]
        sums = chunk.shelf.take(chunk.rows, outputs, np.float32)
        self.dense.multiply(torch.from_numpy(sums)[:, :outputs], torch.from_numpy(operand))
        chunk.shelf.give(operand)
        return sums
