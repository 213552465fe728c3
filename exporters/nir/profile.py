"""What must hold of a graph before it is written; else a stock reader fails on it, or runs it as something else.

Each rule keeps a file out of a trap that was measured in nir 1.0.8, nirtorch 2.6 or a reader that stands on them;
:mod:`exporters.nir.reader_rules` has the same traps for files of other people.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.graph import TIE_MARGIN, Graph, Input, Neuron, Node, Output, Pool, TokenLinear, integer_threshold

USUAL_STEPS = 4  # where the metadata names no T: the longest window of an integer student


def check_profile(graph: Graph) -> None:
    """Refuse a graph that the portable profile does not allow; nested bodies are graphs of their own.

    Raises:
        GraphError: the first fault: node or edge, value, limit, next step.
    """
    for fault in (*_names(graph), *_ports(graph), *_edges(graph), *_nodes(graph)):
        raise GraphError(fault)


def metadata_text(metadata: dict[str, object]) -> str:
    """The facts as one JSON string: nir loses None, numbers without axes, lists of text and keys with a slash.

    Raises:
        GraphError: a value that JSON does not hold.
    """
    try:
        return json.dumps(metadata, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise GraphError(f"metadata: cannot be written as JSON ({error}); use numbers, text, lists, None") from None


def _names(graph: Graph) -> Iterator[str]:
    plain: dict[str, str] = {}
    for name in graph.nodes:
        if not name or "/" in name:
            yield f"node {name!r}: an empty name, or a '/' in it, makes the file unreadable; rename it"
        if (first := plain.setdefault(name.replace(".", "_"), name)) != name:
            yield f"node {name!r}: nirtorch makes one name of it and of {first!r} ('.' becomes '_'); rename one"


def _ports(graph: Graph) -> Iterator[str]:
    for kind in (Input, Output):
        if (count := sum(isinstance(node, kind) for node in graph.nodes.values())) != 1:
            yield f"graph: {count} {kind.__name__} nodes, readers run exactly 1; split or close the graph"


def _edges(graph: Graph) -> Iterator[str]:
    for (a, b), count in Counter(graph.edges).items():
        if missing := [end for end in (a, b) if end not in graph.nodes]:
            yield f"edge {a!r} -> {b!r}: node {missing[0]!r} does not exist; add it"
        elif count > 1:
            yield f"edge {a!r} -> {b!r}: written {count} times, nirtorch takes it once; double a weight instead"
        elif a >= b:
            yield (
                f"edge {a!r} -> {b!r}: names are not in topological order, and files are read in that of the alphabet; "
                "number the nodes with enough digits"
            )
    arriving = Counter(b for _, b in graph.edges)
    for name, node in graph.nodes.items():
        least, most = _room(node)
        if not least <= arriving[name] <= most:
            yield f"node {name!r}: {arriving[name]} edges into it, needs {least} to {most}; join two at a time"
    leaving = {a for a, _ in graph.edges}
    for name, node in graph.nodes.items():
        if name not in leaving and not isinstance(node, Output):
            yield f"node {name!r}: no edge out of it, nir would add an Output of its own; connect or remove it"


def _room(node: Node) -> tuple[int, int]:
    """Fewest and most edges into a node: nir gives one without any an Input of its own, nirtorch adds three in any
    order, and makes a tuple of two into an Output.
    """
    if isinstance(node, Input):
        return 0, 0
    return (1, 1) if isinstance(node, Output) else (1, 2)


def _nodes(graph: Graph) -> Iterator[str]:
    stated = graph.metadata.get("steps")
    steps = stated if isinstance(stated, int) else USUAL_STEPS
    for name, node in graph.nodes.items():
        match node:
            case TokenLinear():
                yield from (f"node {name!r}: {why}" for why in _linear(node))
            case Neuron():
                yield from (f"node {name!r}: {why}" for why in _neuron(node, steps))
            case Pool(kernel, padding) if kernel != 2 * padding + 1:
                yield (
                    f"node {name!r}: a mean over {kernel} tokens with {padding} padded, needs 2 padded + 1; only sums "
                    "over tokens stay exact (sum the logits on the host)"
                )


def _linear(node: TokenLinear) -> Iterator[str]:
    for what, values in (("weight", node.weight), ("bias", node.bias)):
        if not isinstance(values, np.ndarray):
            yield f"{what} is {type(values).__name__}, nir writes arrays only; give zeros where there is none"
        elif not (np.isfinite(values).all() and np.array_equal(values.astype(np.float32), values)):
            yield f"{what} holds a value that float32 does not; round it first"
    if isinstance(node.bias, np.ndarray) and node.bias.shape != node.weight.shape[:1]:
        yield f"bias of shape {node.bias.shape}, needs {node.weight.shape[:1]}: one for each output"


def _neuron(node: Neuron, steps: int) -> Iterator[str]:
    if node.tau_steps != 2.0 and not 1.0 < node.tau_steps < 1.001:
        yield (
            f"tau is {node.tau_steps:g} steps, stock readers are exact at 2 (neuron) and 1.00001 (gate; SpikingJelly "
            "refuses 1); choose one"
        )
    if not np.isfinite(node.v_threshold) or float(node.v_threshold).is_integer():
        yield (
            f"v_threshold is {node.v_threshold:g}: readers differ in whether a membrane at a whole number fires; write "
            "it a tie margin lower (GraphBuilder does)"
        )
    elif not node.is_gate and (meant := integer_threshold(node.v_threshold)) * TIE_MARGIN >= 2.0 ** -(steps + 1):
        yield (
            f"threshold {meant} at T = {steps}: its tie margin {meant * TIE_MARGIN:.3g} is not below half the "
            f"membrane's grid, {2.0 ** -(steps + 1):.3g}; lower it or take fewer steps"
        )
