"""In which order nodes run, which of them run step by step, and which edges of a cycle are delayed by a step.

NIR's equations are continuous: a spike reaches its own neuron at once. In steps it cannot, so each cycle gets
one step of delay, and where is decided here, the same way whatever the order in the file:

1. An edge into a Delay of at least one step in every element needs nothing more: what leaves the Delay is
   older by itself, and its cycle takes as many steps as the Delay says.
2. In what remains, *senders* are the nodes whose output is a state or a spike (LIF, CubaLIF, IF, LI, CubaLI,
   I, Threshold). They are ranked by the number of edges from the nearest Input, then by name.
3. An edge out of a sender is *delayed*, it carries the previous step's output (zero at the first step), where
   it leads, through nodes that are no senders, to a sender of the same cycle that ranks no higher than its
   own: back to itself, or to one nearer to the Input. Every other edge carries this step's value.

So in ``input -> W -> lif -> V -> lif`` the edge ``lif -> V`` is delayed: a bias of V acts from the first step
on, as in snnTorch's recurrent layers (nirtorch's generic cycles delay ``V -> lif`` and start at zero). Whoever
else reads V hears the same, one step late; what reads ``lif`` itself does not. A cycle without a sender and
without such a Delay is an equation to solve, not a network to step: refused.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import nir
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from exporters.nir.errors import GraphError
from exporters.nir.stock.flatten import Edge, Flat

SENDERS = (nir.LIF, nir.CubaLIF, nir.IF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)


@dataclass(frozen=True)
class Group:
    """Nodes in the order in which they run; a ``loop`` runs step by step, all others over all steps at once."""

    nodes: tuple[str, ...]
    loop: bool


@dataclass(frozen=True)
class Order:
    """A schedule: ``delayed`` are the edges that carry the previous step's output."""

    groups: tuple[Group, ...]
    delayed: frozenset[Edge]


def order(flat: Flat, dt: float) -> Order:
    """Schedule a graph whose step is ``dt`` seconds.

    Raises:
        GraphError: a cycle that no sender and no Delay of a step or more interrupts, by its nodes' names.
    """
    edges = sorted(set(flat.edges))
    late = {n for n, node in flat.nodes.items() if isinstance(node, nir.Delay) and delay_steps(node, dt).min() >= 1}
    at_once = [edge for edge in edges if edge[1] not in late]
    delayed: set[Edge] = set()
    for cycle in _cycles(flat.nodes, at_once):
        delayed |= _delayed(flat, cycle, at_once)
    inner = [edge for edge in at_once if edge not in delayed]
    if left := _cycles(flat.nodes, inner):
        names = ", ".join(map(repr, sorted(left[0])))
        raise GraphError(
            f"cycle {names}: holds no neuron, Threshold or Delay of at least one step of {dt:g} s; it cannot be "
            "stepped: put one in"
        )
    loops = {name: min(cycle) for cycle in _cycles(flat.nodes, edges) for name in cycle}
    return Order(tuple(_groups(flat, edges, inner, loops)), frozenset(delayed))


def delay_steps(node: nir.Delay, dt: float) -> np.ndarray:
    """A Delay in steps, per element: seconds over ``dt``, rounded, halves to even; int32 at most."""
    steps = np.rint(np.atleast_1d(np.asarray(node.delay, np.float64)) / dt)
    return np.minimum(steps, 2**31 - 1).astype(np.int64)


def _groups(flat: Flat, edges: list[Edge], inner: list[Edge], loops: Mapping[str, str]) -> Iterable[Group]:
    """One group a node, or a loop, which is known by its first name."""
    heads = {name: loops.get(name, name) for name in flat.nodes}
    between = [(heads[a], heads[b]) for a, b in edges if heads[a] != heads[b]]
    for head in _topological(set(heads.values()), between):
        if head not in loops:
            yield Group((head,), loop=False)
            continue
        members = {name for name in flat.nodes if heads[name] == head}
        yield Group(tuple(_topological(members, [e for e in inner if set(e) <= members])), loop=True)


def _topological(names: Collection[str], edges: Sequence[Edge]) -> list[str]:
    """Kahn's algorithm; of what could be next, the first in the alphabet."""
    waits = dict.fromkeys(names, 0)
    targets: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        waits[b] += 1
        targets[a].append(b)
    ready = [name for name, count in waits.items() if not count]
    heapq.heapify(ready)
    done = []
    while ready:
        done.append(heapq.heappop(ready))
        for target in targets[done[-1]]:
            waits[target] -= 1
            if not waits[target]:
                heapq.heappush(ready, target)
    return done


def _cycles(nodes: Mapping[str, object], edges: Sequence[Edge]) -> list[set[str]]:
    """Strongly connected nodes, of those that lie on a cycle; a node with an edge to itself does."""
    names = list(nodes)
    index = {name: i for i, name in enumerate(names)}
    if not edges:
        return []
    rows, columns = zip(*((index[a], index[b]) for a, b in edges), strict=True)
    matrix = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(names), len(names)))
    count, labels = connected_components(matrix.tocsr(), directed=True, connection="strong")
    found: list[set[str]] = [set() for _ in range(count)]
    for name, at in zip(names, labels, strict=True):
        found[at].add(name)
    selves = {a for a, b in edges if a == b}
    return sorted((part for part in found if len(part) > 1 or part & selves), key=min)


def _delayed(flat: Flat, cycle: set[str], edges: Sequence[Edge]) -> set[Edge]:
    targets: dict[str, list[str]] = {name: [] for name in cycle}
    for a, b in edges:
        if a in cycle and b in cycle:
            targets[a].append(b)
    hops = _hops(flat)
    rank = {name: (hops[name], name) for name in cycle if isinstance(flat.nodes[name], SENDERS)}
    return {
        (sender, target)
        for sender in rank
        for target in targets[sender]
        if any(rank[met] <= rank[sender] for met in _met(target, targets, rank))
    }


def _met(start: str, targets: Mapping[str, Sequence[str]], senders: Collection[str]) -> set[str]:
    """The senders that ``start`` is or leads to through nodes that are none."""
    met, seen, waiting = set(), {start}, [start]
    while waiting:
        name = waiting.pop()
        if name in senders:
            met.add(name)
            continue
        fresh = [target for target in targets[name] if target not in seen]
        seen.update(fresh)
        waiting += fresh
    return met


def _hops(flat: Flat) -> dict[str, int]:
    """Edges from the nearest Input; what no Input reaches ranks last."""
    hops = dict.fromkeys(flat.nodes, len(flat.nodes))
    targets, waiting = flat.targets(), deque(flat.inputs)
    hops.update(dict.fromkeys(flat.inputs, 0))
    while waiting:
        name = waiting.popleft()
        for target in targets[name]:
            if hops[target] == len(flat.nodes):
                hops[target] = hops[name] + 1
                waiting.append(target)
    return hops
