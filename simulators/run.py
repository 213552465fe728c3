"""Execution of a graph, layer by layer, all T steps of a batch at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from exporters.nir.graph import Attention, Graph, Input, Neuron, Pool
from simulators.activity import Activity
from simulators.arithmetic import INT32, lif_exact, lif_loihi2, lif_real
from simulators.count import Counter, label
from simulators.errors import GraphSimulationError
from simulators.kernels import sdsa, ssa
from simulators.linear import Dense, Selected, as_index, selection
from simulators.memory import Lender
from simulators.operations import Operation, Piece, Plan
from simulators.plan import plan

NEURON_PATHS = ("float32", "integer", "real")


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """What a run gives.

    Attributes:
        logits: (S, T, K, N), per token and step; int64 for ``loihi2``, float64 for ``real``.
        activity: exact counts over the whole run.
        paths: how each neuron was computed: ``float32`` (proved equal), ``integer`` or ``real``.
        spikes: per spiking layer, bool (S, T, C, N); filled where recording was asked for.
        currents: per neuron layer in order of execution, (S, 2) float64: the least and the largest input sum of
            each sample over steps, tokens and channels, 0 at the most and at the least; filled where asked for.
    """

    logits: Tensor
    activity: Activity
    paths: dict[str, str]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    currents: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def simulate(
    graph: Graph,
    inputs: Tensor | NDArray[np.bool_],
    *,
    arithmetic: str = "loihi2",
    batch_size: int = 64,
    device: torch.device | str | None = None,
    record: bool = False,
    currents: bool = False,
    count_updates: bool = False,
    expand_attention: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Run input spikes through a graph.

    Args:
        graph: typed NIR graph.
        inputs: spikes, bool (S, T, C, N); each sample starts from membranes at rest.
        arithmetic: ``"loihi2"``, the integer semantics of Lava's ``fixed_pt`` models, or ``"real"``, NIR's
            equations on the stored parameters in float64.
        batch_size: samples held at a time; the result does not depend on it.
        device: CUDA where present by default, else CPU.
        record: keep the spikes of every layer.
        currents: keep the extreme input sums of every neuron layer, before any wrap: what a calibrated bound is
            taken from. A layer behind one that leaves its range has the sums that its wrapped spikes give.
        count_updates: count active updates per neuron instead of per token (a second product per layer).
        expand_attention: run attention bodies, primitive by primitive, instead of kernels (``real``).
        progress: called with samples done and samples in all after each batch.

    Raises:
        GraphSimulationError: for a graph or inputs that cannot be run.
    """
    spikes = _checked(graph, inputs, batch_size)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    prepared = plan(graph, spikes.shape[1], arithmetic, expand_attention)
    run = _Run(prepared, where, Counter(prepared, where, count_updates), record, currents)
    logits, recorded, sums = [], [], []
    for start in range(0, len(spikes), batch_size):
        batch = run.batch(spikes[start : start + batch_size].to(where))
        logits.append(batch.logits)
        recorded.append(batch.recorded)
        sums.append(batch.currents)
        if progress:
            progress(min(start + batch_size, len(spikes)), len(spikes))
    return SimulationResult(
        torch.cat(logits),
        run.counter.activity(len(spikes)),
        {label(op.name): op.path for op in prepared.operations if op.path in NEURON_PATHS},
        {name: torch.cat([part[name] for part in recorded]) for name in recorded[0]},
        {name: torch.cat([part[name] for part in sums]) for name in sums[0]},
    )


def _checked(graph: Graph, inputs: Tensor | NDArray[np.bool_], batch_size: int) -> Tensor:
    spikes = torch.as_tensor(inputs)
    node = graph.nodes[graph.input]
    assert isinstance(node, Input)
    channels, _, tokens = node.shape
    if spikes.dtype != torch.bool:
        raise GraphSimulationError(f"inputs of type {spikes.dtype}: spikes are bool; compare with 0 first")
    if spikes.ndim != 4 or spikes.shape[2:] != (channels, tokens) or 0 in spikes.shape[:2]:
        raise GraphSimulationError(
            f"inputs of shape {tuple(spikes.shape)}: the graph takes (samples, steps, {channels}, {tokens}), "
            "at least one sample and step; encode the texts for this graph"
        )
    if batch_size < 1:
        raise GraphSimulationError(f"batch_size {batch_size}: at least 1 is needed; choose a larger one")
    return spikes


class _Rows:
    """Where the rows of a signal (T, R, C) lie in the grid (T, B, N, C).

    Tokens without any input spike are left out of an integer run: without bias currents they are
    silent in every layer, so leaving them out is exact. A token within reach of one that does spike stays.
    """

    def __init__(self, x: Tensor, keep_silent: bool, reach: int) -> None:
        """``x`` is the input, bool (T, B, N, C); ``reach`` is how many tokens ahead an output depends on."""
        self.batch, self.tokens = x.shape[1], x.shape[2]
        own = x.any(dim=-1).any(dim=0)
        active = own.clone()
        for ahead in range(1, min(reach, self.tokens - 1) + 1):
            active[:, :-ahead] |= own[:, ahead:]
        active = active.flatten()
        self.kept: Tensor | None = None if keep_silent or bool(active.all()) else active.nonzero().squeeze(1)

    def from_grid(self, x: Tensor) -> Tensor:
        flat = x.flatten(1, 2)
        return flat if self.kept is None else flat[:, self.kept]

    def to_grid(self, x: Tensor) -> Tensor:
        if self.kept is None:
            return x.unflatten(1, (self.batch, -1))
        grid = x.new_zeros((x.shape[0], self.batch * self.tokens, x.shape[2]))
        grid[:, self.kept] = x
        return grid.unflatten(1, (self.batch, self.tokens))

    def window(self, x: Tensor, size: int) -> Tensor:
        """Each token's channels beside those of the next ``size - 1``, zero beyond the last slot."""
        grid, channels = self.to_grid(x), x.shape[2]
        wide = grid.new_zeros((*grid.shape[:3], size * channels))
        for ahead in range(min(size, self.tokens)):
            wide[:, :, : self.tokens - ahead, ahead * channels : (ahead + 1) * channels] = grid[:, :, ahead:]
        return self.from_grid(wide)


@dataclass
class _Batch:
    rows: _Rows
    values: dict[str, Tensor]
    left: dict[str, int]
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    recorded: dict[str, Tensor] = field(default_factory=dict)
    currents: dict[str, Tensor] = field(default_factory=dict)


class _Run:
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

    def batch(self, x: Tensor) -> _Batch:
        """Run one batch, (B, T, C, N) bool."""
        grid = x.permute(1, 0, 3, 2).contiguous()
        rows = _Rows(grid, keep_silent=self.plan.real, reach=self.plan.reach)
        signal = rows.from_grid(grid).to(self.resident)
        batch = _Batch(rows, {self.plan.graph.input: signal}, dict(self.plan.uses))
        self.counter.signal(self.plan.graph.input, signal)
        for op in self.plan.operations:
            batch.values[op.name] = self._execute(op, batch)
            if op.path != "join":
                self.counter.signal(op.name, batch.values[op.name])
            self._keep(op, batch)
            self._release(op, batch)
        return batch

    def _release(self, op: Operation, batch: _Batch) -> None:
        for source in op.reads:
            batch.left[source] -= 1
            if not batch.left[source]:
                self.memory.give(batch.values.pop(source))
        if not batch.left.get(op.name):  # nobody reads it: the output, or a dead end
            self.memory.give(batch.values.pop(op.name))

    def _keep(self, op: Operation, batch: _Batch) -> None:
        value = batch.values[op.name]
        if op.name == self.plan.graph.output:
            grid = batch.rows.to_grid(value).permute(1, 0, 3, 2)
            batch.logits = grid.to(torch.float64 if self.plan.real else torch.int64, copy=True).cpu()
        elif self.record and op.name in self.plan.recorded:
            grid = batch.rows.to_grid(value).permute(1, 0, 3, 2)
            batch.recorded[label(op.name)] = (grid != 0).cpu()

    def _execute(self, op: Operation, batch: _Batch) -> Tensor:
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
        return torch.cat(sources, dim=-1, out=self.memory.take(shape, self.resident))

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

    def _attention(self, op: Operation, node: Attention, batch: _Batch) -> Tensor:
        widths = [node.width] * 3 + [1]
        parts = [
            batch.rows.to_grid(self._part(pieces, width, batch.values)).to(op.dtype)
            for pieces, width in zip(op.parts, widths, strict=False)
        ]
        if node.kind == "ssa":
            out = ssa(parts[0], parts[1], parts[2], node.heads)
        else:
            out = sdsa(parts[0], parts[1], parts[2], parts[3], node.threshold)
        self.counter.attention(op.name, parts, out)
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
