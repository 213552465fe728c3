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
from simulators.compiled.weights import DenseWeights, EventWeights
from simulators.operations import Operation, Plan


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
        nodes = [[plan.linear(name) for name in op.product.linears] for op in ops if op.product]
        self.source = next(op.product.source for op in ops if op.product)
        self.form = shapes[self.source]
        self.sources = self.form.sources or (self.source,)
        self.events = EventWeights(nodes, self.form, max(op.bound for op in ops))
        # float32 is exact for these layers, or the planner would have said float64
        is_exact = all(op.dtype == torch.float32 for op in ops)
        self.dense = DenseWeights(nodes, self.form) if is_exact else None

    def measure(self) -> Rates | None:
        """What either way costs here; None where only one is exact."""
        return rates(self.events, self.dense) if self.dense else None

    def ways(self, events: int, dense: int) -> str:
        """Name of the way taken by so many rows each."""
        by_event = f"events {self.events.rows.dtype}"
        if events and dense:
            return f"{by_event} ({events} rows), float32 ({dense} rows)"
        return "float32" if dense else by_event

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
        operand, first = chunk.shelf.take(chunk.rows, inputs, np.float32), 0
        for source in self.sources:
            x = chunk.values[source]
            np.copyto(operand[:, first : first + x.shape[1]], x)
            first += x.shape[1]
        sums = chunk.shelf.take(chunk.rows, outputs, np.float32)
        torch.mm(torch.from_numpy(operand), self.dense.matrix, out=torch.from_numpy(sums)[:, :outputs])
        chunk.shelf.give(operand)
        return sums
