"""A graph turned into operations in order, with every proof that a faster path needs.

Token-wise linears are no operations of their own: whoever they lead into adds their products up.
Attention reads q, k, v through its one-hot packing, which is resolved into views.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Neuron, Node, TokenLinear, integer_threshold
from exporters.nir.signals import Signal, propagate
from simulators.arithmetic import FLOAT32_EXACT, FLOAT64_EXACT, INT32, current_limit, weight_exponent
from simulators.check import check_integer, check_threshold
from simulators.errors import GraphSimulationError
from simulators.linear import is_dense
from simulators.operations import Edge, Operation, Plan, Product
from simulators.packing import Packing
from simulators.rewrite import is_junction, topological, with_bodies, with_explicit_sums

REDUCED_EXACT = 256  # integers up to it are exact in bfloat16, which a reduced global precision may use


def plan(graph: Graph, steps: int, arithmetic: str, expand_attention: bool = False) -> Plan:
    """Prepare a graph.

    Args:
        graph: typed graph.
        steps: T, the number of time steps to run.
        arithmetic: ``"loihi2"`` or ``"real"``.
        expand_attention: run attention bodies instead of kernels (``real`` only).

    Raises:
        GraphSimulationError: for a graph that the arithmetic does not cover, by node name.
    """
    if arithmetic not in ("loihi2", "real"):
        raise GraphSimulationError(f"arithmetic {arithmetic!r}: choose 'loihi2' or 'real'")
    attentions = [n for n, node in graph.nodes.items() if isinstance(node, Attention) and node.kind == "sdsa"]
    if arithmetic == "loihi2":
        if expand_attention:
            raise GraphSimulationError("expand_attention: bodies hold gates; choose arithmetic='real'")
        check_integer(graph, steps)
    if expand_attention:
        graph = with_bodies(graph)
    graph = with_explicit_sums(graph)
    order = topological(graph)
    try:
        signals, entering = propagate(graph, order)
    except GraphError as error:
        raise GraphSimulationError(str(error)) from None
    builder = _Builder(graph, steps, arithmetic == "real", signals, entering)
    operations = [op for name in order for op in builder.operations(name)]
    recorded = [n for n in order if isinstance(graph.nodes[n], Neuron) or n in attentions]
    uses: dict[str, int] = {}
    for op in operations:
        for source in op.reads:
            uses[source] = uses.get(source, 0) + 1
    by_name = {op.name: op for op in operations}
    real = arithmetic == "real"
    reach = sum(node.window - 1 for node in graph.nodes.values() if isinstance(node, TokenLinear))
    return Plan(
        graph, steps, order, signals, entering, operations, builder.wiring, real, recorded, uses, by_name, reach
    )


class _Builder:
    def __init__(
        self, graph: Graph, steps: int, real: bool, signals: dict[str, Signal], entering: dict[str, Signal]
    ) -> None:
        self.graph, self.steps, self.real = graph, steps, real
        self.signals, self.entering = signals, entering
        self.sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        self.targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for a, b in sorted(graph.edges):
            self.sources[b].append(a)
            self.targets[a].append(b)
        self.laid: set[str] = set()  # joins and windows that are planned already
        self.packing = Packing(graph, self.sources, self.targets)
        self.wiring = frozenset(n for n in self.packing.nodes if isinstance(graph.nodes[n], TokenLinear))

    def operations(self, name: str) -> list[Operation]:
        node = self.graph.nodes[name]
        if name in self.packing.nodes or isinstance(node, TokenLinear) or name == self.graph.input:
            return []
        if isinstance(node, Attention):
            parts = self.packing.parts(name, self.entering[name], self.signals)
            return [Operation(name, "attention", dtype=self._kernel_dtype(node), parts=parts)]
        windows = self._windows(name)
        edges = tuple(self._edge(s) for s in self._narrow_first(name))
        product, joins = self._product(edges)
        own = Operation(name, self._path(node), edges, product, self._dtype(name), self.entering[name].bound)
        return [*windows, *joins, own if self.real or not isinstance(node, Neuron) else self._integer(own, node)]

    def _path(self, node: Node) -> str:
        if isinstance(node, Neuron):
            return "real"
        return "sum" if is_junction(node) else "pool"

    def _integer(self, op: Operation, node: Neuron) -> Operation:
        """The neuron in Loihi 2's integers, or in float32 where that is proved equal."""
        even, theta = self.entering[op.name].even, integer_threshold(node.v_threshold)
        check_threshold(op.name, theta, self.steps, even)
        exponent = weight_exponent(self.steps, even)
        proved = op.bound <= current_limit(exponent) and op.dtype == torch.float32
        return replace(op, path="float32" if proved else "integer", theta=theta, exponent=exponent)

    def _product(self, edges: tuple[Edge, ...]) -> tuple[Product | None, list[Operation]]:
        """The dense linears among the edges as one product, and the join that it needs, if new."""
        dense = [e for e in edges if e.linear and is_dense(self._linear(e.linear))]
        if not dense:
            return None, []
        linears, sources = tuple(str(e.linear) for e in dense), [e.source for e in dense]
        if len(sources) == 1:
            return Product(sources[0], linears), []
        joint = " | ".join(sources)
        join = Operation(joint, "join", tuple(Edge(s) for s in sources))
        return Product(joint, linears), self._new(join)

    def _new(self, op: Operation) -> list[Operation]:
        """``op``, unless another node has asked for it before."""
        if op.name in self.laid:
            return []
        self.laid.add(op.name)
        return [op]

    def _windows(self, name: str) -> list[Operation]:
        """The windows that the linears into ``name`` read, where new; each is a signal of its own."""
        windows: list[Operation] = []
        for linear in self.sources[name]:
            node = self.graph.nodes[linear]
            if not isinstance(node, TokenLinear) or node.window == 1:
                continue
            source, wide = self.sources[linear][0], self._edge(linear).source
            self.signals[wide] = self.signals[source].windowed(node.window)
            windows += self._new(Operation(wide, "window", (Edge(source),), window=node.window))
        return windows

    def _linear(self, name: str) -> TokenLinear:
        node = self.graph.nodes[name]
        assert isinstance(node, TokenLinear)
        return node

    def _narrow_first(self, name: str) -> list[str]:
        """Linears by input width: of weight and bias, the bias, which tells most about activity, first."""

        def width(source: str) -> int:
            node = self.graph.nodes[source]
            return node.weight.shape[1] if isinstance(node, TokenLinear) else 0

        return sorted(self.sources[name], key=width)

    def _edge(self, source: str) -> Edge:
        node = self.graph.nodes[source]
        if not isinstance(node, TokenLinear):
            return Edge(source)
        read = self.sources[source][0]
        return Edge(read if node.window == 1 else f"{read} x {node.window} tokens", source)

    def _kernel_dtype(self, node: Attention) -> torch.dtype:
        reduced = torch.get_float32_matmul_precision() != "highest"
        wide = self.real or (reduced and node.tokens > REDUCED_EXACT)
        return torch.float64 if wide else torch.float32

    def _dtype(self, name: str) -> torch.dtype:
        if self.real:
            return torch.float64
        bound = self.entering[name].bound
        limit = FLOAT64_EXACT if self.steps > 1 else INT32  # T = 1 shifts right: sums must not have wrapped
        if bound >= limit:
            raise GraphSimulationError(
                f"{name}: sums may reach {bound:g}, the limit is {limit}; use smaller weights or messages"
            )
        return torch.float32 if bound < FLOAT32_EXACT and self._products_exact(name) else torch.float64

    def _products_exact(self, name: str) -> bool:
        """float32 products are exact unless the process lowered their precision and operands are large."""
        if torch.get_float32_matmul_precision() == "highest":
            return True
        messages = [self.signals[e.source].bound for e in map(self._edge, self.sources[name]) if e.linear]
        return max(messages, default=0.0) <= REDUCED_EXACT
