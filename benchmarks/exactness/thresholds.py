"""Thresholds put where membranes really pass, so that one wrong bit of a sum or of a membrane shows as a spike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.exactness.reference import evenness, exponent, lava_lif, nir_lif, stored_theta, through, total
from exporters.nir.graph import Graph, Input, Neuron

Values = NDArray[np.float64]
SHARE = 0.5  # of the neurons; the others keep the threshold that they were drawn with


def on_membranes(graph: Graph, inputs: NDArray[np.bool_], arithmetic: str, rng: np.random.Generator) -> Graph:
    """The graph with other thresholds, layer after layer: what enters a layer depends on those before it."""
    integer, even = arithmetic == "loihi2", evenness(graph)
    nodes = dict(graph.nodes)
    values: dict[str, NDArray[np.generic]] = {}
    for name in sorted(nodes):
        node = nodes[name]
        if isinstance(node, Input):
            values[name] = inputs.astype(np.int64 if integer else np.float64)
            continue
        x = total([values[source] for source in graph.sources(name)])
        if not isinstance(node, Neuron):
            values[name] = through(node, x)
        elif integer:
            e = exponent(x.shape[1], even[name])
            node = _integer(node, x.astype(np.float64), e, rng)
            values[name] = lava_lif(x.astype(np.int64), stored_theta(node.v_threshold), e).astype(np.int64)
        else:
            node = _real(node, x.astype(np.float64), rng)
            values[name] = nir_lif(x.astype(np.float64), node.tau_steps, node.v_threshold).astype(np.float64)
        nodes[name] = node
    return replace(graph, nodes=nodes)


def _integer(node: Neuron, x: Values, e: int, rng: np.random.Generator) -> Neuron:
    """The integer above a membrane, mostly one that only just misses it, or one that it hits."""
    limit = 131_072 >> (1 + e)
    v = _unfired(x, 2.0)
    v = v[(v > 0) & (v <= limit)]
    if not len(v) or rng.random() > SHARE:
        return node
    if rng.random() < 0.6:
        gap = np.ceil(v) - v
        closest = v[gap == gap[gap > 0].min(initial=2.0)]
        v = closest if len(closest) else v
    theta = int(np.ceil(rng.choice(v)))
    return replace(node, v_threshold=theta * (1 - 1e-6))


def _real(node: Neuron, x: Values, rng: np.random.Generator) -> Neuron:
    """A membrane itself, which does not fire, or the number below it, which does."""
    v = _unfired(x, node.tau_steps)
    v = v[v > 0]
    if not len(v) or rng.random() > SHARE:
        return node
    threshold = float(rng.choice(v))
    return replace(node, v_threshold=threshold if rng.random() < 0.5 else float(np.nextafter(threshold, -np.inf)))


def _unfired(x: Values, tau: float) -> Values:
    """All membranes of neurons that never fire, in NIR's order of operations."""
    v, passed = np.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        v = v + (x[:, t] - v) / tau
        passed.append(v)
    return np.stack(passed).ravel()
