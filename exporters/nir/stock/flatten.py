"""Nested graphs laid flat, and the edges checked: every later step sees one level of nodes.

A node ``lif`` of a nested graph ``block`` becomes ``block/lif``. The nested graph's own Input and Output
vanish: an edge to one goes on to whoever reads it, so that nesting never changes what a graph does. As
``nir`` does, a node without an edge into it gets an Input, and one without an edge out of it an Output.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import nir

from exporters.nir.errors import GraphError
from exporters.nir.stock.read import TYPES

Edge = tuple[str, str]
DUPLICATE_EDGES = ("refuse", "sum", "once")


@dataclass(frozen=True)
class Flat:
    """One level of nodes.

    Attributes:
        nodes: by flat name, in alphabetical order; none is a NIRGraph.
        edges: sorted; an edge that appears twice is summed twice.
        inputs: names of the Inputs of the outermost graph.
        outputs: names of its Outputs.
    """

    nodes: dict[str, nir.NIRNode]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def sources(self) -> dict[str, list[str]]:
        """Per node, the nodes with an edge into it, sorted."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in self.edges:
            found[b].append(a)
        return found

    def targets(self) -> dict[str, list[str]]:
        """Per node, the nodes that it has an edge into, sorted."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in self.edges:
            found[a].append(b)
        return found


def flatten(graph: nir.NIRGraph, duplicate_edges: str = "refuse") -> Flat:
    """Lay ``graph`` flat; it is left as it is.

    Args:
        graph: stock primitives, nested or not.
        duplicate_edges: readers differ in what an edge written twice means: ``"refuse"`` it, ``"sum"``
            the signal twice, or take it ``"once"``.

    Raises:
        GraphError: an edge from or to nowhere, a duplicate edge, a nested graph without exactly one Input
            and one Output, a node of another type, or two nodes of one flat name.
    """
    if duplicate_edges not in DUPLICATE_EDGES:
        raise GraphError(f"duplicate_edges {duplicate_edges!r}: choose one of {', '.join(DUPLICATE_EDGES)}")
    level = _level(graph, "", duplicate_edges)
    ends = {*level.inputs, *level.outputs}
    passing = [n for n, node in level.nodes.items() if isinstance(node, nir.Input | nir.Output) and n not in ends]
    edges = _bridged(list(level.edges), passing)
    nodes = {name: node for name, node in sorted(level.nodes.items()) if name not in passing}
    return Flat(nodes, tuple(sorted(edges)), level.inputs, level.outputs)


def _bridged(edges: list[Edge], passing: list[str]) -> list[Edge]:
    """The edges without the nodes that only pass on what arrives."""
    for name in passing:
        sources = [a for a, b in edges if b == name]
        targets = [b for a, b in edges if a == name]
        if name in sources:
            raise GraphError(
                f"cycle {name!r}: leads from a nested graph's Output to its Input through no node; drop it"
            )
        edges = [edge for edge in edges if name not in edge] + [(a, b) for a in sources for b in targets]
    return edges


def _level(graph: nir.NIRGraph, where: str, duplicates: str) -> Flat:
    at = f"node {where.rstrip('/')!r}: " if where else ""
    members, written = dict(graph.nodes), [(str(a), str(b)) for a, b in graph.edges]
    if not members:
        raise GraphError(f"{at or 'graph: '}holds no nodes; export it again")
    edges = _checked(members, written, at, duplicates)
    _close(members, edges)
    nodes: dict[str, nir.NIRNode] = {}
    inner: list[Edge] = []
    entry, leave = {}, {}  # flat names at which an edge enters and leaves each member
    for name, node in sorted(members.items()):
        flat_name = f"{where}{name}"
        entry[name] = leave[name] = flat_name
        if isinstance(node, nir.NIRGraph):
            below = _level(node, f"{flat_name}/", duplicates)
            entry[name], leave[name] = _ports(below, flat_name)
            found, inner = below.nodes, [*inner, *below.edges]
        elif type(node).__name__ in TYPES and type(node).__module__.split(".")[0] == "nir":
            found = {flat_name: node}
        else:
            raise GraphError(f"node {flat_name!r}: type {type(node).__name__} is none of nir 1.0.8; replace it")
        if clash := set(found) & set(nodes):
            raise GraphError(f"node {min(clash)!r}: two nodes have this name once nested graphs are flat; rename one")
        nodes.update(found)
    edges = [(leave[a], entry[b]) for a, b in edges]
    inputs, outputs = (
        tuple(f"{where}{n}" for n, m in sorted(members.items()) if isinstance(m, kind))
        for kind in (nir.Input, nir.Output)
    )
    return Flat(nodes, (*edges, *inner), inputs, outputs)


def _ports(below: Flat, name: str) -> tuple[str, str]:
    for kind, ports in (("Input", below.inputs), ("Output", below.outputs)):
        if len(ports) != 1:
            raise GraphError(
                f"node {name!r}: a nested graph with {len(ports)} {kind} nodes, needs exactly 1, for an edge does "
                "not say which; inline it"
            )
    return below.inputs[0], below.outputs[0]


def _checked(members: dict[str, nir.NIRNode], edges: list[Edge], at: str, duplicates: str) -> list[Edge]:
    for a, b in edges:
        for end in (a, b):
            if end not in members:
                loose = sorted(set(members) - {end for edge in edges for end in edge})
                hint = f"; without any edge is {', '.join(map(repr, loose))}: rename it" if loose else ""
                raise GraphError(f"{at}edge {a!r} -> {b!r}: node {end!r} does not exist{hint or '; export it again'}")
        if isinstance(members[b], nir.Input) or isinstance(members[a], nir.Output):
            raise GraphError(f"{at}edge {a!r} -> {b!r}: leads into an Input or out of an Output; drop it")
    twice = [edge for edge, count in sorted(Counter(edges).items()) if count > 1]
    if twice and duplicates == "refuse":
        a, b = twice[0]
        raise GraphError(
            f"{at}edge {a!r} -> {b!r}: appears twice, and readers differ in what that means; write it once, "
            "or say duplicate_edges='sum' or 'once'"
        )
    return sorted(set(edges)) if duplicates == "once" else list(edges)


def _close(members: dict[str, nir.NIRNode], edges: list[Edge]) -> None:
    """Add the Inputs and Outputs that ``nir`` adds."""
    fed, read = {b for _, b in edges}, {a for a, _ in edges}
    for name, node in sorted(members.items()):
        if name not in fed and not isinstance(node, nir.Input):
            new = _unused(f"input_{name}", members)
            members[new] = nir.Input({"input": (node.input_type or {}).get("input")})
            edges.append((new, name))
        if name not in read and not isinstance(node, nir.Output):
            new = _unused(f"output_{name}", members)
            members[new] = nir.Output({"output": None})
            edges.append((name, new))


def _unused(name: str, members: dict[str, nir.NIRNode]) -> str:
    while name in members:
        name += "_"
    return name
