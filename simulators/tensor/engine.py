"""Execution of a plan by torch's own operators, on any device: layer by layer, all T steps of a batch at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from exporters.nir.graph import Attention, Neuron, Pool
from simulators.arithmetic import INT32, lif_exact, lif_loihi2, lif_real
from simulators.engine import Outcome
from simulators.footprint import peak
from simulators.labels import label
from simulators.linear import Dense, Selected, as_index, selection
from simulators.operations import Operation, Piece, Plan
from simulators.tallies import Tallies
from simulators.tensor.attention import sdsa, ssa
from simulators.tensor.count import Counter
from simulators.tensor.memory import Lender
from simulators.tensor.rows import Rows
from simulators.trace import LayerTrace


@dataclass
class Batch:
    """One batch under way: signals that are still read, and what is kept of it."""

    rows: Rows
    values: dict[str, Tensor]
    left: dict[str, int]
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    recorded: dict[str, Tensor] = field(default_factory=dict)
    currents: dict[str, Tensor] = field(default_factory=dict)


class TensorEngine:
    """A plan on a device."""

    def __init__(self, prepared: Plan, device: torch.device, counter: Counter, record: bool, currents: bool) -> None:
        self.plan, self.device, self.counter, self.record, self.currents = prepared, device, counter, record, currents
        self.resident = torch.float64 if prepared.real else torch.float32
        self.memory = Lender(device)
        self.dense: dict[str, Dense] = {}
        self.selected: dict[tuple[str, str], Selected] = {}
        for op in prepared.operations:
            self._load(op)

    def _load(self, op: Operation) -> None:
        if op.product:
            nodes = [self.plan.linear(name) for name in op.product.linears]
            self.dense[op.name] = Dense(nodes, op.dtype, self.device)
        for name in op.selections:
            node = self.plan.linear(name)
            if chosen := selection(node):
                self.selected[op.name, name] = Selected(chosen, op.dtype, self.device)

    @property
    def sample_bytes(self) -> int:
        """Most memory that one sample's signals take."""
        plan, item = self.plan, torch.finfo(self.resident).bits // 8

        def size(name: str) -> int:
            op = plan.by_name.get(name)
            if op and op.path == "join":
                return sum(size(edge.source) for edge in op.edges)
            signal = plan.signals[name]
            return item * signal.channels * signal.tokens

        def scratch(op: Operation) -> int:  # sums in their own type, parts of an attention as grids
            return 2 * 8 * plan.signals[op.name].channels * plan.signals[op.name].tokens if op.path != "join" else 0

        return plan.steps * peak(plan.operations, plan.graph.input, lambda op: op.reads, size, scratch)

    def run(self, inputs: Tensor) -> Outcome:
        """One batch; see :class:`simulators.engine.Engine`."""
        batch = self.batch(inputs.to(self.device))
        return Outcome(batch.logits, batch.recorded, batch.currents)

    def reset(self) -> None:
        """Forget what was counted."""
        self.counter = Counter(self.plan, self.device, self.counter.per_neuron)

    def tallies(self) -> Tallies:
        """Counts of all batches so far."""
        return self.counter.tallies()

    def trace(self) -> tuple[LayerTrace, ...]:
        """How each layer is computed."""
        layers = []
        for op in self.plan.operations:
            if op.product or isinstance(self.plan.graph.nodes.get(op.name), Neuron):
                product = str(op.dtype).removeprefix("torch.") if op.product else "-"
                neuron = {"float32": "exact", "integer": "literal", "real": "real"}.get(op.path, "-")
                layers.append(LayerTrace(label(op.name), product, neuron, f"sums up to {op.bound:g}"))
        return tuple(layers)

    def close(self) -> None:
        """Nothing is kept beyond the engine's own life."""

    def batch(self, x: Tensor) -> Batch:
        """Run one batch, (B, T, C, N) bool."""
        grid = x.permute(1, 0, 3, 2).contiguous()
        rows = Rows(grid, keep_silent=self.plan.real, reach=self.plan.reach)
        signal = rows.from_grid(grid).to(self.resident)
        batch = Batch(rows, {self.plan.graph.input: signal}, dict(self.plan.uses))
        self.counter.signal(self.plan.graph.input, signal)
        for op in self.plan.operations:
            batch.values[op.name] = self._execute(op, batch)
            if op.path != "join":
                self.counter.signal(op.name, batch.values[op.name])
            self._keep(op, batch)
            self._release(op, batch)
        return batch

    def _release(self, op: Operation, batch: Batch) -> None:
        for source in op.reads:
            batch.left[source] -= 1
            if not batch.left[source]:
                self.memory.give(batch.values.pop(source))
        if not batch.left.get(op.name):  # nobody reads it: the output, or a dead end
            self.memory.give(batch.values.pop(op.name))

    def _keep(self, op: Operation, batch: Batch) -> None:
        value = batch.values[op.name]
        if op.name == self.plan.graph.output:
            grid = batch.rows.to_grid(value).permute(1, 0, 3, 2)
            batch.logits = grid.to(torch.float64 if self.plan.real else torch.int64, copy=True).cpu()
        elif self.record and op.name in self.plan.recorded:
            grid = batch.rows.to_grid(value).permute(1, 0, 3, 2)
            batch.recorded[label(op.name)] = (grid != 0).cpu()

    def _execute(self, op: Operation, batch: Batch) -> Tensor:
        node = self.plan.graph.nodes.get(op.name)
        if op.path == "join":
            return self._join([batch.values[e.source] for e in op.edges])
        if op.path == "window":
            return batch.rows.window(batch.values[op.edges[0].source], op.window)
        if isinstance(node, Attention):
            return self._attention(op, node, batch)
        if isinstance(node, Neuron):
            self.counter.updates(op, batch.values)
            total = self._sum(op, batch.values)
            if self.currents:
                batch.currents[label(op.name)] = _extremes(batch.rows.to_grid(total))
            return self._neuron(op, node, total)
        total = self._sum(op, batch.values)
        if isinstance(node, Pool) and op.path == "pool":
            pooled = _average(node, batch.rows.to_grid(total))
            self.memory.give(total)
            return pooled
        return total

    def _join(self, sources: list[Tensor]) -> Tensor:
        shape = (*sources[0].shape[:2], sum(s.shape[-1] for s in sources))
        dtype = reduce(torch.promote_types, (s.dtype for s in sources))  # messages beyond 2^24 are no float32
        return torch.cat(sources, dim=-1, out=self.memory.take(shape, dtype))

    def _sum(self, op: Operation, values: dict[str, Tensor]) -> Tensor:
        """The edges into ``op`` added up, (T, R, C), in its dtype and in memory of its own."""
        first = values[op.reads[0]]
        total = self.memory.take((*first.shape[:2], self.plan.entering[op.name].channels), op.dtype)
        if op.product:
            self.dense[op.name].write(total, values[op.product.source].to(op.dtype))
        signals = [values[e.source] for e in op.edges if e.linear is None]
        if not op.product:
            self._start(total, signals)
        for signal in signals:
            total.add_(signal)
        for edge in op.edges:
            if picked := self.selected.get((op.name, edge.linear or "")):
                picked.add_to(total, values[edge.source].to(op.dtype))
        return total

    def _start(self, total: Tensor, signals: list[Tensor]) -> None:
        """Fill ``total`` with as many signals as one pass takes, and strike those off the list."""
        if len(signals) > 1:
            torch.add(signals.pop(), signals.pop(), out=total)
        elif signals:
            total.copy_(signals.pop())
        else:
            total.zero_()

    def _neuron(self, op: Operation, node: Neuron, total: Tensor) -> Tensor:
        if op.path == "float32":
            return lif_exact(total, op.theta)
        if op.path == "real":
            spikes = lif_real(total, node.tau_steps, node.v_threshold)
        else:
            integers = total.to(torch.int32 if op.bound < INT32 else torch.int64)
            spikes = lif_loihi2(integers, op.theta, op.exponent).to(self.resident)
        self.memory.give(total)
        return spikes

    def _attention(self, op: Operation, node: Attention, batch: Batch) -> Tensor:
        widths = [node.width] * 3 + [1]
        parts = [
            batch.rows.to_grid(self._part(pieces, width, batch.values)).to(op.dtype)
            for pieces, width in zip(op.parts, widths, strict=False)
        ]
        if node.kind == "ssa":
            out = ssa(parts[0], parts[1], parts[2], node.heads)
        else:
            out = sdsa(parts[0], parts[1], parts[2], parts[3], node.threshold)
        self.counter.attention(op.name, parts)
        return batch.rows.from_grid(out).to(self.resident)

    def _part(self, pieces: tuple[Piece, ...], width: int, values: dict[str, Tensor]) -> Tensor:
        """One part of a packed signal, (T, R, width); a view where one signal makes it up in order."""
        if len(pieces) == 1 and np.array_equal(pieces[0].rows, np.arange(width)):
            return values[pieces[0].source][..., as_index(pieces[0].columns, self.device)]
        some = next(iter(values.values()))
        part = some.new_zeros((*some.shape[:2], width))
        for piece in pieces:
            chosen = values[piece.source][..., as_index(piece.columns, self.device)]
            part[..., as_index(piece.rows, self.device)] += chosen
        return part


def _extremes(grid: Tensor) -> Tensor:
    """Least (at most 0) and largest (at least 0) sum of each sample, (T, B, N, C) -> (B, 2), on the CPU."""
    low, high = grid.amin(dim=(0, 2, 3)).clamp_max(0), grid.amax(dim=(0, 2, 3)).clamp_min(0)
    return torch.stack([low, high], dim=1).double().cpu()


def _average(node: Pool, grid: Tensor) -> Tensor:
    """Average over (1, kernel) tokens, zeros of the padding counted, (T, B, N, C) -> (T, B * N', C)."""
    if node.kernel == 2 * grid.shape[2] - 1 and node.padding == grid.shape[2] - 1:
        mean = grid.sum(dim=2, keepdim=True) / node.kernel  # each window covers all tokens
        return mean.expand_as(grid).flatten(1, 2)
    steps = grid.shape[0]
    tokens_last = grid.flatten(0, 1).transpose(1, 2)
    pooled = functional.avg_pool1d(tokens_last, node.kernel, stride=1, padding=node.padding)
    return pooled.transpose(1, 2).unflatten(0, (steps, -1)).flatten(1, 2)
