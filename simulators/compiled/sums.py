"""The edges into one node, added up in memory: where they are more than one product, or there is no neuron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.nir.graph import TokenLinear
from simulators.compiled.chunk import Chunk, Ints
from simulators.compiled.forms import Array, Form
from simulators.compiled.kernels.events import add_events
from simulators.compiled.kernels.listing import mark_any, mark_listed
from simulators.compiled.kernels.rows import add_slice, select_into
from simulators.compiled.product import Product
from simulators.linear import selection
from simulators.operations import Operation, Plan


@dataclass(frozen=True, eq=False)
class Selected:
    """A linear that picks: ``sums[:, rows] += values * source[:, columns]``."""

    source: str
    rows: Ints
    columns: Ints
    values: Ints
    reaching: Ints  # columns with a weight

    @staticmethod
    def of(source: str, linear: TokenLinear) -> Selected:
        """The linear, which has one weight a row at most."""
        chosen = selection(linear)
        assert chosen is not None  # the planner takes all others into the product
        values = np.rint(chosen.values).astype(np.int64)
        return Selected(source, chosen.rows, chosen.columns, values, np.unique(chosen.columns))

    def add_to(self, sums: Array, x: Array) -> None:
        """``sums[:, rows] += values * x[:, columns]``; in one vector loop where all three are ranges."""
        row, column, size = int(self.rows[0]), int(self.columns[0]), len(self.rows)
        steps = np.arange(size)
        is_range = np.array_equal(self.rows, row + steps) and np.array_equal(self.columns, column + steps)
        if is_range and (self.values == self.values[0]).all():
            add_slice(sums[:, : row + size], x, row, column, np.int32(self.values[0]))
        else:
            select_into(sums, x, self.rows, self.columns, self.values)


class Sums:
    """All that enters one node.

    Attributes:
        direct: signals that enter as they are.
        picked: through linears that pick.
        product: the other linears, if there are any.
        is_product: nothing but the product enters.
        alone: the one signal that enters as it is, if nothing else does.
    """

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form]) -> None:
        self.shapes = shapes
        self.direct = [e.source for e in op.edges if e.linear is None]
        edges = {e.linear: e.source for e in op.edges if e.linear}
        self.picked = [Selected.of(edges[name], plan.linear(name)) for name in op.selections]
        self.product = Product([op], plan, shapes) if op.product else None
        self.is_product = self.product is not None and not self.direct and not self.picked
        self.alone = self.direct[0] if len(self.direct) == 1 and not op.product and not self.picked else ""

    def reached(self, chunk: Chunk) -> Array:
        """Which rows receive an event over any weight that is not zero, (rows,) uint8."""
        reached = np.zeros(chunk.rows, np.uint8)
        if self.product:
            mark_listed(*self.product.listed(chunk), self.product.events.reaches[0], reached)
        for picked in self.picked:
            mark_any(chunk.values[picked.source], picked.reaching, reached)
        for source in self.direct:
            mark_any(chunk.values[source], np.arange(self.shapes[source].channels), reached)
        return reached

    def total(self, chunk: Chunk, channels: int) -> Array:
        """All edges, int32 (rows, padded(channels)), to be given back to the shelf."""
        sums = chunk.shelf.take(chunk.rows, channels, np.int32)
        sums[:] = 0
        for source in self.direct:
            np.add(sums, chunk.values[source], out=sums, casting="unsafe")
        for picked in self.picked:
            picked.add_to(sums, chunk.values[picked.source])
        if self.product:
            add_events(self.product.events.rows, *self.product.listed(chunk), sums[:, :channels])
        return sums
