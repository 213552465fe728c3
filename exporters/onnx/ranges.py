"""How large every sum of a graph can become: the proof that float32 holds it exactly."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Neuron
from exporters.nir.signals import Signal, propagate
from exporters.onnx.errors import OnnxExportError

FLOAT32_EXACT = 2**24  # every integer up to it is a float32


def entering_ranges(graph: Graph, order: Sequence[str]) -> dict[str, Signal]:
    """What enters each node: the sum of its edges.

    Raises:
        OnnxExportError: shapes that do not meet, a sum that float32 may not hold, attention on more than spikes.
    """
    try:
        leaving, entering = propagate(graph, order)
    except GraphError as error:
        raise OnnxExportError(str(error)) from None
    for name in order:
        if name not in entering:
            continue
        node = graph.nodes[name]
        _check_bound(name, entering[name])
        if isinstance(node, Attention) and not entering[name].is_spikes:
            raise OnnxExportError(
                f"{name}: messages up to {entering[name].bound:g} enter, attention takes spikes; pack q, k, v once"
            )
        if not isinstance(node, Neuron):
            _check_bound(name, leaving[name])
    return entering


def _check_bound(name: str, x: Signal) -> None:
    if x.bound >= FLOAT32_EXACT:
        raise OnnxExportError(
            f"{name}: sums may reach {x.bound:.0f}, float32 is exact below {FLOAT32_EXACT}; lower weights or messages"
        )
