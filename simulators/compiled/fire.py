"""Neurons: of one node, or of several whose products read the same source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.arithmetic import INPUT_SHIFT, current_limit, firing_threshold
from simulators.compiled.chunk import Chunk
from simulators.compiled.forms import Form
from simulators.compiled.keep import per_step, record
from simulators.compiled.kernels.events import fire_events
from simulators.compiled.kernels.listing import mark_listed
from simulators.compiled.kernels.neuron import scan
from simulators.compiled.product import Product
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

    def keep(self, chunk: Chunk, counts: np.ndarray, reached: np.ndarray) -> None:
        """Note what was counted, and the spikes where they are recorded."""
        chunk.tallies.units[self.name] = counts.astype(np.int64)
        chunk.tallies.active[self.name] = per_step(reached, chunk.plan.steps) * self.channels
        if chunk.record and self.name in chunk.plan.recorded:
            record(chunk, self.name)

    def trace(self, ways: str, break_even: float | None) -> LayerTrace:
        """Which product, and whether the floating-point neuron was proved equal."""
        why = f"sums up to {self.bound:g}, the proof needs {current_limit(self.exponent):g}"
        if break_even is not None:
            why += f"; {break_even:.0f} events a row cost what a dense row costs"
        return LayerTrace(label(self.name), ways, "literal" if self.is_literal else "exact", why)


class FireProduct:
    """Nodes that one product alone drives."""

    def __init__(self, ops: Sequence[Operation], plan: Plan, shapes: dict[str, Form]) -> None:
        self.firings = [Firing.of(op, shapes) for op in ops]
        self.product, self.is_literal = Product(ops, plan, shapes), self.firings[0].is_literal
        self.theta = np.array([f.theta for f in self.firings], np.float32)
        self.level, self.exponent = (np.array([getattr(f, n) for f in self.firings]) for n in ("level", "exponent"))
        self.rates = self.product.measure()

    def run(self, chunk: Chunk) -> None:
        """By whichever way the number of events makes faster."""
        product, plan = self.product, chunk.plan
        index, start = product.listed(chunk)
        outs = tuple(chunk.take(f.name) for f in self.firings)
        counts = tuple(np.zeros((plan.steps, f.channels), np.uint32) for f in self.firings)
        extremes = tuple(chunk.extremes(f.name) for f in self.firings)
        by_event = self.rates is None or self.rates.prefers_events(start[-1] / max(chunk.rows, 1))
        if by_event:
            fire_events(
                product.events.rows, index, start, plan.steps, product.first, self.theta, self.level, self.exponent,
                self.is_literal, outs, counts, chunk.tokens.sample, extremes,
            )  # fmt: skip
        else:
            sums = product.multiply(chunk)
            for i, first in enumerate(product.first):
                scan(
                    sums, first, plan.steps, self.theta[i], self.level[i], self.exponent[i],
                    self.is_literal, outs[i], counts[i], chunk.tokens.sample, extremes[i],
                )  # fmt: skip
            chunk.shelf.give(sums)
        for firing, count in zip(self.firings, counts, strict=True):
            reached = np.zeros(chunk.rows, np.uint8)
            mark_listed(index, start, product.events.reaches, reached)
            firing.keep(chunk, count, reached)
            chunk.paths[firing.name] = (chunk.rows, 0) if by_event else (0, chunk.rows)

    def trace(self, name: str, events: int, dense: int) -> LayerTrace:
        """Of the node ``name``."""
        firing = next(f for f in self.firings if f.name == name)
        return firing.trace(self.product.ways(events, dense), self.rates.break_even if self.rates else None)


class FireSums:
    """One node that other sums drive."""

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form]) -> None:
        self.firing, self.sums = Firing.of(op, shapes), Sums(op, plan, shapes)

    def run(self, chunk: Chunk) -> None:
        """Add up, unless there is one signal alone; scan."""
        firing, sums = self.firing, self.sums
        out, counts = chunk.take(firing.name), np.zeros((chunk.plan.steps, firing.channels), np.uint32)
        total = chunk.values[sums.alone] if sums.alone else sums.total(chunk, firing.channels)
        scan(
            total, 0, chunk.plan.steps, np.float32(firing.theta), firing.level, firing.exponent, firing.is_literal,
            out, counts, chunk.tokens.sample, chunk.extremes(firing.name),
        )  # fmt: skip
        if not sums.alone:
            chunk.shelf.give(total)
        firing.keep(chunk, counts, sums.reached(chunk))

    def trace(self, name: str, events: int, dense: int) -> LayerTrace:
        """Of the node."""
        return self.firing.trace(self.sums.product.ways(1, 0) if self.sums.product else "-", None)
