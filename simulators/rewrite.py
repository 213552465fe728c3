"""Graph rewriting before a run: order, explicit sums, attention bodies in place of attention nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from exporters.nir.graph import Attention, Graph, Input, Node, Output, Pool, TokenLinear
from simulators.errors import GraphSimulationError

JUNCTION = Pool(kernel=1, padding=0)


def is_junction(node: Node) -> bool:
    """A node whose output is the plain sum of its edges."""
    return isinstance(node, Output) or (isinstance(node, Pool) and node.kernel == 1 and node.padding == 0)


def topological(graph: Graph) -> list[str]:
    """Node names, sources first, alphabetical where free.

    Raises:
        GraphSimulationError: for a cycle, an edge to nowhere, a node without an edge into it.
    """
    before: dict[str, set[str]] = {name: set() for name in sorted(graph.nodes)}
    for a, b in graph.edges:
        if missing := {a, b} - before.keys():
            raise GraphSimulationError(f"edge {a} -> {b}: node {min(missing)} does not exist; write the graph again")
        before[b].add(a)
    for name, sources in before.items():
        if not sources and not isinstance(graph.nodes[name], Input):
            raise GraphSimulationError(f"node {name}: no edge leads into it, 1 is needed; remove or connect it")
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise GraphSimulationError(f"cycle {cycle}: only acyclic graphs run here; unroll it") from None
    ready: list[str] = []
    order: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, name)
        order.append(heappop(ready))
        sorter.done(order[-1])
    return order


def with_explicit_sums(graph: Graph) -> Graph:
    """Give each TokenLinear exactly one source that is no TokenLinear, by a junction where needed."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name, node in graph.nodes.items():
        sources = graph.sources(name)
        if not isinstance(node, TokenLinear) or not _needs_sum(graph, sources):
            continue
        joint = f"{name}/sum"
        nodes[joint] = JUNCTION
        edges = [(a, joint if b == name else b) for a, b in edges] + [(joint, name)]
    return replace(graph, nodes=nodes, edges=edges)


def _needs_sum(graph: Graph, sources: Iterable[str]) -> bool:
    names = list(sources)
    return len(names) > 1 or any(isinstance(graph.nodes[n], TokenLinear) for n in names)


def with_bodies(graph: Graph) -> Graph:
    """Replace each attention node by its body; the body's exit keeps the attention's name.

    Raises:
        GraphSimulationError: for an attention without a body.
    """
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name, node in graph.nodes.items():
        if not isinstance(node, Attention):
            continue
        if node.body is None:
            raise GraphSimulationError(f"attention {name}: the file carries no body; run it without expand_attention")
        body = node.body
        inner = {n: name if n == body.output else f"{name}/{n}" for n in body.nodes}
        for n, part in body.nodes.items():
            nodes[inner[n]] = JUNCTION if isinstance(part, Input | Output) else part
        edges = [(a, inner[body.input] if b == name else b) for a, b in edges]
        edges += [(inner[a], inner[b]) for a, b in body.edges]
    return replace(graph, nodes=nodes, edges=edges)
