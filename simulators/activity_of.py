"""The public activity of a run, from what its engine tallied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Neuron, TokenLinear
from simulators.activity import INPUT, STATE_BYTES, WEIGHT_BYTES, Activity, AttentionCounts, NodeActivity
from simulators.labels import label
from simulators.operations import Plan
from simulators.tallies import Counts, Tallies, follows, is_graded


@dataclass(frozen=True, eq=False)
class Fan:
    """What is known of a linear's synapses before any run.

    Attributes:
        out: (window * in,), weights that are not zero in each column.
        reached: (window * in, 2): ``out``, and 1 for each column in which a message stands once, see
            :func:`_entrances`.
        weights, synapses: as in :class:`NodeActivity`.
        targets: pairs of tokens that its taps connect.
        axons: source neurons over all tokens that reach any output.
    """

    out: Counts
    reached: Counts
    weights: int
    synapses: int
    targets: int
    axons: int

    @staticmethod
    def of(node: TokenLinear) -> Fan:
        """Counted from the weights."""
        taps = node.taps() != 0
        targets = [max(node.tokens - ahead, 0) for ahead in range(node.window)]  # tokens that have one so far ahead
        synapses = sum(int(tap.sum()) * n for tap, n in zip(taps, targets, strict=True))
        entrances, (_, _, channels) = _entrances(taps), taps.shape
        axons = int(np.maximum(node.tokens - entrances // channels, 0).sum())  # none from before the nearest tap
        out = taps.sum(axis=1).ravel()
        reached = np.stack([out, np.bincount(entrances, minlength=len(out))], axis=1)
        return Fan(out, reached, int(taps.sum()), synapses, sum(targets), axons)


class ActivityReader:
    """Makes activities of a plan's tallies."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reads = {edge.linear: edge.source for op in plan.operations for edge in op.edges if edge.linear}
        self.fans = {name: Fan.of(plan.linear(name)) for name in self.reads}
        # all that a reader would otherwise ask again of the plan for every batch
        self.labels = {name: label(name) for name in plan.order}
        self.sums = {name for name in plan.by_name if follows(plan, name)}
        self.apart = {name for name, s in plan.signals.items() if is_graded(s) and s.bound > 1}
        self.spiking = {name for name in self.reads.values() if plan.signals[name].is_spikes}
        attention = [name for name, node in plan.graph.nodes.items() if isinstance(node, Attention)]
        self.senders = {name: self._senders(plan.by_name[name].reads) for name in attention}
        self.senders |= {name: self._senders([source]) for name, source in self.reads.items()}

    def _senders(self, signals: Iterable[str]) -> tuple[str, ...]:
        """Labels of the nodes whose spikes make signals, through sums and packing."""
        found: dict[str, None] = {}
        for name in signals:
            made = self.plan.by_name.get(name)
            if name == self.plan.graph.input:
                found[INPUT] = None
            elif isinstance(self.plan.graph.nodes.get(name), Neuron | Attention):
                found[label(name)] = None
            elif made:
                found |= dict.fromkeys(self._senders(made.reads))
        return tuple(found)

    def activity(self, tallies: Tallies, samples: int) -> Activity:
        """Counts of a run of ``samples`` samples.

        Raises:
            KeyError: the engine did not tally a signal that is needed (see :class:`Tallies`).
        """
        reader = _Reader(self, tallies, samples)
        nodes = tuple(node for name in self.plan.order if (node := reader.node(name)))
        entry = self.plan.graph.input
        sent = int(reader.units(entry).sum())
        return Activity(samples, self.plan.steps, self.plan.signals[entry].tokens, nodes, input_spikes=sent)


class _Reader:
    def __init__(self, known: ActivityReader, tallies: Tallies, samples: int) -> None:
        self.known, self.plan = known, known.plan
        self.tallies, self.samples = tallies, samples
        self.runs = samples * self.plan.steps
        self.summed: dict[str, Counts] = {}

    def units(self, name: str) -> Counts:
        """(T, C) message units; a junction's are those of its sources."""
        if name not in self.known.sums:
            return self.tallies.units[name]
        if name not in self.summed:
            self.summed[name] = np.sum([self.units(edge.source) for edge in self.plan.by_name[name].edges], axis=0)
        return self.summed[name]

    def nonzero(self, name: str) -> Counts:
        """(T, C) messages that are not zero."""
        return self.tallies.nonzero[name] if name in self.known.apart else self.units(name)

    def node(self, name: str) -> NodeActivity | None:
        match node := self.plan.graph.nodes[name]:
            case TokenLinear() if name in self.known.reads:
                return self._synapse(name, node)
            case Neuron():
                return self._spiking(name, "neuron", node.shape[0] * node.shape[2])
            case Attention(kind="ssa"):
                return self._ssa(name, node)
            case Attention():
                synops = self.tallies.pairs[name] + self.units(name).sum(axis=1)
                size = node.width * node.tokens
                macs = 2 * size * self.runs
                rest = {"dense_macs": macs, "accumulates": int(synops.sum()), **self._entering(name, node)}
                return self._spiking(name, "attention", size, synops, **rest)
        return None

    def _synapse(self, name: str, node: TokenLinear) -> NodeActivity:
        source, fan = self.known.reads[name], self.known.fans[name]
        events, messages = (self.nonzero(source) @ fan.reached).T
        synops = self.units(source) @ fan.out if source in self.known.apart else events
        delivered = int(events.sum())
        macs = 0 if source in self.known.spiking else delivered
        return self._counted(
            name,
            "synapse",
            {"synops": synops, "messages": messages},
            weights=fan.weights,
            synapses=fan.synapses,
            dense_macs=node.weight.size // node.window * fan.targets * self.runs,
            accumulates=delivered - macs,
            macs=macs,
            bytes=delivered * WEIGHT_BYTES,
            window=node.window,
            axons=fan.axons,
            sources=self.known.senders[name],
        )

    def _entering(self, name: str, node: Attention) -> dict[str, Any]:
        """What entered an attention and from where; what of it met is tallied by the engine."""
        parts = self.plan.by_name[name].parts
        sent = [sum(int(self.units(piece.source)[:, piece.columns].sum()) for piece in part) for part in parts]
        q, k, v, valid = [*sent, 0][:4]
        met = int(self.tallies.pairs[name].sum())
        sizes = (node.kind, node.width, node.heads, node.tokens, node.threshold)
        gates = tuple(self.tallies.gates[name].sum(axis=0).tolist())
        counts = AttentionCounts(*sizes, q, k, v, valid, coincidences=met, gates=gates)
        return {"attention": counts, "sources": self.known.senders[name]}

    def _spiking(self, name: str, kind: str, size: int, synops: Counts | None = None, **totals: Any) -> NodeActivity:
        """A node of ``size`` neurons: every one of them is updated in every step, active or idle."""
        spikes, active = self.units(name).sum(axis=1), self.tallies.active[name]
        series = {"spikes": spikes, "messages": spikes, "updates_active": active}
        series["updates_idle"] = size * self.samples - active
        if synops is not None:
            series["synops"] = synops
        return self._counted(name, kind, series, neurons=size, bytes=size * self.runs * STATE_BYTES, **totals)

    def _ssa(self, name: str, node: Attention) -> NodeActivity:
        """No membrane; scores and outputs cost N^2 D products each."""
        sent = self.nonzero(name).sum(axis=1)
        synops = self.tallies.pairs[name] + self.units(name).sum(axis=1)
        macs = 2 * node.width * node.tokens**2 * self.runs
        series = {"spikes": sent, "messages": sent, "synops": synops}
        rest = {"dense_macs": macs, "accumulates": int(synops.sum()), **self._entering(name, node)}
        return self._counted(name, "attention", series, **rest)

    def _counted(self, name: str, kind: str, series: dict[str, Counts], **totals: Any) -> NodeActivity:
        """The node whose counts are the sums of their series over the steps."""
        return NodeActivity.of(
            self.known.labels[name], kind, self.plan.steps, {k: v.tolist() for k, v in series.items()}, **totals
        )


def _entrances(taps: NDArray[np.bool_]) -> Counts:
    """Columns in which a message stands once, by the nearest tap that has a weight for its channel.

    Of a window, a channel has a column for each tap. A message that reaches any output reaches the one of its
    nearest tap: the first token's reach no other. ``taps`` is (window, out, in).
    """
    leads = taps.any(axis=1)  # (window, in)
    channels = np.flatnonzero(leads.any(axis=0))
    return (leads.argmax(axis=0) * taps.shape[2])[channels] + channels
