"""Activity of a run, counted on whole tensors while they are at hand.

Message units are summed per channel once per signal; each linear's synaptic operations follow at the
end as the product with its column counts. Sums are exact: float32 below 2^24, then float64.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from exporters.nir.graph import Attention, Neuron, TokenLinear
from simulators.activity import Activity, NodeActivity
from simulators.arithmetic import FLOAT32_EXACT
from simulators.labels import label
from simulators.operations import Edge, Operation, Plan
from simulators.tensor.attention import coincidences


class Counter:
    """Accumulates the counts of :class:`NodeActivity` over batches.

    ``updates_active`` by default counts all C neurons of a token that received at least one event in
    that step over any non-zero weight (with a bias from the valid train: every valid token). With
    ``per_neuron`` it counts the neurons that received one themselves, at the cost of a second product
    per layer.
    """

    def __init__(self, plan: Plan, device: torch.device, per_neuron: bool) -> None:
        self.plan, self.device, self.per_neuron = plan, device, per_neuron
        self.units: dict[str, Tensor] = {}  # per signal: message units by channel
        self.sums: dict[tuple[str, str], Tensor] = {}  # per node and field: scalars
        self.reads: dict[str, str] = {}  # per linear: its source
        self.fan_out: dict[str, Tensor] = {}  # per linear: non-zero weights of each column
        self.mask: dict[str, Tensor] = {}
        for op in plan.operations:
            for edge in op.edges:
                if edge.linear:
                    self._prepare(edge.linear, edge.source)

    def _prepare(self, linear: str, source: str) -> None:
        node = self.plan.graph.nodes[linear]
        assert isinstance(node, TokenLinear)
        mask = torch.as_tensor(node.weight != 0, device=self.device)
        self.reads[linear], self.fan_out[linear] = source, mask.sum(dim=0).double()
        if self.per_neuron:
            self.mask[linear] = mask.t().float()

    def signal(self, name: str, x: Tensor) -> None:
        """Count the messages of a signal, (T, R, C)."""
        if self._follows(name):
            return
        most = self.plan.signals[name].bound * x.shape[0] * x.shape[1]
        dtype = None if most < FLOAT32_EXACT else torch.float64
        units = self._units(name, x).sum(dim=(0, 1), dtype=dtype).double()
        self.units[name] = self.units[name] + units if name in self.units else units

    def _follows(self, name: str) -> bool:
        """Whether a junction's units are the sum of those of its sources: no message can cancel another."""
        op = self.plan.by_name.get(name)
        if op is None or op.path != "sum" or any(e.linear for e in op.edges):
            return False
        return all(self._graded(e.source) for e in op.edges)

    def _graded(self, name: str) -> bool:
        signal = self.plan.signals[name]
        return signal.integral and bool((signal.low == 0).all())

    def _units(self, name: str, x: Tensor) -> Tensor:
        return x if self._graded(name) else (x != 0).to(x.dtype)

    def updates(self, op: Operation, values: dict[str, Tensor]) -> None:
        """Count the active updates of a neuron from what reaches it."""
        active: Tensor | None = None
        for edge in op.edges:
            events = self._neurons_reached(edge, values) if self.per_neuron else self._tokens_reached(edge, values)
            active = events if active is None else active | events
            if not self.per_neuron and bool(active.all()):
                break  # the bias comes first: where it reaches every token, the weight need not be asked
        assert active is not None  # the planner refuses neurons without edges
        channels = 1 if self.per_neuron else self.plan.signals[op.name].channels
        self._add(op.name, "updates_active", active.sum() * channels)

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

    def attention(self, name: str, parts: list[Tensor], out: Tensor) -> None:
        """Count one attention kernel; ``parts`` and ``out`` are (T, B, N, C).

        Synaptic operations of ``ssa``: coincidences q[i, a] AND k[j, a] that a score adds up, plus
        units of score delivered to set bits of v, which is the sum of the output. Of ``sdsa``:
        coincidences q[n, c] AND k[n, c] that a channel's token count adds up, plus v spikes let through.
        """
        node = self.plan.graph.nodes[name]
        assert isinstance(node, Attention)
        q, k, v = parts[:3]
        if node.kind == "ssa":
            self._add(name, "pairs", coincidences(q, k).sum())
            self._add(name, "messages", torch.count_nonzero(out))
            return
        self._add(name, "pairs", (q * k).sum(dim=-1).sum(dtype=torch.float64))
        reached = q + k + v + parts[3]  # the valid spike of a token reaches all its channels
        if self.per_neuron:
            self._add(name, "updates_active", torch.count_nonzero(reached))
        else:
            self._add(name, "updates_active", torch.count_nonzero(reached.sum(dim=-1)) * node.width)

    def _add(self, name: str, field: str, value: Tensor) -> None:
        value = value.double()
        self.sums[name, field] = self.sums[name, field] + value if (name, field) in self.sums else value

    def _sum(self, name: str, field: str) -> int:
        return int(self.sums.get((name, field), 0))

    def _units_of(self, name: str) -> Tensor:
        if not self._follows(name):
            return self.units[name]
        return torch.stack([self._units_of(e.source) for e in self.plan.by_name[name].edges]).sum(dim=0)

    def activity(self, samples: int) -> Activity:
        """Everything counted so far."""
        plan = self.plan
        nodes = tuple(node for name in plan.order if (node := self._node(name, samples)))
        entry = plan.graph.input
        sent = int(self.units[entry].sum())
        return Activity(samples, plan.steps, plan.signals[entry].tokens, nodes, input_spikes=sent)

    def _node(self, name: str, samples: int) -> NodeActivity | None:
        runs, node = samples * self.plan.steps, self.plan.graph.nodes[name]
        match node:
            case TokenLinear() if name in self.reads:
                return self._synapse(name, node, runs)
            case Neuron():
                return self._neuron(name, "neuron", node.shape[0] * node.shape[2], runs)
            case Attention():
                return self._attention(name, node, runs)
        return None

    def _synapse(self, name: str, node: TokenLinear, runs: int) -> NodeActivity:
        targets = [max(node.tokens - ahead, 0) for ahead in range(node.window)]  # tokens that have one so far ahead
        weights = [int(np.count_nonzero(tap)) for tap in node.taps()]
        return NodeActivity(
            label(name),
            "synapse",
            weights=sum(weights),
            synapses=sum(w * n for w, n in zip(weights, targets, strict=True)),
            synops=int(self._units_of(self.reads[name]) @ self.fan_out[name]),
            dense_macs=node.weight.size // node.window * sum(targets) * runs,
            window=node.window,
        )

    def _neuron(self, name: str, kind: str, size: int, runs: int) -> NodeActivity:
        spikes, active = int(self._units_of(name).sum()), self._sum(name, "updates_active")
        idle = size * runs - active
        return NodeActivity(label(name), kind, size, spikes=spikes, updates_active=active, updates_idle=idle)

    def _attention(self, name: str, node: Attention, runs: int) -> NodeActivity:
        size = node.width * node.tokens
        synops = self._sum(name, "pairs") + int(self._units_of(name).sum())
        if node.kind == "ssa":  # no membrane; scores and outputs cost N^2 D products each
            macs = 2 * size * node.tokens * runs
            spikes = self._sum(name, "messages")
            return NodeActivity(label(name), "attention", spikes=spikes, synops=synops, dense_macs=macs)
        spiking = self._neuron(name, "attention", size, runs)
        return replace(spiking, synops=synops, dense_macs=2 * size * runs)
