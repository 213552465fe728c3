"""Activity of a run, counted on whole tensors while they are at hand.

Message units are summed per step and channel once per signal; each linear's synaptic operations follow at
the end as the product with its column counts. Sums are exact: float32 below 2^24, then float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from exporters.nir.graph import Attention
from simulators.arithmetic import FLOAT32_EXACT
from simulators.operations import Edge, Operation, Plan
from simulators.tallies import Tallies, follows, gate_kinds, is_graded, needs_nonzero
from simulators.tensor.attention import coincidences, is_open, ssa_gates

CACHED = 2**18  # elements that one pass takes at a time on a CPU, so that a second look at them finds them in cache


class Counter:
    """Fills :class:`Tallies` over batches.

    ``active`` by default counts all C neurons of a token that received at least one event in that step
    over any non-zero weight (with a bias from the valid train: every valid token). With ``per_neuron`` it
    counts the neurons that received one themselves, at the cost of a second product per layer.
    """

    def __init__(self, plan: Plan, device: torch.device, per_neuron: bool) -> None:
        self.plan, self.device, self.per_neuron = plan, device, per_neuron
        self.asks = True  # whether counting may wait for a value: not while a CUDA graph is captured
        self.counts: dict[tuple[str, str], Tensor] = {}  # per part of the tallies and node: int64, on the device
        self.nonzero = needs_nonzero(plan)
        self.fan_out: dict[str, Tensor] = {}  # per linear: non-zero weights of each column
        self.mask: dict[str, Tensor] = {}
        for op in plan.operations:
            for edge in op.edges:
                if edge.linear:
                    self._prepare(edge.linear)

    def _prepare(self, linear: str) -> None:
        mask = torch.as_tensor(self.plan.linear(linear).weight != 0, device=self.device)
        self.fan_out[linear] = mask.sum(dim=0)
        if self.per_neuron:
            self.mask[linear] = mask.t().float()

    def tallies(self) -> Tallies:
        """Everything counted so far."""
        result = Tallies()
        for (part, name), counts in self.counts.items():
            getattr(result, part)[name] = counts.cpu().numpy().copy()
        return result

    def reset(self) -> None:
        """Count from zero again, in the same memory: a captured run adds to it."""
        for counts in self.counts.values():
            counts.zero_()

    def signal(self, name: str, x: Tensor) -> None:
        """Count the messages of a signal, (T, R, C)."""
        known, apart = follows(self.plan, name), name in self.nonzero
        if known and not apart:
            return
        most = self.plan.signals[name].bound * x.shape[1]
        dtype = torch.promote_types(x.dtype, torch.float32) if most < FLOAT32_EXACT else torch.float64
        if not apart:
            self._add("units", name, self._units(name, x).sum(dim=1, dtype=dtype))
            return
        for part in x.split(self._rows(x), dim=1):
            if not known:
                self._add("units", name, part.sum(dim=1, dtype=dtype))
            self._add("nonzero", name, part.clamp(max=1).sum(dim=1, dtype=dtype))  # non-negative integers

    def spikes(self, name: str) -> Tensor:
        """Where a kernel that counts the spikes of neuron layer ``name`` itself adds them, int64 (T, C)."""
        key = "units", name
        if key not in self.counts:
            shape = self.plan.steps, self.plan.signals[name].channels
            self.counts[key] = torch.zeros(shape, dtype=torch.int64, device=self.device)
        return self.counts[key]

    def _rows(self, x: Tensor) -> int:
        """Rows (of all steps) to take at a time."""
        if self.device.type != "cpu":
            return max(x.shape[1], 1)
        return max(CACHED // max(x.shape[0] * x.shape[2], 1), 1)

    def _units(self, name: str, x: Tensor) -> Tensor:
        return x if is_graded(self.plan.signals[name]) else (x != 0).to(x.dtype)

    def updates(self, op: Operation, values: dict[str, Tensor]) -> None:
        """Count the active updates of a neuron from what reaches it."""
        active: Tensor | None = None
        for edge in op.edges:
            events = self._neurons_reached(edge, values) if self.per_neuron else self._tokens_reached(edge, values)
            active = events if active is None else active | events
            if self.asks and not self.per_neuron and bool(active.all()):
                break  # the bias comes first: where it reaches every token, the weight need not be asked
        assert active is not None  # the planner refuses neurons without edges
        channels = 1 if self.per_neuron else self.plan.signals[op.name].channels
        self._add("active", op.name, active.flatten(1).sum(dim=1) * channels)

    def _tokens_reached(self, edge: Edge, values: dict[str, Tensor]) -> Tensor:
        """Whether a token receives an event, (T, R)."""
        units = self._units(edge.source, values[edge.source])
        if edge.linear is None:
            return units.sum(dim=-1) > 0
        has_target = (self.fan_out[edge.linear] > 0).to(units.dtype)
        return units @ has_target > 0

    def _neurons_reached(self, edge: Edge, values: dict[str, Tensor]) -> Tensor:
        """Whether a neuron receives an event, (T, R, C)."""
        events = values[edge.source] != 0
        return events if edge.linear is None else events.float() @ self.mask[edge.linear] > 0

    def attention(self, name: str, parts: list[Tensor], token_counts: Tensor | None) -> None:
        """Count what happens inside one attention kernel; ``parts`` are (T, B, N, C), of ``ssa`` also its K^T V."""
        node = self.plan.graph.nodes[name]
        assert isinstance(node, Attention)
        q, k, v = parts[:3]
        if node.kind == "ssa":
            assert token_counts is not None
            self._add("pairs", name, coincidences(q, k).sum(dim=1))
            self._add("gates", name, ssa_gates(q, token_counts, gate_kinds(node) - 3))
            return
        opened = is_open(q, k, node.threshold).sum(dim=-1) * parts[3].sum(dim=(2, 3)).long()[..., None]
        self._add("gates", name, opened.sum(dim=1))
        self._add("pairs", name, (q * k).sum(dim=-1).sum(dim=(1, 2), dtype=torch.float64))
        reached = q + k + v + parts[3]  # the valid spike of a token reaches all its channels
        if self.per_neuron:
            active = (reached > 0).flatten(1).sum(dim=1)
        else:
            active = (reached.sum(dim=-1) > 0).flatten(1).sum(dim=1) * node.width
        self._add("active", name, active)

    def _add(self, part: str, name: str, counts: Tensor) -> None:
        counts, key = counts.long(), (part, name)
        if key in self.counts:
            self.counts[key] += counts
        else:
            self.counts[key] = counts
