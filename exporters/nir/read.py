"""NIR file to typed graph. The HDF5 is parsed here, so that node types outside nir's list can be known.

Everything is checked before it is believed: what our types cannot hold exactly is refused by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.nir.bodies import recognise
from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, Shape, TokenLinear
from exporters.nir.write import DT, SDSA, SSA

SUPPORTED = {
    "Input": "",
    "Output": "",
    "Conv2d": " (1x1, or 1 x (2w - 1) looking ahead)",
    "LIF": "",
    "AvgPool2d": " (1 x k)",
    "NIRGraph": " (attention)",
    "SpikingSelfAttention": "",
}

# What a file that is no NIR file, or a damaged one, makes h5py and numpy raise.
MALFORMED = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


def read_graph(path: Path) -> Graph:
    """Read a NIR file of the portable profile.

    Raises:
        GraphError: no such file, no HDF5, a node that cannot be run exactly (named), or a broken edge.
    """
    if not path.is_file():
        raise GraphError(f"{path}: no such file; name a NIR file (export one with `spikeport export nir`)")
    try:
        with h5py.File(path, "r") as file:
            return _graph(file["node"], "")
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None
    except MALFORMED as error:
        raise GraphError(f"{path}: not a readable NIR file ({_reason(error)}); copy or export it again") from None


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _graph(group: Any, where: str) -> Graph:
    names = sorted(group["nodes"])
    for name in names:  # before any is parsed: a node of another type is the reason to tell first
        _check_kind(group["nodes"][name], f"{where}{name}")
    nodes = {name: _node(group["nodes"][name], f"{where}{name}") for name in names}
    at = f"node {where.rstrip('/')!r}: " if where else ""
    edges = [(a.decode(), b.decode()) for a, b in group["edges"][()]]
    if twice := [edge for edge, count in Counter(edges).items() if count > 1]:
        raise GraphError(f"{at}edge {twice[0]}: appears twice, and readers differ in what that means; write it once")
    for edge in edges:
        for end in edge:
            if end not in nodes:
                raise GraphError(f"{at}edge {edge}: node {end!r} does not exist; export the file again")
    for kind in (Input, Output):
        count = sum(isinstance(node, kind) for node in nodes.values())
        if count != 1:
            raise GraphError(f"{at}{count} {kind.__name__} nodes, exactly 1 is supported; split the graph")
    graph = Graph(nodes, edges, _metadata(group))
    _check_order(graph, at)
    return graph


def _check_order(graph: Graph, at: str) -> None:
    position = {name: i for i, name in enumerate(sorted(graph.nodes))}
    for a, b in graph.edges:
        if position[a] >= position[b]:
            raise GraphError(
                f"{at}edge {a!r} -> {b!r}: names are not in topological order or the graph is recurrent; "
                "only feed-forward graphs with ordered names are supported"
            )


def _metadata(group: Any) -> dict[str, Any]:
    try:
        content = json.loads(group["metadata"]["spikeport"][()])
        return content if isinstance(content, dict) else {}
    except (KeyError, ValueError, TypeError):
        return {}


def _check_kind(group: Any, name: str) -> None:
    try:
        kind = group["type"][()].decode()
    except MALFORMED as error:
        raise GraphError(f"node {name!r}: cannot be read ({_reason(error)}); export the file again") from None
    if kind not in SUPPORTED:
        listed = ", ".join(known + note for known, note in SUPPORTED.items())
        raise GraphError(f"node {name!r}: type {kind} is not supported; supported: {listed}")


def _node(group: Any, name: str) -> Node:
    kind = group["type"][()].decode()
    readers: dict[str, Callable[[], Node]] = {
        "Input": lambda: Input(_shape(group["shape"][()], name)),
        "Output": lambda: Output(_shape(group["shape"][()], name)),
        "Conv2d": lambda: _token_linear(group, name),
        "LIF": lambda: _neuron(group, name),
        "AvgPool2d": lambda: _pool(group, name),
        "NIRGraph": lambda: _composite(group, name),
        "SpikingSelfAttention": lambda: _self_attention(group, name),
    }
    try:
        return readers[kind]()
    except GraphError:
        raise
    except MALFORMED as error:
        raise GraphError(f"node {name!r}: cannot be read ({_reason(error)}); export the file again") from None


def _shape(value: Any, name: str) -> Shape:
    sizes = tuple(int(v) for v in np.atleast_1d(value))
    if len(sizes) != 3 or sizes[1] != 1 or min(sizes) < 1:
        raise GraphError(f"node {name!r}: shape {sizes}, needs (channels, 1, tokens); lay tokens on the last axis")
    return sizes


def _token_linear(group: Any, name: str) -> TokenLinear:
    weight, bias = _float32(group, "weight", name), _float32(group, "bias", name)
    if weight.ndim != 4 or not weight.size or weight.shape[2] != 1 or int(np.max(group["groups"][()])) != 1:
        raise GraphError(
            f"node {name!r}: Conv2d with weight {weight.shape} and groups {group['groups'][()]}, needs a 1x1 or "
            "1 x (2w - 1) kernel and 1 group; only maps along the tokens are supported"
        )
    window = _window(weight, name)
    wanted_padding: object = 0 if window == 1 else b"same"
    for key, wanted in (("stride", 1), ("dilation", 1), ("padding", wanted_padding)):
        if not np.all(np.asarray(group[key][()]) == wanted):
            raise GraphError(
                f"node {name!r}: {key} {group[key][()]} at kernel {weight.shape[2:]}, needs {wanted!r}; export it again"
            )
    sizes = np.atleast_1d(group["input_shape"][()])
    if sizes.shape != (2,) or sizes[0] != 1 or bias.shape != weight.shape[:1]:
        raise GraphError(
            f"node {name!r}: input_shape {sizes.tolist()} and bias {bias.shape} for weight {weight.shape}, needs "
            "(1, tokens) and one bias an output; lay tokens on the last axis"
        )
    taps = weight[:, :, 0, window - 1 :].transpose(0, 2, 1)
    return TokenLinear(np.ascontiguousarray(taps.reshape(len(weight), -1)), bias, int(sizes[1]), window)


def _window(weight: NDArray[np.float32], name: str) -> int:
    """Tokens that a kernel (1, 2w - 1) sees, itself and w - 1 ahead: padding must not hear the sentence before it."""
    width = weight.shape[3]
    window = (width + 1) // 2
    if width % 2 == 0 or np.any(weight[..., : window - 1]):
        raise GraphError(
            f"node {name!r}: Conv2d with weight {weight.shape}, needs a 1x1 kernel or an odd width whose "
            f"{window - 1} columns before the middle are zero (padding stays silent so); look ahead instead"
        )
    return window


def _float32(group: Any, key: str, name: str) -> NDArray[np.float32]:
    """A dataset as float32, which must hold every value of it."""
    values = np.asarray(group[key][()])
    with np.errstate(over="ignore", invalid="ignore"):
        held = values.astype(np.float32)
    if not (np.array_equal(held, values) and np.isfinite(held).all()):
        raise GraphError(f"node {name!r}: {key} holds a value that float32 does not; round the weights first")
    return held


def _uniform(group: Any, key: str, name: str) -> float:
    values = np.unique(group[key][()])
    if len(values) != 1:
        raise GraphError(f"node {name!r}: {key} takes {len(values)} values, needs one for the whole node; split it")
    if not np.isfinite(values[0]):
        raise GraphError(f"node {name!r}: {key} is {values[0]}, needs a finite number; export the file again")
    return float(values[0])


def _neuron(group: Any, name: str) -> Neuron:
    r, leak = _uniform(group, "r", name), _uniform(group, "v_leak", name)
    reset = _uniform(group, "v_reset", name) if "v_reset" in group else 0.0
    for key, value, wanted in (("r", r, 1.0), ("v_leak", leak, 0.0), ("v_reset", reset, 0.0)):
        if value != wanted:
            raise GraphError(f"node {name!r}: {key} is {value}, needs {wanted}; rescale the neuron to the profile")
    tau = _uniform(group, "tau", name) / DT
    steps = 2.0 if abs(tau - 2.0) < 1e-6 else tau
    if steps != 2.0 and not 1.0 < steps < 1.001:
        raise GraphError(
            f"node {name!r}: tau is {tau:g} steps of {DT:g} s, supported are 2 (neuron) and 1.00001 (gate)"
        )
    return Neuron(_shape(group["tau"].shape, name), steps, _uniform(group, "v_threshold", name))


def _pool(group: Any, name: str) -> Pool:
    kernel, stride, padding = (np.atleast_1d(group[k][()]) for k in ("kernel_size", "stride", "padding"))
    if kernel[0] != 1 or np.any(stride != 1) or padding[0] != 0 or kernel[-1] != 2 * padding[-1] + 1:
        raise GraphError(
            f"node {name!r}: AvgPool2d kernel {kernel.tolist()} stride {stride.tolist()} padding "
            f"{padding.tolist()}, needs (1, 2p + 1), 1 and (0, p); only token sums are supported"
        )
    return Pool(int(kernel[-1]), int(padding[-1]))


def _self_attention(group: Any, name: str) -> Attention:
    width, heads, tokens = (int(group[key][()]) for key in ("width", "heads", "tokens"))
    if min(width, heads, tokens) < 1 or width % heads:
        raise GraphError(
            f"node {name!r}: attention of width {width}, {heads} heads and {tokens} tokens, needs positive sizes and "
            "heads that divide the width; export the file again"
        )
    return Attention("ssa", width, heads, tokens, 0)


def _composite(group: Any, name: str) -> Attention:
    facts = _metadata(group)
    if facts.get("op") not in (SSA, SDSA):
        raise GraphError(f"node {name!r}: nested graph {facts.get('op')!r} is not known; inline it")
    attention = recognise(facts, _graph(group, f"{name}/"), name)
    if attention is None:
        raise GraphError(f"node {name!r}: its body is not the attention its metadata claims; export it again")
    return attention
