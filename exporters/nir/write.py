"""Typed graph to NIR file. Same graph, same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, Shape, TokenLinear
from exporters.nir.profile import check_profile, metadata_text

DT = 1e-4  # seconds per step; snnTorch knows no other, so the file's tau is in this unit
PROFILE = "spikeport.portable/1"
SSA, SDSA = "spiking_self_attention", "spike_driven_self_attention"  # what a nested graph says it computes
COMPAT = ("1.0.8", "1.0.4")  # the oldest nir that is to read the file; 1.0.6 and later read the first


@dataclass(eq=False)
class SpikingSelfAttention(nir.NIRNode):
    """``ssa`` without a body: stock ``nir.read`` does not know the type and refuses the file, never runs it wrongly."""

    width: int
    heads: int
    tokens: int

    def __post_init__(self) -> None:
        self.input_type = {"input": np.array([3 * self.width, 1, self.tokens])}
        self.output_type = {"output": np.array([self.width, 1, self.tokens])}


def to_nir(graph: Graph) -> nir.NIRGraph:
    """The graph as ``nir`` objects, type-checked by ``nir`` itself.

    Raises:
        GraphError: the graph would fail, or run as something else, in a stock reader.
    """
    check_profile(graph)
    nodes = {name: _node(node) for name, node in graph.nodes.items()}
    metadata = {"spikeport": metadata_text(graph.metadata)} if graph.metadata else {}
    return nir.NIRGraph(nodes=nodes, edges=sorted(graph.edges, key=lambda e: (e[1], e[0])), metadata=metadata)


def write_graph(graph: Graph, path: Path, compat: str = COMPAT[0]) -> None:
    """Write ``graph`` to an HDF5 file that ``nir.read`` takes, unless it holds an ``ssa`` attention
    without a body.

    Args:
        graph: typed graph.
        path: file to write.
        compat: ``"1.0.4"`` leaves the resets out, which nir up to 1.0.5 does not know and later ones read
            as the zeros that they are.

    Raises:
        GraphError: for another ``compat``, a reset that is not zero, or a graph outside the portable profile.
    """
    if compat not in COMPAT:
        raise GraphError(f"compat {compat!r}: choose one of {', '.join(COMPAT)}")
    content = to_nir(graph)
    nir.write(path, content if compat == COMPAT[0] else _WithoutResets(content))


class _WithoutResets:
    """What ``nir.write`` asks of a graph, less ``v_reset``."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        self.graph = graph

    def to_dict(self) -> dict[str, Any]:
        return _without_resets(self.graph.to_dict(), "graph")


def _without_resets(content: dict[str, Any], name: str) -> dict[str, Any]:
    if np.any(content.get("v_reset", 0)):
        raise GraphError(f"node {name!r}: v_reset is not 0 and nir 1.0.4 knows no other; write it for 1.0.8")
    kept = {key: value for key, value in content.items() if key != "v_reset"}
    if "nodes" in kept:
        kept["nodes"] = {name: _without_resets(node, name) for name, node in kept["nodes"].items()}
    return kept


def _node(node: Node) -> nir.NIRNode:
    match node:
        case Input(shape):
            return nir.Input(input_type={"input": np.array(shape)})
        case Output(shape):
            return nir.Output(output_type={"output": np.array(shape)})
        case TokenLinear():
            return _convolution(node)
        case Neuron(shape, tau_steps, v_threshold):
            return nir.LIF(
                tau=_full(shape, tau_steps * DT),
                r=_full(shape, 1.0),
                v_leak=_full(shape, 0.0),
                v_reset=_full(shape, 0.0),
                v_threshold=_full(shape, v_threshold),
            )
        case Pool(kernel, padding):
            return nir.AvgPool2d(
                kernel_size=np.array([1, kernel]), stride=np.array([1, 1]), padding=np.array([0, padding])
            )
        case Attention(kind="ssa", body=None):
            return SpikingSelfAttention(node.width, node.heads, node.tokens)
        case Attention(kind="ssa", body=Graph() as body):
            return _nested(body, {"op": SSA, "width": node.width, "heads": node.heads})
        case Attention(kind="sdsa", body=Graph() as body):
            return _nested(body, {"op": SDSA, "width": node.width, "threshold": node.threshold})
    raise GraphError(f"{type(node).__name__}: attention {node.kind!r} without a body; build it with sdsa_body")


def _nested(body: Graph, facts: dict[str, object]) -> nir.NIRGraph:
    """A body as a graph of its own; the facts are advice, the graph means the same without them."""
    inner = to_nir(body)
    inner.metadata = {"spikeport": json.dumps(facts, sort_keys=True)}
    return inner


def _convolution(node: TokenLinear) -> nir.Conv2d:
    """With "same" padding, by which alone nir takes the shape of a kernel that is not square right."""
    return nir.Conv2d(
        input_shape=(1, node.tokens),
        weight=node.kernel(),
        stride=(1, 1),
        padding="same" if node.window > 1 else (0, 0),
        dilation=(1, 1),
        groups=1,
        bias=node.bias,
    )


def _full(shape: Shape, value: float) -> np.ndarray:
    return np.full(shape, value, np.float32)
