"""What a simulation counts: the only input of the energy model besides the graph's shape.

Definitions follow NeuroBench (Yik et al. 2025): a synaptic operation is one spike delivered over one
non-zero weight. All counts are exact sums over every sample of a run, in all and step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulators.errors import GraphSimulationError

WEIGHT_BYTES = 1  # Loihi 2 stores weights in up to 8 bits (Intel's brief)
STATE_BYTES = 12  # of an update: u and v, 24 bits each, read and written
PER_STEP = ("spikes", "synops", "messages", "updates_active", "updates_idle")
INPUT = "input"  # the sender of what the host sends in
ENTERING = ("q", "k", "v", "valid", "coincidences")
SUMMED = (*PER_STEP, "dense_macs", "accumulates", "macs", "bytes")


@dataclass(frozen=True)
class AttentionCounts:
    """What an attention is and what entered it: chips that run it as gates are priced from these.

    Attributes:
        kind: ``ssa`` or ``sdsa``.
        width, heads, tokens: D, heads and N.
        threshold: token count at which an ``sdsa`` channel opens; 0 for ``ssa``.
        q, k, v, valid: spikes of the whole run that entered each part; ``valid`` is 0 for ``ssa``.
        coincidences: of ``sdsa``, pairs of a q and a k spike of one channel, token and step; of ``ssa``, of one
            channel and step at any two tokens, N^2 at the most.
        gates: spikes that its body of gates would emit, see `simulators.tallies.Tallies`, over the whole run.
    """

    kind: str
    width: int
    heads: int
    tokens: int
    threshold: int
    q: int
    k: int
    v: int
    valid: int
    coincidences: int
    gates: tuple[int, ...] = ()


@dataclass(frozen=True)
class NodeActivity:
    """Counts of one node.

    Attributes:
        name: layer name, e.g. ``block0.q`` or ``block0.q.weight``.
        kind: ``neuron``, ``synapse`` or ``attention``.
        neurons: neurons mapped, padding included (C * N); 0 for a synapse node.
        weights: non-zero weights stored once, shared by all tokens (a linear layer).
        synapses: non-zero connections if every token had its own copy, as a chip without weight
            sharing stores them (``weights * N``; of a window, less those that would reach beyond a border).
        spikes: spikes emitted; for a graded sender, non-zero messages.
        synops: spikes (or message units: a graded message m counts m, one that is not a non-negative
            integer counts 1) delivered over non-zero weights. Of an ``ssa`` attention: coincidences of q
            and k that scores add up, plus score units delivered to v. Of ``sdsa``: coincidences of q and
            k that channels count, plus v spikes let through.
        dense_macs: multiply-accumulates of the same product done densely, padding included; (Q K^T) V for
            ``ssa``, two per channel and token for ``sdsa``.
        updates_active: neuron updates of tokens that received at least one event in that step (all C
            neurons of the token; padded tokens receive none), or of the neurons that received one
            themselves where the run counted per neuron. 0 for ``ssa``, whose sums have no membrane.
        updates_idle: the other neuron updates, padding included.
        window: tokens that one output of a synapse node sees.
        positions: of a described convolution, output positions over which its ``weights`` are shared, whose
            ``synapses``, ``axons`` and ``messages`` are counted to the borders; 0 for any other node.
        messages: of a neuron or an attention, non-zero messages sent. Of a synapse, non-zero messages that
            enter it: each once, whatever its value and however many weights or windows it meets, if it meets
            any weight at all.
        accumulates: operations that add without multiplying. Of a synapse whose source sends only 0 and 1:
            its events, a message over a non-zero weight each (then equal to ``synops``). Of an attention: its
            ``synops``, for q, k and v are spikes; what a score adds to v counts unit by unit, so that a chip
            which adds a score at once does fewer.
        macs: multiply-accumulates: of a synapse whose source may send anything but 0 and 1, its events, each
            non-zero message over a non-zero weight once. Elsewhere 0.
        bytes: bytes moved at the place of computation. Of a synapse: one for each event, the 8-bit weight
            that it fetches (no index, delay or list header, which differ by storage format). Of a neuron and
            of ``sdsa``: 12 for each update, active or idle, for Loihi visits every neuron in every step and
            its ``u`` and ``v`` have 24 bits (Lava's ``fixed_pt`` LIF, lava-nc 0.10.0), each read and written.
            0 for ``ssa``, which keeps neither weights nor state. Messages on their way are counted by
            ``messages``, not here.
        axons: of a synapse node, source neurons over all tokens that reach it over any weight, each once however
            many layers of a residual sum send through it; 0 where not counted.
        sources: of a synapse or attention node of a simulation, the nodes whose spikes enter it, ``input`` for what
            the host sends; several where a residual sum enters.
        attention: of an attention node of a simulation, what entered it.
        per_step: the series over the T steps of each count in ``PER_STEP``, summed over samples; empty where
            the counts come from elsewhere than a simulation.
    """

    name: str
    kind: str
    neurons: int = 0
    weights: int = 0
    synapses: int = 0
    spikes: int = 0
    synops: int = 0
    dense_macs: int = 0
    updates_active: int = 0
    updates_idle: int = 0
    window: int = 1
    positions: int = 0
    messages: int = 0
    accumulates: int = 0
    macs: int = 0
    bytes: int = 0
    axons: int = 0
    sources: tuple[str, ...] = ()
    attention: AttentionCounts | None = None
    per_step: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse series that do not add up to their counts."""
        for name, series in self.per_step.items():
            if sum(series) != getattr(self, name):
                raise GraphSimulationError(
                    f"activity node {self.name}: {name} of its steps sum to {sum(series)}, the total is "
                    f"{getattr(self, name)}; count the run again"
                )

    @classmethod
    def of(cls, name: str, kind: str, steps: int, series: Mapping[str, Sequence[int]], **rest: Any) -> NodeActivity:
        """A node by its series over the steps, those not given being zero; the totals are their sums."""
        per_step = {count: tuple(series.get(count, (0,) * steps)) for count in PER_STEP}
        totals: dict[str, Any] = {k: sum(v) for k, v in per_step.items()}
        return cls(name, kind, per_step=per_step, **totals, **rest)


@dataclass(frozen=True)
class Activity:
    """Counts of a whole run, node by node in topological order.

    Junctions and the one-hot packing before an attention are wiring and have no node.

    Attributes:
        samples: sentences simulated.
        steps: time steps T per sentence.
        tokens: N, the token slots of the graph.
        nodes: per node.
        host_lookups: table rows added on the host by the encoder (outside the chip), whole run.
        input_spikes: spikes that the host sends into the network, whole run.
    """

    samples: int
    steps: int
    tokens: int
    nodes: tuple[NodeActivity, ...]
    host_lookups: int = 0
    input_spikes: int = 0

    def total(self, field: str) -> int:
        """Sum of one count over the nodes."""
        return sum(getattr(node, field) for node in self.nodes)

    @property
    def spikes_per_inference(self) -> float:
        """Spikes of mapped neurons per sentence; messages inside an attention kernel are not spikes."""
        return sum(node.spikes for node in self.nodes if node.neurons) / self.samples

    def per_inference(self, field: str) -> float:
        """Mean of one count per sentence."""
        return self.total(field) / self.samples


def added(runs: Sequence[Activity]) -> Activity:
    """Counts of several runs of one graph over the same steps as those of one run."""
    return replace(
        runs[0],
        samples=sum(run.samples for run in runs),
        nodes=tuple(_together(same) for same in zip(*(run.nodes for run in runs), strict=True)),
        host_lookups=sum(run.host_lookups for run in runs),
        input_spikes=sum(run.input_spikes for run in runs),
    )


def _together(same: Sequence[NodeActivity]) -> NodeActivity:
    """One node's counts over several runs; its series where every run has them."""
    counts: dict[str, Any] = {name: sum(getattr(node, name) for node in same) for name in SUMMED}
    common = [name for name in same[0].per_step if all(name in node.per_step for node in same)]
    series = {name: tuple(map(sum, zip(*(node.per_step[name] for node in same), strict=True))) for name in common}
    return replace(same[0], per_step=series, attention=_attention_of(same), **counts)


def _attention_of(same: Sequence[NodeActivity]) -> AttentionCounts | None:
    """Counts of what entered, over several runs; None where one of them has none."""
    parts = [node.attention for node in same if node.attention]
    if len(parts) < len(same):
        return None
    summed = {name: sum(getattr(part, name) for part in parts) for name in ENTERING}
    gates = tuple(map(sum, zip(*(part.gates for part in parts), strict=True)))
    return replace(parts[0], gates=gates, **summed)
