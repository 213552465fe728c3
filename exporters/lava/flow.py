"""The graph as Lava sees it: packing removed, each edge with its port, each node's signal classified."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporters.lava.packing import Packing, unpack
from exporters.lava.plan import PlanError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear, layer_name

MESSAGE_LIMIT = 255  # num_message_bits = 8


@dataclass(frozen=True)
class Flow:
    """Contracted graph.

    Attributes:
        nodes: name to node, topological, packing left out.
        edges: (source, target, in-port of the target).
        packings: of each attention node.
        largest: of each node that emits spikes or sums of spikes, the largest message (at most 255);
            nodes absent from it emit synaptic sums.
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str, str]]
    packings: dict[str, Packing]
    largest: dict[str, int] = field(default_factory=dict)

    def sources(self, name: str) -> list[str]:
        """Nodes with an edge into ``name``."""
        return sorted(a for a, b, _ in self.edges if b == name)

    def targets(self, name: str) -> list[str]:
        """Nodes that ``name`` has an edge into."""
        return sorted({b for a, b, _ in self.edges if a == name})

    def readers(self, name: str) -> list[str]:
        """Targets of ``name``, junctions replaced by theirs."""
        found: list[str] = []
        for target in self.targets(name):
            found += self.readers(target) if isinstance(self.nodes[target], Pool) else [target]
        return sorted(set(found))

    def writers(self, name: str) -> list[str]:
        """Sources of ``name``, junctions replaced by theirs."""
        found: list[str] = []
        for source in self.sources(name):
            found += self.writers(source) if isinstance(self.nodes[source], Pool) else [source]
        return sorted(found)


def trace(graph: Graph) -> Flow:
    """Contracts and classifies ``graph``.

    Raises:
        PlanError: naming a node of a kind that Lava does not get from us, a join of unlike signals, a
            message above 255, or two nodes of one layer name.
    """
    order = sorted(graph.nodes)
    packings = {n: unpack(graph, n) for n in order if isinstance(graph.nodes[n], Attention)}
    packed = frozenset().union(*(p.passed for p in packings.values()))
    nodes = {n: graph.nodes[n] for n in order if n not in packed}
    edges = [(a, b, _port(nodes[b])) for a, b in graph.edges if a in nodes and b in nodes]
    edges += [(a, b, port) for b, packing in packings.items() for port, a in packing.ports.items()]
    flow = Flow(nodes, sorted(edges), packings)
    _check_names(nodes)
    for name in nodes:
        _classify(flow, name)
    return flow


def _port(node: Node) -> str:
    return "s_in" if isinstance(node, TokenLinear) else "a_in"


def _check_names(nodes: dict[str, Node]) -> None:
    seen: dict[str, str] = {}
    for name in nodes:
        first = seen.setdefault(layer_name(name), name)
        if first != name:
            raise PlanError(f"{name}: has the layer name of {first}; layer names must differ")


def _classify(flow: Flow, name: str) -> None:
    """Sets ``flow.largest[name]`` for spikes; checks what the node is fed."""
    node = flow.nodes[name]
    sources = flow.sources(name)
    if isinstance(node, Input):
        flow.largest[name] = 1
        return
    if not sources:
        raise PlanError(f"{name}: nothing feeds this {type(node).__name__}")
    if isinstance(node, Pool):
        _classify_junction(flow, name, node)
    elif isinstance(node, TokenLinear | Attention):
        _need_spikes(flow, name, 1 if isinstance(node, Attention) else MESSAGE_LIMIT)
    else:
        _need_sums(flow, name)
    if isinstance(node, Neuron) or (isinstance(node, Attention) and node.kind == "sdsa"):
        flow.largest[name] = 1


def _classify_junction(flow: Flow, name: str, node: Pool) -> None:
    if (node.kernel, node.padding) != (1, 0):
        raise PlanError(
            f"{name}: a pool of {node.kernel} tokens with padding {node.padding}; Lava gets attention "
            "as one node, and of pools only the junction (kernel 1, padding 0)"
        )
    kinds = {source in flow.largest for source in flow.sources(name)}
    if len(kinds) != 1:
        raise PlanError(f"{name}: joins spikes and synaptic sums: {', '.join(flow.sources(name))}")
    if kinds == {True}:
        flow.largest[name] = sum(flow.largest[source] for source in flow.sources(name))


def _need_spikes(flow: Flow, name: str, limit: int) -> None:
    largest = 0
    for source in flow.sources(name):
        if source not in flow.largest:
            raise PlanError(f"{name}: is fed synaptic sums by {source}, needs spikes")
        largest = max(largest, flow.largest[source]) if limit == 1 else largest + flow.largest[source]
    if largest > limit:
        raise PlanError(f"{name}: receives messages up to {largest}, the limit is {limit}")


def _need_sums(flow: Flow, name: str) -> None:
    spikes = [source for source in flow.sources(name) if source in flow.largest]
    if spikes and not isinstance(flow.nodes[name], Output):
        raise PlanError(f"{name}: is fed spikes by {spikes[0]} without a linear between them")
    if spikes:
        raise PlanError(f"{name}: the output is spikes of {spikes[0]}, need the logits of a linear")
