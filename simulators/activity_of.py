"""The public activity of a run, from what its engine tallied."""

from __future__ import annotations

import numpy as np

from exporters.nir.graph import Attention, Neuron, TokenLinear
from simulators.activity import STATE_BYTES, WEIGHT_BYTES, Activity, NodeActivity
from simulators.labels import label
from simulators.operations import Plan
from simulators.tallies import Counts, Tallies, follows, is_graded


def activity_of(plan: Plan, tallies: Tallies, samples: int) -> Activity:
    """Counts of a run of ``samples`` samples.

    Raises:
        KeyError: the engine did not tally a signal that is needed (see :class:`Tallies`).
    """
    reader = _Reader(plan, tallies, samples)
    nodes = tuple(node for name in plan.order if (node := reader.node(name)))
    entry = plan.graph.input
    sent = int(reader.units(entry).sum())
    return Activity(samples, plan.steps, plan.signals[entry].tokens, nodes, input_spikes=sent)


class _Reader:
    def __init__(self, plan: Plan, tallies: Tallies, samples: int) -> None:
        self.plan, self.tallies, self.samples = plan, tallies, samples
        self.runs = samples * plan.steps
        self.reads = {edge.linear: edge.source for op in plan.operations for edge in op.edges if edge.linear}

    def units(self, name: str) -> Counts:
        """(T, C) message units; a junction's are those of its sources."""
        if not follows(self.plan, name):
            return self.tallies.units[name]
        return np.sum([self.units(edge.source) for edge in self.plan.by_name[name].edges], axis=0)

    def nonzero(self, name: str) -> Counts:
        """(T, C) messages that are not zero."""
        signal = self.plan.signals[name]
        return self.tallies.nonzero[name] if is_graded(signal) and signal.bound > 1 else self.units(name)

    def node(self, name: str) -> NodeActivity | None:
        match node := self.plan.graph.nodes[name]:
            case TokenLinear() if name in self.reads:
                return self._synapse(name, node)
            case Neuron():
                return self._spiking(name, "neuron", node.shape[0] * node.shape[2])
            case Attention(kind="ssa"):
                return self._ssa(name, node)
            case Attention():
                synops = self.tallies.pairs[name] + self.units(name).sum(axis=1)
                size = node.width * node.tokens
                macs = 2 * size * self.runs
                return self._spiking(name, "attention", size, synops, dense_macs=macs, accumulates=int(synops.sum()))
        return None

    def _synapse(self, name: str, node: TokenLinear) -> NodeActivity:
        source = self.reads[name]
        taps = node.taps() != 0
        fan_out = taps.sum(axis=1).ravel()  # of each column of the weight
        targets = [max(node.tokens - ahead, 0) for ahead in range(node.window)]  # tokens that have one so far ahead
        synops, events = self.units(source) @ fan_out, self.nonzero(source) @ fan_out
        delivered = int(events.sum())
        macs = 0 if self.plan.signals[source].is_spikes else delivered
        return self._counted(
            name,
            "synapse",
            {"synops": synops, "messages": self.nonzero(source)[:, _entrances(node)].sum(axis=1)},
            weights=int(taps.sum()),
            synapses=sum(int(tap.sum()) * n for tap, n in zip(taps, targets, strict=True)),
            dense_macs=node.weight.size // node.window * sum(targets) * self.runs,
            accumulates=delivered - macs,
            macs=macs,
            bytes=delivered * WEIGHT_BYTES,
            window=node.window,
        )

    def _spiking(self, name: str, kind: str, size: int, synops: Counts | None = None, **totals: int) -> NodeActivity:
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
        return self._counted(name, "attention", series, dense_macs=macs, accumulates=int(synops.sum()))

    def _counted(self, name: str, kind: str, series: dict[str, Counts], **totals: int) -> NodeActivity:
        """The node whose counts are the sums of their series over the steps."""
        return NodeActivity.of(label(name), kind, self.plan.steps, {k: v.tolist() for k, v in series.items()}, **totals)


def _entrances(node: TokenLinear) -> Counts:
    """Columns in which a message stands once, by the nearest tap that has a weight for its channel.

    Of a window, a channel has a column for each tap. A message that reaches any output reaches the one of its
    nearest tap: the first token's reach no other.
    """
    leads = (node.taps() != 0).any(axis=1)  # (window, in)
    channels = np.flatnonzero(leads.any(axis=0))
    return (leads.argmax(axis=0) * node.inputs)[channels] + channels
