"""Neurons: of one node, or of several whose products read the same source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulators.arithmetic import INPUT_SHIFT, current_limit, firing_threshold
from simulators.compiled.chunk import Chunk
from simulators.compiled.forms import Array, Form
from simulators.compiled.keep import per_step, record
from simulators.compiled.kernels.events import fire_events
from simulators.compiled.kernels.listing import mark_listed
from simulators.compiled.kernels.neuron import scan
from simulators.compiled.product import Product
from simulators.compiled.rates import Rates
from simulators.compiled.sums import Sums
from simulators.labels import label
from simulators.operations import Operation, Plan
from simulators.trace import LayerTrace


@dataclass(frozen=True)
class Firing:
    """What the neurons of one node are.

    Attributes:
        theta: integer threshold.
        level, exponent: what Lava's membrane must exceed, and the weight exponent.
        is_literal: in Loihi 2's integers, for float32 was not proved equal.
        bound: largest sum.
    """

    name: str
    channels: int
    theta: int
    level: int
    exponent: int
    is_literal: bool
    bound: float

    @staticmethod
    def of(op: Operation, shapes: dict[str, Form]) -> Firing:
        """The neurons of ``op``."""
        level = firing_threshold(op.theta, op.exponent) << INPUT_SHIFT
        channels = shapes[op.name].channels
        return Firing(op.name, channels, op.theta, level, op.exponent, op.path == "integer", op.bound)

    def trace(self, ways: str, break_even: float | None) -> LayerTrace:
        """Which product, and whether the floating-point neuron was proved equal."""
        why = f"sums up to {self.bound:g}, the proof needs {current_limit(self.exponent):g}"
        if break_even is not None:
            why += f"; {break_even:.0f} events a row cost what a dense row costs"
        return LayerTrace(label(self.name), ways, "literal" if self.is_literal else "exact", why)


class Neurons:
    """Nodes of equal size and arithmetic, side by side, as kernels take them."""

    def __init__(self, firings: Sequence[Firing]) -> None:
        self.firings, self.names = firings, [f.name for f in firings]
        self.channels, self.is_literal = firings[0].channels, firings[0].is_literal
        self.theta = np.array([f.theta for f in firings], np.float32)
        self.level = np.array([f.level for f in firings])
        self.exponent = np.array([f.exponent for f in firings])

    def arguments(self, chunk: Chunk) -> tuple[Any, ...]:
        """From ``steps`` on, what ``scan`` and ``fire_events`` take; the spikes go to memory of the nodes'."""
        steps = chunk.plan.steps
        counts = np.zeros((len(self.names), steps, self.channels), np.uint32)
        tail = (chunk.take(self.names), counts, chunk.tokens.sample, chunk.extremes(self.names))
        return (steps, self.theta, self.level, self.exponent, self.is_literal, *tail)

    def keep(self, chunk: Chunk, arguments: tuple[Any, ...], reached: Array) -> None:
        """Note what was counted: the active updates of rows that an event ``reached`` (nodes, rows), and the spikes."""
        for firing, counts, rows in zip(self.firings, arguments[6], reached, strict=True):
            chunk.tallies.units[firing.name] = counts.astype(np.int64)
            chunk.tallies.active[firing.name] = per_step(rows, chunk.plan.steps) * firing.channels
            if chunk.record and firing.name in chunk.plan.recorded:
                record(chunk, firing.name)


class FireProduct:
    """Nodes that one product alone drives."""

    def __init__(self, ops: Sequence[Operation], plan: Plan, shapes: dict[str, Form]) -> None:
        self.neurons = Neurons([Firing.of(op, shapes) for op in ops])
        self.product = Product(ops, plan, shapes)
        self.rates: Rates | None = None

    def measure(self, may_reduce: bool) -> None:
        """Time both ways to multiply; see :meth:`Product.measure`."""
        self.rates = self.product.measure(may_reduce)

    def run(self, chunk: Chunk) -> None:
        """By whichever way the number of events makes faster."""
        product, arguments = self.product, self.neurons.arguments(chunk)
        index, start = product.listed(chunk)
        by_event = self.rates is None or self.rates.prefers_events(start[-1] / max(chunk.rows, 1))
        if by_event:
            fire_events(product.events.rows, index, start, *arguments)
        else:
            sums = product.multiply(chunk)
            scan(sums, 0, *arguments)
            chunk.shelf.give(sums)
        for firing in self.neurons.firings:
            chunk.paths[firing.name] = (chunk.rows, 0) if by_event else (0, chunk.rows)
        reached = np.zeros((len(self.neurons.firings), chunk.rows), np.uint8)
        for node, reaches in enumerate(product.events.reaches):
            mark_listed(index, start, reaches, reached[node])
        self.neurons.keep(chunk, arguments, reached)

    def trace(self, name: str, events: int, dense: int) -> LayerTrace:
        """Of the node ``name``."""
        firing = next(f for f in self.neurons.firings if f.name == name)
        return firing.trace(self.product.ways(events, dense), self.rates.break_even if self.rates else None)


class FireSums:
    """One node that other sums drive."""

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form]) -> None:
        self.neurons, self.sums = Neurons([Firing.of(op, shapes)]), Sums(op, plan, shapes)

    def run(self, chunk: Chunk) -> None:
        """Add up, unless there is one signal alone; scan."""
        sums, arguments = self.sums, self.neurons.arguments(chunk)
        total = chunk.values[sums.alone] if sums.alone else sums.total(chunk, self.neurons.channels)
        scan(total, 0, *arguments)
        if not sums.alone:
            chunk.shelf.give(total)
        self.neurons.keep(chunk, arguments, sums.reached(chunk)[None])

    def trace(self, name: str, events: int, dense: int) -> LayerTrace:
        """Of the node."""
        return self.neurons.firings[0].trace(self.sums.product.ways(1, 0) if self.sums.product else "-", None)
