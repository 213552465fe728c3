"""Which neurons share a process in the ``fast`` realisation: a ``LIFReset`` has one threshold and one reset phase.

Neurons with the same of both may share one if they fire at the same point of a step: where attention stands between
them, the one waits for the other within the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exporters.lava.plan import Connection
from exporters.lava.processes import Lif, Process, latency_of


def share_neurons(processes: Sequence[Process], connections: Sequence[Connection]) -> list[Process]:
    """The processes with the population of each ``Lif`` that shares one; it has the name of its first member.

    Args:
        processes: in topological order, times set.
        connections: all of them.
    """
    ranks = _ranks(processes, connections)
    groups: dict[tuple[int, ...], list[str]] = {}
    for process in processes:
        if isinstance(process, Lif):
            key = (process.vth, process.reset_interval, process.reset_offset, ranks[process.name])
            groups.setdefault(key, []).append(process.name)
    first = {name: members[0] for members in groups.values() if len(members) > 1 for name in members}
    return [replace(p, population=first.get(p.name, "")) if isinstance(p, Lif) else p for p in processes]


def _ranks(processes: Sequence[Process], connections: Sequence[Connection]) -> dict[str, int]:
    """How many neurons in a row a signal passes within one step; synapses and delays begin anew."""
    found: dict[str, int] = {}
    for process in processes:
        before = max((found[c.source] for c in connections if c.target == process.name), default=0)
        found[process.name] = 0 if latency_of(process) else before + isinstance(process, Lif)
    return found
