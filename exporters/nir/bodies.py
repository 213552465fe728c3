"""Which attention a nested graph is. Its label is advice: a kernel may replace only the very body it claims."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, TokenLinear
from exporters.nir.sdsa import sdsa_body
from exporters.nir.size import body_size
from exporters.nir.ssa import ssa_body, ssa_fault, ssa_size
from exporters.nir.write import SSA


def recognise(facts: dict[str, Any], body: Graph, name: str) -> Attention | None:
    """The attention that ``body`` computes if it is what ``facts`` (op and sizes) claim, else None.

    Raises:
        GraphError: claimed sizes of which no exact body exists.
    """
    return _ssa(facts, body, name) if facts["op"] == SSA else _sdsa(facts, body)


def _sdsa(facts: dict[str, Any], body: Graph) -> Attention | None:
    width, threshold = int(facts["width"]), int(facts["threshold"])
    channels, tokens = _entry(body)
    if channels != 3 * width + 1 or not same(body, sdsa_body(width, tokens, threshold)):
        return None
    return Attention("sdsa", width, 1, tokens, threshold, body)


def _ssa(facts: dict[str, Any], body: Graph, name: str) -> Attention | None:
    width, heads = int(facts["width"]), int(facts["heads"])
    channels, tokens = _entry(body)
    if channels != 3 * width:
        return None
    if fault := ssa_fault(width, heads, tokens):
        raise GraphError(f"node {name!r}: {fault}")
    # Sizes first: a body of our own to compare with then takes no more memory than the one that was read.
    if body_size(body) != ssa_size(width, heads, tokens) or not same(body, ssa_body(width, heads, tokens)):
        return None
    return Attention("ssa", width, heads, tokens, 0, body)


def _entry(body: Graph) -> tuple[int, int]:
    node = body.nodes[body.input]
    assert isinstance(node, Input)
    return node.shape[0], node.shape[2]


def same(a: Graph, b: Graph) -> bool:
    """Whether two graphs have the same nodes and edges, by name and value."""
    if set(a.nodes) != set(b.nodes) or set(a.edges) != set(b.edges):
        return False
    return all(_same_node(a.nodes[name], b.nodes[name]) for name in a.nodes)


def _same_node(a: Node, b: Node) -> bool:
    if isinstance(a, TokenLinear) and isinstance(b, TokenLinear):
        same_sizes = (a.tokens, a.window) == (b.tokens, b.window)
        return same_sizes and np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias)
    if isinstance(a, Neuron) and isinstance(b, Neuron):
        close = abs(a.tau_steps - b.tau_steps) < 1e-6
        return close and a.shape == b.shape and np.float32(a.v_threshold) == np.float32(b.v_threshold)
    return a == b
