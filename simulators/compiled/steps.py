"""The operations of a plan made ready to run on a chunk, one class a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Neuron, TokenLinear
from simulators.arithmetic import INPUT_SHIFT, current_limit, firing_threshold
from simulators.compiled.chunk import Chunk, Ints
from simulators.compiled.forms import Array, Form
from simulators.compiled.kernels.attention import sdsa, ssa
from simulators.compiled.kernels.events import add_events, fire_events
from simulators.compiled.kernels.listing import WORD, list_events, mark_any, mark_listed
from simulators.compiled.kernels.neuron import scan
from simulators.compiled.kernels.rows import (
    add_slice,
    count_messages,
    count_nonzero,
    load_window,
    select_into,
    store_rows,
)
from simulators.compiled.rates import Rates, rates
from simulators.compiled.weights import DenseWeights, EventWeights
from simulators.labels import label
from simulators.linear import selection
from simulators.operations import Operation, Piece, Plan
from simulators.tallies import follows, is_graded
from simulators.trace import LayerTrace


class Step(Protocol):
    """What computes an operation; it finds its sources in the chunk and leaves its result there."""

    def run(self, chunk: Chunk) -> None:
        """Compute."""

    def trace(self, events: int, dense: int) -> LayerTrace | None:
        """How a layer was computed, given how many rows took each way; None for what is no layer."""


def step_of(op: Operation, plan: Plan, shapes: dict[str, Form]) -> Step:
    """The step of ``op``."""
    node = plan.graph.nodes.get(op.name)
    assert op.path != "join"  # its readers read what it joins
    if op.path == "window":
        return _Window(op, shapes)
    if isinstance(node, Attention):
        return _Attend(op, node, shapes)
    sums = Sums(op, plan, shapes)
    if isinstance(node, Neuron):
        return _Fire(op, plan, shapes, sums)
    return _Add(op, plan, shapes, sums)


def words_of(x: Array) -> NDArray[np.uint64]:
    """Rows of bytes as rows of 64-bit words."""
    return x.view(np.uint64)


def per_step(reached: NDArray[np.uint8], steps: int) -> Ints:
    """How many rows of each step are reached, (T,)."""
    return reached.reshape(-1, steps).sum(axis=0, dtype=np.int64)


class _Window:
    def __init__(self, op: Operation, shapes: dict[str, Form]) -> None:
        self.name, self.source, self.size = op.name, op.edges[0].source, op.window
        self.channels = shapes[self.source].channels

    def run(self, chunk: Chunk) -> None:
        out, tokens = chunk.take(self.name), chunk.tokens
        load_window(chunk.values[self.source], tokens.sample, tokens.token, self.channels, self.size, out)
        _count(chunk, self.name, out)

    def trace(self, events: int, dense: int) -> LayerTrace | None:
        return None


def _count(chunk: Chunk, name: str, x: Array) -> None:
    """Message units of a signal, unless they follow from its sources; messages that are not zero, where asked for."""
    plan, channels = chunk.plan, chunk.shapes[name].channels
    if not follows(plan, name):
        units, nonzero = chunk.zeros(channels), chunk.zeros(channels)
        count_messages(x, units, nonzero)
        chunk.tallies.units[name] = units if is_graded(plan.signals[name]) else nonzero
        chunk.tallies.nonzero[name] = nonzero
    elif name in chunk.needed:
        some = np.zeros((plan.steps, channels), np.uint32)
        count_nonzero(x, some)
        chunk.tallies.nonzero[name] = some.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Selected:
    """A linear that picks: ``sums[rows] += values * source[columns]``."""

    source: str
    rows: Ints
    columns: Ints
    values: Ints
    reaching: Ints  # columns with a weight

    def add_to(self, sums: Array, x: Array) -> None:
        """``sums[:, rows] += values * x[:, columns]``; in one vector loop where all three are ranges."""
        row, column, size = int(self.rows[0]), int(self.columns[0]), len(self.rows)
        steps = np.arange(size)
        is_range = np.array_equal(self.rows, row + steps) and np.array_equal(self.columns, column + steps)
        if is_range and (self.values == self.values[0]).all():
            add_slice(sums[:, : row + size], x, row, column, np.int32(self.values[0]))
        else:
            select_into(sums, x, self.rows, self.columns, self.values)

    @staticmethod
    def of(source: str, linear: TokenLinear) -> _Selected:
        chosen = selection(linear)
        assert chosen is not None  # the planner takes all others into the product
        return _Selected(
            source, chosen.rows, chosen.columns, np.rint(chosen.values).astype(np.int64), np.unique(chosen.columns)
        )


class Sums:
    """The edges into one node, added up.

    Attributes:
        is_product: nothing but one product.
        alone: the one signal that enters as it is, if nothing else does.
    """

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form]) -> None:
        self.op, self.shapes = op, shapes
        self.direct = [e.source for e in op.edges if e.linear is None]
        edges = {e.linear: e.source for e in op.edges if e.linear}
        self.picked = [_Selected.of(edges[name], plan.linear(name)) for name in op.selections]
        self.source = op.product.source if op.product else ""
        self.sources: tuple[str, ...] = ()
        if op.product:
            self.sources = shapes[self.source].sources or (self.source,)
            linears = [plan.linear(name) for name in op.product.linears]
            self.events = EventWeights(linears, shapes[self.source], op.bound)
            # float32 is exact for this layer, or the planner would have said float64
            self.dense = DenseWeights(linears, shapes[self.source]) if op.dtype == torch.float32 else None
        self.is_product = bool(op.product) and not self.direct and not self.picked
        self.alone = self.direct[0] if len(self.direct) == 1 and not op.product and not self.picked else ""

    def ways(self, events: int, dense: int) -> str:
        """Name of the product, for so many rows by each way."""
        if not self.source:
            return "-"
        by_event = f"events {self.events.rows.dtype}"
        if events and dense:
            return f"{by_event} ({events} rows), float32 ({dense} rows)"
        return "float32" if dense else by_event

    def listed(self, chunk: Chunk) -> tuple[Array, Ints]:
        """The product's source as lists of events, made once for all who read it."""
        if self.source not in chunk.lists:
            form = self.shapes[self.source]
            index = chunk.shelf.take(chunk.rows + 1, form.most, self.events.index_dtype)
            start = np.empty(chunk.rows + 1, np.int64)
            left, *others = [words_of(chunk.values[s]) for s in self.sources]
            right = np.concatenate([left[:, :0], *others], axis=1) if len(others) != 1 else others[0]
            modes, base, positions = self.events.modes, self.events.base, self.events.positions
            list_events(left, modes[0], right, modes[1], base, positions, index.reshape(-1), start)
            chunk.lists[self.source] = index, start
        index, start = chunk.lists[self.source]
        return index.reshape(-1), start

    def mark(self, chunk: Chunk, name: str, channels: int) -> None:
        """Count the active updates of the neurons ``name``: all of a token that an event reaches in a step."""
        reached = np.zeros(chunk.rows, np.uint8)
        if self.source:
            index, start = self.listed(chunk)
            mark_listed(index, start, self.events.reaches, reached)
        for picked in self.picked:
            mark_any(chunk.values[picked.source], picked.reaching, reached)
        for source in self.direct:
            mark_any(chunk.values[source], np.arange(self.shapes[source].channels), reached)
        chunk.tallies.active[name] = per_step(reached, chunk.plan.steps) * channels

    def dense_sums(self, chunk: Chunk) -> torch.Tensor:
        """The product by a dense matrix, float32 (rows, out); memory of the shelf's, to be given back as it is."""
        assert self.dense is not None
        operand, first = chunk.shelf.take(chunk.rows, self.dense.matrix.shape[0], np.float32), 0
        sums = np.empty((chunk.rows, self.dense.matrix.shape[1]), np.float32)
        for source in self.sources:
            x = chunk.values[source]
            np.copyto(operand[:, first : first + x.shape[1]], x)
            first += x.shape[1]
        torch.mm(torch.from_numpy(operand), self.dense.matrix, out=torch.from_numpy(sums))
        chunk.shelf.give(operand)
        return torch.from_numpy(sums)

    def total(self, chunk: Chunk, channels: int) -> Array:
        """All edges, int32 (rows, padded(channels)), to be given back to the shelf."""
        sums = chunk.shelf.take(chunk.rows, channels, np.int32)
        sums[:] = 0
        for source in self.direct:
            np.add(sums, chunk.values[source], out=sums, casting="unsafe")
        for picked in self.picked:
            picked.add_to(sums, chunk.values[picked.source])
        if self.source:
            add_events(self.events.rows, *self.listed(chunk), sums[:, :channels])
        return sums


class _Fire:
    """A neuron."""

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form], sums: Sums) -> None:
        self.name, self.sums, self.channels = op.name, sums, shapes[op.name].channels
        self.bound = op.bound
        self.is_literal, self.exponent = op.path == "integer", op.exponent
        self.theta = np.float32(op.theta)
        self.level = firing_threshold(op.theta, op.exponent) << INPUT_SHIFT
        self.is_recorded = op.name in plan.recorded
        self.rates: Rates | None = None
        if sums.is_product and sums.dense is not None:
            self.rates = rates(sums.events, sums.dense)

    def run(self, chunk: Chunk) -> None:
        self.sums.mark(chunk, self.name, self.channels)
        counts = np.zeros((chunk.plan.steps, self.channels), np.uint32)
        out = chunk.take(self.name)
        tail = (
            self.theta, self.level, self.exponent, self.is_literal, chunk.plan.steps, out, counts,
            chunk.tokens.sample, chunk.extremes(self.name),
        )  # fmt: skip
        if self.sums.is_product:
            self._product(chunk, tail)
        elif self.sums.alone:
            scan(chunk.values[self.sums.alone], *tail)
        else:
            total = self.sums.total(chunk, self.channels)
            scan(total, *tail)
            chunk.shelf.give(total)
        chunk.tallies.units[self.name] = counts.astype(np.int64)
        if chunk.record and self.is_recorded:
            _record(chunk, self.name)

    def _product(self, chunk: Chunk, tail: tuple[object, ...]) -> None:
        index, start = self.sums.listed(chunk)
        each = start[-1] / max(chunk.rows, 1)
        if self.rates is None or self.rates.prefers_events(each):
            fire_events(self.sums.events.rows, index, start, *tail)
            chunk.paths[self.name] = chunk.rows, 0
        else:
            scan(self.sums.dense_sums(chunk).numpy(), *tail)
            chunk.paths[self.name] = 0, chunk.rows

    def trace(self, events: int, dense: int) -> LayerTrace | None:
        """Which product, and whether the floating-point neuron was proved equal."""
        limit = current_limit(self.exponent)
        within = f"sums up to {self.bound:g}, the proof needs {limit:g}"
        ways = self.sums.ways(events, dense)
        if self.rates:
            within += f"; {self.rates.break_even:.0f} events a row cost what a dense row costs"
        return LayerTrace(label(self.name), ways, "literal" if self.is_literal else "exact", within)


def _record(chunk: Chunk, name: str) -> None:
    form, graph = chunk.shapes[name], chunk.plan.graph
    grid = np.zeros((chunk.samples, chunk.plan.steps, form.channels, chunk.plan.signals[name].tokens), np.uint8)
    store_rows(chunk.values[name], chunk.tokens.sample, chunk.tokens.token, grid)
    chunk.spikes[name] = grid.view(np.bool_)
    assert name in graph.nodes


class _Add:
    """A junction or the output: sums without a neuron."""

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form], sums: Sums) -> None:
        self.name, self.sums, self.form = op.name, sums, shapes[op.name]
        self.is_output, self.is_read = op.name == plan.graph.output, op.name in plan.uses
        self.is_plain = bool(sums.direct) and not sums.source and not sums.picked

    def run(self, chunk: Chunk) -> None:
        out = chunk.take(self.name)
        if self.is_plain:
            first, *others = (chunk.values[s] for s in self.sums.direct)
            if others:
                np.add(first, others[0], out=out, casting="unsafe")
            else:
                np.copyto(out, first, casting="unsafe")
            for other in others[1:]:
                np.add(out, other, out=out, casting="unsafe")
        else:
            total = self.sums.total(chunk, self.form.channels)
            np.copyto(out, total, casting="unsafe")
            chunk.shelf.give(total)
        if self.is_output:
            shape = (chunk.samples, chunk.plan.steps, self.form.channels, chunk.plan.signals[self.name].tokens)
            chunk.logits = np.zeros(shape, np.int64)
            store_rows(out, chunk.tokens.sample, chunk.tokens.token, chunk.logits)
        if self.is_read:
            _count(chunk, self.name, out)

    def trace(self, events: int, dense: int) -> LayerTrace | None:
        """Of sums that a linear makes: the output's."""
        if not self.sums.source:
            return None
        return LayerTrace(label(self.name), self.sums.ways(1, 0), "-", f"sums up to {self.sums.op.bound:g}")


class _Attend:
    """Attention of either kind on packed spikes."""

    def __init__(self, op: Operation, node: Attention, shapes: dict[str, Form]) -> None:
        self.name, self.node, self.parts = op.name, node, op.parts
        self.counter = np.uint8 if node.tokens <= 255 else np.uint32  # K^T V counts tokens

    def run(self, chunk: Chunk) -> None:
        node, steps = self.node, chunk.plan.steps
        q, k, v = (self._part(chunk, pieces, node.width) for pieces in self.parts[:3])
        out, pairs = chunk.take(self.name), np.zeros(steps, np.int64)
        if node.kind == "ssa":
            units, nonzero = chunk.zeros(node.width), chunk.zeros(node.width)
            scratch = np.zeros((q.shape[1], node.width // node.heads), self.counter)
            ssa(words_of(q), words_of(k), v, chunk.tokens.first, node.heads, scratch, steps, out, units, nonzero, pairs)
            chunk.tallies.nonzero[self.name] = nonzero
        else:
            counts = np.zeros((steps, node.width), np.uint32)
            valid = self._part(chunk, self.parts[3], 1)
            sdsa(q, k, v, valid, chunk.tokens.first, node.threshold, steps, out, counts, pairs)
            units = counts.astype(np.int64)
            reached = np.zeros(chunk.rows, np.uint8)
            for part in (valid, q, k, v):  # the valid spike of a token reaches all its channels
                mark_any(part, np.arange(1 if part is valid else node.width), reached)
            chunk.tallies.active[self.name] = per_step(reached, steps) * node.width
        chunk.tallies.units[self.name], chunk.tallies.pairs[self.name] = units, pairs
        if chunk.record and self.name in chunk.plan.recorded:
            _record(chunk, self.name)

    def _part(self, chunk: Chunk, pieces: tuple[Piece, ...], width: int) -> Array:
        """One part of a packed signal, uint8 (rows, padded(width)); the signal itself where it is one in order."""
        if len(pieces) == 1:
            source = chunk.values[pieces[0].source]
            channels = chunk.shapes[pieces[0].source].channels
            order = np.arange(width)
            if channels == width and np.array_equal(pieces[0].rows, order) and np.array_equal(pieces[0].columns, order):
                return source
        part = np.zeros((chunk.rows, -(-width // WORD) * WORD), np.uint8)
        for piece in pieces:
            part[:, piece.rows] += chunk.values[piece.source][:, piece.columns].astype(np.uint8)
        return part

    def trace(self, events: int, dense: int) -> LayerTrace | None:
        return None
