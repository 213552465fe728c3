"""The built graph against the portable profile, and what must hold of every graph of ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from exporters.nir.graph import Attention, Graph, Neuron, TokenLinear
from exporters.nir.portable import INTEGER, STOCK, check_graph
from simulators.plan import plan
from toolkit.errors import SpikeportError
from toolkit.lowering.passes import State

MOST_EDGES_INTO = 2  # of two, no reader depends on the order in which they are added


@dataclass(frozen=True)
class Validate:
    """Ask who can run the graph.

    Requires: a graph. Ensures: names in topological order; at most two edges into a node; a padded token silent
    in every layer; the integer simulator runs it; a simulator of stock NIR runs it if its attention has a body,
    and refuses it if it has none.
    """

    name = "validate"

    def requires(self, state: State) -> None:
        _graph(state)

    def run(self, state: State) -> State:
        graph, steps = _graph(state), state.config.steps
        found = check_graph(graph, lambda graph: plan(graph, steps, "loihi2"))
        return replace(state, readers={v.target: v for v in found})

    def ensures(self, state: State) -> None:
        graph = _graph(state)
        check_edges(graph)
        check_silence(graph)
        for target in (INTEGER, STOCK):
            verdict = state.readers.get(target)
            if verdict is None:
                raise SpikeportError(f"graph: nobody asked the target {target}; validate it again")
            native = any(isinstance(node, Attention) and node.body is None for node in graph.nodes.values())
            if verdict.runs is not True and not (target == STOCK and native):
                raise SpikeportError(f"graph: the target {target} refuses it, {verdict.reason}")


def check_edges(graph: Graph) -> None:
    """Names order the nodes, every edge leads to a later one, once, and no node adds up more than two.

    Raises:
        SpikeportError: the first edge or node that is not so.
    """
    into: Counter[str] = Counter()
    for (a, b), count in Counter(graph.edges).items():
        into[b] += 1
        if a not in graph.nodes or b not in graph.nodes or a >= b or count > 1:
            raise SpikeportError(f"graph: edge {a} -> {b} ({count} times), needs 1 to a later node; build it again")
        if into[b] > MOST_EDGES_INTO:
            raise SpikeportError(f"graph: {into[b]} edges into {b}, at most {MOST_EDGES_INTO}; build it again")
    if list(graph.nodes) != sorted(graph.nodes):
        raise SpikeportError("graph: names are not in topological order; build it again")


def check_silence(graph: Graph) -> None:
    """A token without input spikes stays silent in every layer, as each of these steps keeps silence silent.

    A linear without a bias maps 0 to 0; a neuron at rest with a positive threshold does not fire on 0; windows
    look ahead only, behind a sentence into padding; ``ssa`` of a silent query is 0; ``sdsa`` ends in AND with
    a silent value, behind a gate that the valid train opens.

    Raises:
        SpikeportError: the first node of another kind of behaviour.
    """
    for name, node in graph.nodes.items():
        if isinstance(node, TokenLinear) and node.bias.any():
            raise SpikeportError(f"graph: {name} has a bias of {node.bias[node.bias != 0][0]:g}, needs 0; build again")
        if isinstance(node, Neuron) and not node.v_threshold > 0:
            raise SpikeportError(f"graph: {name} has threshold {node.v_threshold:g}, needs more than 0; build again")
        if isinstance(node, Attention) and node.kind == "sdsa" and node.threshold < 1:
            raise SpikeportError(f"graph: {name} opens at {node.threshold} tokens, needs at least 1; build again")


def _graph(state: State) -> Graph:
    if state.graph is None:
        raise SpikeportError("graph: there is none; run the pass build_graph before this one")
    return state.graph
