"""The operations of a plan made ready to run on a chunk."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from exporters.nir.graph import Attention, Neuron
from simulators.compiled.attend import Attend
from simulators.compiled.chunk import Chunk
from simulators.compiled.fire import FireProduct, FireSums
from simulators.compiled.forms import Form
from simulators.compiled.keep import count
from simulators.compiled.kernels.rows import load_window, store_rows
from simulators.compiled.sums import Sums
from simulators.labels import label
from simulators.operations import Operation, Plan
from simulators.trace import LayerTrace


class Step(Protocol):
    """What computes an operation, or several; it finds its sources in the chunk and leaves its results there."""

    def run(self, chunk: Chunk) -> None:
        """Compute."""

    def trace(self, name: str, events: int, dense: int) -> LayerTrace | None:
        """How the layer ``name`` was computed, given how many rows went each way; None for what is no layer."""


def steps_of(plan: Plan, shapes: dict[str, Form]) -> list[tuple[Operation, Step, bool]]:
    """Each operation with the step that computes it, and whether it is the first of the step's."""
    steps: list[tuple[Operation, Step, bool]] = []
    together = _siblings(plan)
    made: dict[str, Step] = {}
    for op in plan.operations:
        if op.path == "join":  # its readers read what it joins
            continue
        if op.name in made:
            steps.append((op, made[op.name], False))
            continue
        group = together.get(op.name, [op])
        step = _step(group, plan, shapes)
        made |= {other.name: step for other in group}
        steps.append((op, step, True))
    return steps


def _siblings(plan: Plan) -> dict[str, list[Operation]]:
    """Neurons that nothing but a product of one source drives, with the others of that source, size and arithmetic."""
    groups: dict[tuple[str, str, int], list[Operation]] = {}
    for op in plan.operations:
        alone = op.product and len(op.edges) == len(op.product.linears)
        if op.product and alone and isinstance(plan.graph.nodes[op.name], Neuron):
            groups.setdefault((op.product.source, op.path, plan.signals[op.name].channels), []).append(op)
    return {op.name: group for group in groups.values() for op in group}


def _step(group: list[Operation], plan: Plan, shapes: dict[str, Form]) -> Step:
    op = group[0]
    node = plan.graph.nodes.get(op.name)
    if op.path == "window":
        return Window(op, shapes)
    if isinstance(node, Attention):
        return Attend(op, node, shapes)
    if not isinstance(node, Neuron):
        return Add(op, plan, shapes)
    if op.product and len(op.edges) == len(op.product.linears):
        return FireProduct(group, plan, shapes)
    return FireSums(op, plan, shapes)


class Window:
    """Each token's channels beside those of the next ones."""

    def __init__(self, op: Operation, shapes: dict[str, Form]) -> None:
        self.name, self.source, self.size = op.name, op.edges[0].source, op.window
        self.channels = shapes[self.source].channels

    def run(self, chunk: Chunk) -> None:
        """Copy and count."""
        out, tokens = chunk.take([self.name])[0], chunk.tokens
        load_window(chunk.values[self.source], tokens.sample, tokens.token, self.channels, self.size, out)
        count(chunk, self.name, out)

    def trace(self, name: str, events: int, dense: int) -> None:
        """No layer."""


class Add:
    """A junction or the output: sums without a neuron."""

    def __init__(self, op: Operation, plan: Plan, shapes: dict[str, Form]) -> None:
        self.name, self.form, self.bound = op.name, shapes[op.name], op.bound
        self.sums = Sums(op, plan, shapes)
        self.is_output, self.is_read = op.name == plan.graph.output, op.name in plan.uses
        self.is_plain = bool(self.sums.direct) and not self.sums.product and not self.sums.picked

    def run(self, chunk: Chunk) -> None:
        """Add up; keep the logits; count."""
        out = chunk.take([self.name])[0]
        if self.is_plain:
            first, *others = (chunk.values[s] for s in self.sums.direct)
            np.copyto(out, first, casting="unsafe")
            for other in others:
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
            count(chunk, self.name, out)

    def trace(self, name: str, events: int, dense: int) -> LayerTrace | None:
        """Of sums that a linear makes: the output's."""
        if not self.sums.product:
            return None
        return LayerTrace(label(name), self.sums.product.ways(1, 0), "-", f"sums up to {self.bound:g}")
