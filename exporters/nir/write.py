"""Typed graph to NIR file. Same graph, same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, Shape, TokenLinear

DT = 1e-4  # seconds per step; snnTorch knows no other, so the file's tau is in this unit
PROFILE = "spikeport.portable/1"
SSA, SDSA = "spiking_self_attention", "spike_driven_self_attention"  # what a nested graph says it computes


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
    """The graph as ``nir`` objects, type-checked by ``nir`` itself."""
    nodes = {name: _node(node) for name, node in graph.nodes.items()}
    metadata = {"spikeport": json.dumps(graph.metadata, sort_keys=True)} if graph.metadata else {}
    return nir.NIRGraph(nodes=nodes, edges=sorted(graph.edges, key=lambda e: (e[1], e[0])), metadata=metadata)


def write_graph(graph: Graph, path: Path) -> None:
    """Write ``graph`` to an HDF5 file that ``nir.read`` takes, unless it holds an ``ssa`` attention without a body."""
    nir.write(path, to_nir(graph))


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
    """A window of w tokens as a kernel (1, 2w - 1) centred on the token, zero to its left.

    nir gives only a centred kernel an unambiguous place ("same" over an odd width), and takes the output
    shape of a kernel that is not square right with "same" alone.
    """
    kernel = np.zeros((len(node.weight), node.inputs, 1, 2 * node.window - 1), np.float32)
    kernel[:, :, 0, node.window - 1 :] = node.taps().transpose(1, 2, 0)
    return nir.Conv2d(
        input_shape=(1, node.tokens),
        weight=kernel,
        stride=(1, 1),
        padding="same" if node.window > 1 else (0, 0),
        dilation=(1, 1),
        groups=1,
        bias=node.bias,
    )


def _full(shape: Shape, value: float) -> np.ndarray:
    return np.full(shape, value, np.float32)
