"""What an engine counts while it runs, whichever engine it is: exact integers per step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention
from exporters.nir.signals import Signal
from simulators.errors import GraphSimulationError
from simulators.operations import Plan

Counts = NDArray[np.int64]


@dataclass
class Tallies:
    """Counts of some samples, by plan node; summed over samples and tokens, step by step, int64.

    Attributes:
        units: per signal, (T, C): message units by channel, see :func:`is_graded`. A junction for which
            :func:`follows` holds may be left out. A window is a signal of its own: a message counts once
            for each place in which it stands there.
        nonzero: per signal, (T, C): messages that are not zero. Needed of :func:`needs_nonzero`; of others
            it may be given.
        active: per neuron node and ``sdsa`` attention, (T,): active updates.
        pairs: per attention, (T,): coincidences of q and k. Of ``ssa``: q[i, a] AND k[j, a] over tokens i, j
            and channels a. Of ``sdsa``: q[n, a] AND k[n, a].
        gates: per attention, (T, G): spikes that its body of gates would emit (`exporters.nir.ssa`, `.sdsa`), those
            of ``pairs`` and of the result apart. Of ``ssa``, G = 3 + bits of N: k AND v; entries of K^T V that are
            not zero; q AND such an entry; then q AND each bit of the entries from the lowest. Of ``sdsa``, G = 1:
            channels open at valid tokens.
    """

    units: dict[str, Counts] = field(default_factory=dict)
    nonzero: dict[str, Counts] = field(default_factory=dict)
    active: dict[str, Counts] = field(default_factory=dict)
    pairs: dict[str, Counts] = field(default_factory=dict)
    gates: dict[str, Counts] = field(default_factory=dict)

    def add(self, other: Tallies) -> None:
        """Count what ``other`` counted too: other samples of the same graph over the same steps.

        Raises:
            GraphSimulationError: for counts of another shape or type.
        """
        for part in fields(self):
            own: dict[str, Counts] = getattr(self, part.name)
            for name, counts in getattr(other, part.name).items():
                known = own.get(name, np.zeros_like(counts))
                if known.shape != counts.shape or counts.dtype != np.int64:
                    raise GraphSimulationError(
                        f"{part.name} of {name}: {counts.dtype} {counts.shape} added to int64 {known.shape}, both must "
                        "be int64 of one shape; add runs of one graph and one number of steps"
                    )
                own[name] = known + counts


def gate_kinds(node: Attention) -> int:
    """How many kinds of gate spikes are counted of an attention, see :class:`Tallies`."""
    return 3 + node.tokens.bit_length() if node.kind == "ssa" else 1


def is_graded(signal: Signal) -> bool:
    """Whether a message m counts m units: all are integers, none is negative. Else each non-zero one counts 1."""
    return signal.integral and bool((signal.low == 0).all())


def follows(plan: Plan, name: str) -> bool:
    """Whether a junction's units are the sum of those of its sources: no message can cancel another."""
    op = plan.by_name.get(name)
    if op is None or op.path != "sum" or any(edge.linear for edge in op.edges):
        return False
    return all(is_graded(plan.signals[edge.source]) for edge in op.edges)


def needs_nonzero(plan: Plan) -> frozenset[str]:
    """Signals whose non-zero messages are asked for, and are not its units: graded ones above 1 that a linear reads
    or an attention sends.
    """
    read = {edge.source for op in plan.operations for edge in op.edges if edge.linear}
    sent = {name for name, node in plan.graph.nodes.items() if isinstance(node, Attention)}
    signals = {name: plan.signals[name] for name in read | sent}
    return frozenset(name for name, signal in signals.items() if is_graded(signal) and signal.bound > 1)
