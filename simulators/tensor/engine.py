"""Execution of a plan by torch's own operators, on any device: layer by layer, all T steps of a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from exporters.nir.graph import Attention, Neuron, Pool
from simulators.cuda.feed import feed
from simulators.engine import Outcome
from simulators.footprint import peak
from simulators.labels import label
from simulators.linear import Dense, Index, Selected, as_index, selection
from simulators.operations import Operation, Piece, Plan
from simulators.products import BFLOAT16_EXACT, reduced_precision
from simulators.tallies import Tallies
from simulators.tensor.attention import sdsa, ssa, token_counts
from simulators.tensor.bounds import bounds_of
from simulators.tensor.count import Counter
from simulators.tensor.grids import average, extremes
from simulators.tensor.layout import Layout
from simulators.tensor.memory import Lender
from simulators.tensor.neurons import by_operators, scans
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

    def to_host(self) -> Batch:
        """The same results in the CPU's memory."""
        self.logits = self.logits.cpu()
        self.recorded = {name: x.cpu() for name, x in self.recorded.items()}
        self.currents = {name: x.cpu() for name, x in self.currents.items()}
        return self


class TensorEngine:
    """A plan on a device."""

    def __init__(
        self,
        prepared: Plan,
        device: torch.device,
        counter: Counter,
        record: bool,
        currents: bool,
        layout: Layout | None = None,
    ) -> None:
        self.plan, self.device, self.counter, self.record, self.currents = prepared, device, counter, record, currents
        self.layout = layout or Layout.of(prepared, device)
        self.types = self.layout.types(prepared)
        self.memory = Lender(device)
        self.scans = scans(prepared, device) if self.layout.fused else {}
        self.dense: dict[str, Dense] = {}
        self.selected: dict[tuple[str, str], Selected] = {}
        self.pieces: dict[Piece, tuple[Index, Index]] = {}  # rows and columns; copied to the device once
        for op in prepared.operations:
            self._load(op)
        self.runner: Callable[[Tensor], Batch] = self.batch  # or what replays it, see simulators.cuda.graphs

    def _load(self, op: Operation) -> None:
        if op.product:
            nodes = [self.plan.linear(name) for name in op.product.linears]
            joined = op.product.source not in self.plan.signals
            self.dense[op.name] = Dense(
                nodes, op.dtype, self.device, bounds_of(op, self.plan), self.layout.aligned if joined else 1
            )
        for name in op.selections:
            node = self.plan.linear(name)
            if chosen := selection(node):
                self.selected[op.name, name] = Selected(chosen, op.dtype, self.device)
        for piece in (piece for part in op.parts for piece in part):
            self.pieces[piece] = as_index(piece.rows, self.device), as_index(piece.columns, self.device)

    @property
    def sample_bytes(self) -> int:
        """Most memory that one sample's signals take."""
        plan = self.plan

        def size(name: str) -> int:
            op = plan.by_name.get(name)
            if op and op.path == "join":
                return sum(size(edge.source) for edge in op.edges)
            signal = plan.signals[name]
            return torch.finfo(self.types[name]).bits // 8 * signal.channels * signal.tokens

        def scratch(op: Operation) -> int:  # sums in their own type, parts of an attention as grids
            return 2 * 8 * plan.signals[op.name].channels * plan.signals[op.name].tokens if op.path != "join" else 0

        return plan.steps * peak(plan.operations, plan.graph.input, lambda op: op.reads, size, scratch)

    def batches(self, spikes: Tensor, size: int) -> Iterator[Tensor]:
        """Batches on the device; the next one is copied there while one runs."""
        return feed(spikes, size, self.device)

    def run(self, inputs: Tensor) -> Outcome:
        """One batch; see :class:`simulators.engine.Engine`."""
        batch = self.runner(inputs)
        return Outcome(batch.logits, batch.recorded, batch.currents)

    def reset(self) -> None:
        """Forget what was counted."""
        self.counter.reset()

    def tallies(self) -> Tallies:
        """Counts of all batches so far."""
        return self.counter.tallies()

    def trace(self) -> tuple[LayerTrace, ...]:
        """How each layer was computed in the last batch."""
        layers = []
        for op in self.plan.operations:
            if op.product or isinstance(self.plan.graph.nodes.get(op.name), Neuron):
                product = self.dense[op.name].path if op.product else "-"
                neuron = {"float32": "exact", "integer": "literal", "real": "real"}.get(op.path, "-")
                layers.append(LayerTrace(label(op.name), product, neuron, f"sums up to {op.bound:g}"))
        return tuple(layers)

    def close(self) -> None:
        """Nothing is kept beyond the engine's own life."""

    def batch(self, x: Tensor, pack: bool = True) -> Batch:
        """Run one batch, (B, T, C, N) bool; the results are in the CPU's memory."""
        return self.forward(x, pack).to_host()

    def forward(self, x: Tensor, pack: bool) -> Batch:
        """Run one batch, (B, T, C, N) bool on the device, where the results stay.

        With ``pack``, silent tokens are left out (which reads the input on the host); without, and while the
        counter may not ask, what runs does not depend on the values of ``x``: a CUDA graph can hold it.
        """
        grid = x.permute(1, 0, 3, 2).contiguous()
        rows = Rows(grid, keep_silent=self.plan.real or not pack, reach=self.plan.reach)
        entry = self.plan.graph.input
        batch = Batch(rows, {entry: rows.from_grid(grid).to(self.types[entry])}, dict(self.plan.uses))
        self.counter.signal(entry, batch.values[entry])
        for op in self.plan.operations:
            batch.values[op.name] = self._execute(op, batch)
            if op.path != "join" and op.name not in self.scans:  # a scan has counted its spikes itself
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
            batch.logits = grid.to(torch.float64 if self.plan.real else torch.int64, copy=True)
        elif self.record and op.name in self.plan.recorded:
            grid = batch.rows.to_grid(value).permute(1, 0, 3, 2)
            batch.recorded[label(op.name)] = grid != 0

    def _execute(self, op: Operation, batch: Batch) -> Tensor:
        node = self.plan.graph.nodes.get(op.name)
        if op.path == "join":
            return self._join([batch.values[e.source] for e in op.edges], self.types[op.name])
        if op.path == "window":
            return batch.rows.window(batch.values[op.edges[0].source], op.window)
        if isinstance(node, Attention):
            return self._attention(op, node, batch)
        if isinstance(node, Neuron):
            self.counter.updates(op, batch.values)
            return self._scan(op, batch) if op.name in self.scans else self._neuron(op, node, batch)
        total = self._sum(op, batch.values)
        if isinstance(node, Pool) and op.path == "pool":
            pooled = average(node, batch.rows.to_grid(total))
            self.memory.give(total)
            return pooled
        return total

    def _join(self, sources: list[Tensor], dtype: torch.dtype) -> Tensor:
        channels = sum(s.shape[-1] for s in sources)
        wide = channels + -channels % self.layout.aligned
        joint = self.memory.take((*sources[0].shape[:2], wide), dtype)
        torch.cat(sources, dim=-1, out=joint[..., :channels])
        joint[..., channels:] = 0
        return joint

    def _sum(self, op: Operation, values: dict[str, Tensor], signals: list[Tensor] | None = None) -> Tensor:
        """The edges into ``op`` added up, (T, R, C), exact and in memory of its own; of those without a linear
        the ``signals``, by default all.
        """
        first = values[op.reads[0]]
        dtype = self.types[op.name] if op.path == "sum" else op.dtype
        total = self.memory.take((*first.shape[:2], self.plan.entering[op.name].channels), dtype)
        signals = _bare(op, values) if signals is None else signals
        if op.product:
            self.dense[op.name].write(total, values[op.product.source])
        else:
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

    def _neuron(self, op: Operation, node: Neuron, batch: Batch) -> Tensor:
        """Sum and spikes one after the other."""
        total = self._whole(op, batch)
        spikes = by_operators(op, node, total)
        if spikes is total and total.dtype == self.types[op.name]:
            return total
        self.memory.give(total)
        return spikes.to(self.types[op.name])

    def _whole(self, op: Operation, batch: Batch) -> Tensor:
        """The sum into a neuron, its extremes kept where asked for."""
        total = self._sum(op, batch.values)
        if self.currents:
            batch.currents[label(op.name)] = extremes(batch.rows.to_grid(total))
        return total

    def _scan(self, op: Operation, batch: Batch) -> Tensor:
        """Spikes in one kernel, which counts them, and adds the last summand itself unless the extremes of the whole
        are asked for.
        """
        bare = _bare(op, batch.values)
        if self.currents:
            total, rest = self._whole(op, batch), []
        elif len(op.edges) == len(bare) <= 2:  # no linear: nothing to add up before
            total, rest = None, bare
        else:
            rest = [bare.pop()] if len(bare) == 1 else []
            total = self._sum(op, batch.values, bare)
        summands = rest if total is None else [total, *rest]
        dtype = self.types[op.name]
        in_place = total is not None and total.dtype == dtype
        out = total if total is not None and in_place else self.memory.take(tuple(summands[0].shape), dtype)
        self.scans[op.name].run(
            summands[0], summands[1] if len(summands) > 1 else None, out, self.counter.spikes(op.name)
        )
        if total is not None and not in_place:
            self.memory.give(total)
        return out

    def _attention(self, op: Operation, node: Attention, batch: Batch) -> Tensor:
        widths = [node.width] * 3 + [1]
        parts = [
            batch.rows.to_grid(self._part(pieces, width, batch.values)).to(op.dtype)
            for pieces, width in zip(op.parts, widths, strict=False)
        ]
        counts: Tensor | None = None
        if node.kind == "ssa":
            with self._kernel_precision(node):
                counts = token_counts(parts[1], parts[2], node.heads)
                out = ssa(parts[0], counts)
        else:
            out = sdsa(parts[0], parts[1], parts[2], parts[3], node.threshold)
        self.counter.attention(op.name, parts, counts)
        return batch.rows.from_grid(out).to(self.types[op.name])

    def _kernel_precision(self, node: Attention) -> AbstractContextManager[None]:
        """Operands of ``ssa`` are spikes and counts of up to N tokens: on CUDA in TF32 where it holds those."""
        fits = self.device.type == "cuda" and not self.plan.real and node.tokens <= BFLOAT16_EXACT
        return reduced_precision() if fits else nullcontext()

    def _part(self, pieces: tuple[Piece, ...], width: int, values: dict[str, Tensor]) -> Tensor:
        """One part of a packed signal, (T, R, width); a view where one signal makes it up in order."""
        if len(pieces) == 1 and np.array_equal(pieces[0].rows, np.arange(width)):
            return values[pieces[0].source][..., self.pieces[pieces[0]][1]]
        some = values[pieces[0].source] if pieces else next(iter(values.values()))
        part = some.new_zeros((*some.shape[:2], width))
        for piece in pieces:
            rows, columns = self.pieces[piece]
            part[..., rows] += values[piece.source][..., columns]
        return part


def _bare(op: Operation, values: dict[str, Tensor]) -> list[Tensor]:
    """The signals that enter as they are."""
    return [values[edge.source] for edge in op.edges if edge.linear is None]
