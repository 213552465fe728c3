"""When each node of an acyclic network speaks, and the delays that make its inputs meet.

In Lava a synapse takes one time step, everything else none, so two paths of different depth reach a
join at different steps. This pass gives every node a time (steps behind the input) and every edge the
delay to add, such that for each edge (a, b)::

    time[a] + delay[a, b] + latency[b] == time[b]

A node is as early as its inputs allow, except those named ``late``: they wait until a target needs
them. A bias synapse is late, so that the narrow valid train is delayed and not the wide bias current,
and all layers share one chain of delays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

Edge = tuple[str, str]


@dataclass(frozen=True)
class Schedule:
    """Result of :func:`schedule`.

    Attributes:
        time: node name to time steps behind the input, at the node's output.
        delay: edge to time steps to wait, 0 or more.
    """

    time: dict[str, int]
    delay: dict[Edge, int]

    def taps(self, source: str) -> list[int]:
        """The distinct delays wanted of ``source``, ascending, 0 left out."""
        return sorted({steps for (a, _), steps in self.delay.items() if a == source and steps})


def schedule(
    order: Sequence[str], edges: Collection[Edge], latency: Mapping[str, int], late: Collection[str]
) -> Schedule:
    """Balances every join.

    Args:
        order: node names, each after all its sources.
        edges: (source, target).
        latency: time steps from input to output of a node; 0 where absent.
        late: nodes to place as late as their targets allow; ones without a target stay early.

    Raises:
        ValueError: if an edge runs against ``order``.
    """
    position = {name: index for index, name in enumerate(order)}
    for a, b in edges:
        if position[a] >= position[b]:
            raise ValueError(f"edge {a} -> {b}: runs against the order of the nodes, the graph has a loop")
    time: dict[str, int] = {}
    for name in order:
        inputs = [time[a] for a, b in edges if b == name]
        time[name] = max(inputs, default=0) + latency.get(name, 0)
    for name in reversed(order):
        needed = [time[b] - latency.get(b, 0) for a, b in edges if a == name]
        if name in late and needed:
            time[name] = min(needed)
    delay = {(a, b): time[b] - latency.get(b, 0) - time[a] for a, b in edges}
    return Schedule(time, delay)
