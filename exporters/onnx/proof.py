"""What a graph must be for its ONNX model to be exact, and for how many steps it then is."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np

from exporters.nir.graph import (
    Attention,
    Graph,
    Input,
    Neuron,
    Node,
    Output,
    Pool,
    TokenLinear,
    integer_threshold,
    layer_name,
)
from exporters.nir.signals import Signal
from exporters.onnx.errors import OnnxExportError
from exporters.onnx.ranges import FLOAT32_EXACT, entering_ranges


@dataclass(frozen=True)
class Proof:
    """What holds for a graph that passed.

    Attributes:
        order: node names, sources first.
        max_steps: largest T for which every membrane is exact in float32 and the file's stored thresholds
            mean the integer ones.
        limited_by: the neuron that sets it, and why.
    """

    order: tuple[str, ...]
    max_steps: int
    limited_by: str

    def check_steps(self, steps: int) -> None:
        """Refuse a number of steps that is not exact.

        Raises:
            OnnxExportError: naming the neuron that limits it.
        """
        if not 1 <= steps <= self.max_steps:
            raise OnnxExportError(
                f"{self.limited_by}: T = {steps} steps, exact are at most {self.max_steps} (at least 1); "
                "export for another number"
            )


def prove(graph: Graph) -> Proof:
    """Check a graph, node by node.

    Raises:
        OnnxExportError: naming the first node that cannot be run exactly, its value and the limit.
    """
    order = _ordered(graph)
    for name in order:
        if fault := _fault(graph.nodes[name]):
            raise OnnxExportError(f"{name}: {fault}")
    _check_layers(graph)
    entering = entering_ranges(graph, order)
    limits = [_steps(name, graph.nodes[name], entering[name]) for name in order if name in entering]
    most, limited_by = min((limit for limit in limits if limit), default=(24, "no neuron"))
    proof = Proof(tuple(order), most, limited_by)
    declared = graph.metadata.get("steps")
    proof.check_steps(declared if isinstance(declared, int) else 1)
    return proof


def label(name: str) -> str:
    """Layer name of a node; a name without our numbered prefix is kept whole."""
    return layer_name(name) if re.match(r"n\d+_", name) else name


def spiking(graph: Graph) -> dict[str, str]:
    """Layer name by node name of all that spike: neurons, and ``sdsa`` attentions."""
    nodes = graph.nodes
    return {
        name: label(name)
        for name in sorted(nodes)
        if isinstance(nodes[name], Neuron) or getattr(nodes[name], "kind", "") == "sdsa"
    }


def _ordered(graph: Graph) -> list[str]:
    before: dict[str, list[str]] = {name: [] for name in sorted(graph.nodes)}
    for (a, b), count in sorted(Counter(graph.edges).items()):
        if missing := {a, b} - before.keys():
            raise OnnxExportError(f"edge {a} -> {b}: node {min(missing)} does not exist; write the graph again")
        if count > 1:
            raise OnnxExportError(f"edge {a} -> {b}: appears {count} times, the limit is 1; write it once")
        before[b].append(a)
    for kind in (Input, Output):
        count = sum(isinstance(node, kind) for node in graph.nodes.values())
        if count != 1:
            raise OnnxExportError(f"{count} {kind.__name__} nodes, exactly 1 is supported; split the graph")
    for name, sources in before.items():
        if bool(sources) == isinstance(graph.nodes[name], Input):
            wanted = "none" if sources else "at least 1"
            raise OnnxExportError(f"{name}: {len(sources)} edges lead into it, {wanted} may; write the graph again")
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise OnnxExportError(f"cycle {cycle}: a recurrent graph, only acyclic ones are supported; unroll it") from None


def _fault(node: Node) -> str | None:
    match node:
        case TokenLinear():
            return _linear_fault(node)
        case Neuron() if node.is_gate:
            return f"a gate of tau {node.tau_steps:g} steps outside an attention, exact is 2; write an Attention node"
        case Neuron() if node.tau_steps != 2:
            return f"tau is {node.tau_steps:g} steps, exact is 2; train with tau 2"
        case Pool() if node.kernel != 1 or node.padding:
            return f"a pool of kernel {node.kernel} divides, exact is kernel 1; write an Attention node"
        case Attention() if node.kind not in ("ssa", "sdsa"):
            return f"attention {node.kind!r} is not known, supported are ssa and sdsa; export the graph again"
        case Attention() if node.width % node.heads:
            return f"{node.heads} heads do not divide the width {node.width}; export the graph again"
        case Attention(kind="sdsa") if node.threshold < 1:
            return f"attention threshold {node.threshold}, the least is 1; raise it"
    return None


def _linear_fault(node: TokenLinear) -> str | None:
    if node.bias.any():
        first = float(node.bias[np.flatnonzero(node.bias)[0]])
        return f"bias {first:g}, exact is 0: padded tokens must stay silent; send biases through the valid train"
    if np.any(broken := node.weight != np.rint(node.weight)):
        return f"weight {float(node.weight[broken][0]):g} is no integer; lower the model to integers"
    return None


def _check_layers(graph: Graph) -> None:
    names = spiking(graph)
    if twice := [layer for layer, count in Counter(names.values()).items() if count > 1]:
        raise OnnxExportError(f"{twice[0]}: the name of several layers, outputs need 1 each; rename one")


def _steps(name: str, node: Node, current: Signal) -> tuple[int, str] | None:
    """Steps for which a neuron is exact, and its name with the reason.

    After t steps a membrane below the bound is a multiple of 2^-t (2^-(t-1) where all currents are even), so
    it takes ``bound * 2^t <= 2^24``. NIR's ``v > v_threshold`` means ``v >= theta`` on that grid as long as the
    stored threshold is within one grid step below theta.
    """
    if not isinstance(node, Neuron):
        return None
    theta = integer_threshold(node.v_threshold)
    margin = theta - node.v_threshold
    if theta < 1 or not 0 < margin <= 0.5:
        raise OnnxExportError(
            f"{name}: threshold {node.v_threshold:.9g} is not the tie margin below an integer of at least 1; "
            "write theta * (1 - 1e-6)"
        )
    finer = 1 if current.even else 0
    by_range = math.floor(math.log2(FLOAT32_EXACT / max(current.bound, 1))) + finer
    by_margin = math.floor(-math.log2(margin)) + finer
    if by_range <= by_margin:
        return by_range, f"{name}: sums reach {current.bound:.0f}"
    return by_margin, f"{name}: threshold {node.v_threshold:.9g} is stored {margin:.3g} below {theta}"
