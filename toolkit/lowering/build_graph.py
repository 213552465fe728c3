"""Integers to the NIR graph that everything right of lowering reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph, TokenLinear, layer_name
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body
from exporters.nir.write import DT, PROFILE
from toolkit.errors import SpikeportError
from toolkit.lowering.attention_body import attention_form
from toolkit.lowering.passes import State, refuse_unless_same
from toolkit.lowering.round_weights import check_integers
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import WEIGHT_MAX, WEIGHT_MIN, Integers

RELAY = 2  # weight with which a spike re-fires at theta = 1: v = 2 / 2


@dataclass(frozen=True)
class BuildGraph:
    """The integers as a graph, its attention written as asked for.

    Requires: integers and a bound for every layer, at least one token slot. Ensures: the graph holds these
    integers. A graph of which a bound is only measured says so: ``"bounds": "calibrated"`` in its metadata.
    """

    name = "build_graph"

    def requires(self, state: State) -> None:
        refuse_unless_same("integer form", set(state.integers), set(state.affine))
        refuse_unless_same("bound", set(state.bounds) & set(state.affine), set(state.affine))
        for name, layer in state.integers.items():
            check_integers(name, layer)
        if state.tokens < 1:
            raise SpikeportError(f"tokens {state.tokens}: a graph needs at least 1 slot; choose a larger number")

    def run(self, state: State) -> State:
        form = attention_form(state.config, state.tokens, state.attention_body)
        graph = build_graph(state.config, state.integers, state.tokens, gates=form.body == "gates")
        if any(bound.kind == "calibrated" for bound in state.bounds.values()):
            graph.metadata["bounds"] = "calibrated"
        return replace(state, attention=form, graph=graph)

    def ensures(self, state: State) -> None:
        assert state.graph is not None  # run has just built it
        linears = {layer_name(n): node for n, node in state.graph.nodes.items() if isinstance(node, TokenLinear)}
        for name, layer in state.integers.items():
            weight, bias = linears.get(f"{name}.weight"), linears.get(f"{name}.bias")
            same = weight is not None and bias is not None and np.array_equal(weight.weight, layer.weight.numpy())
            if not same or not np.array_equal(bias.weight.sum(axis=1), layer.bias.numpy()):  # type: ignore[union-attr]
                raise SpikeportError(f"layer {name}: the graph does not hold its integers; build it again")


def build_graph(
    config: StudentConfig, layers: dict[str, Integers], tokens: int | None = None, gates: bool = False
) -> Graph:
    """The student as an integer graph over N = ``tokens`` slots; with ``gates``, ``ssa`` carries its body.

    Requires: ``layers`` hold even integers within 8 bits. Ensures: the portable profile; a padded token
    is silent in every layer; biases ride on the valid train.
    """
    build = GraphBuilder(tokens or config.tokens)
    columns = relay_columns(layers)
    width = config.width
    source = build.input(width + 1)
    cut_valid = np.zeros((columns, width + 1), np.float32)
    cut_valid[:, width] = RELAY
    valid = build.neuron("valid", columns, 1, build.linear("valid.cut", cut_valid, source))
    cut_code = RELAY * np.eye(width, width + 1, dtype=np.float32)
    x = build.neuron("code", width, 1, build.linear("code.cut", cut_code, source))

    def layer(name: str, signal: str, window: int = 1) -> str:
        weighted, biased = _affine(build, name, layers[name], signal, valid, columns, window)
        return build.neuron(name, len(layers[name].bias), layers[name].theta, weighted, biased)

    if config.window > 1:
        x = build.junction("residual0", x, layer("local", x, config.window))
    for i in range(config.layers):
        block = f"block{i}"
        q, k, v = (layer(f"{block}.{name}", x) for name in ("q", "k", "v"))
        attended = _attention(build, config, f"{block}.attention", (q, k, v), valid, gates)
        x = build.junction(f"{block}.residual1", x, layer(f"{block}.o", attended))
        x = build.junction(f"{block}.residual2", x, layer(f"{block}.fc2", layer(f"{block}.fc1", x)))
    weighted, biased = _affine(build, "readout", layers["readout"], x, valid, columns)
    return build.finish(build.junction("readout", weighted, biased), _metadata(config, layers))


def bias_columns(bias: Tensor) -> NDArray[np.float32]:
    """A bias as weights from identical valid trains: (out, R) even integers in [-256, 254], row sums = bias."""
    rest = bias.numpy().astype(np.int64)
    columns: list[NDArray[np.int64]] = []
    while not columns or np.any(rest):
        column = np.clip(rest, WEIGHT_MIN, WEIGHT_MAX)
        columns.append(column)
        rest = rest - column
    return np.stack(columns, axis=1).astype(np.float32)


def relay_columns(layers: dict[str, Integers]) -> int:
    """R: identical valid trains that the largest bias of the network needs."""
    return max(bias_columns(layer.bias).shape[1] for layer in layers.values())


def _affine(
    build: GraphBuilder, name: str, layer: Integers, signal: str, valid: str, columns: int, window: int = 1
) -> tuple[str, str]:
    bias = bias_columns(layer.bias)
    padded = np.pad(bias, ((0, 0), (0, columns - bias.shape[1])))
    weighted = build.linear(f"{name}.weight", layer.weight.numpy(), signal, window)
    return weighted, build.linear(f"{name}.bias", padded, valid)


def _attention(
    build: GraphBuilder, config: StudentConfig, name: str, qkv: tuple[str, str, str], valid: str, gates: bool
) -> str:
    width, theta = config.width, config.attention_threshold
    signals = [(suffix, node, width) for suffix, node in zip("qkv", qkv, strict=True)]
    if config.attention == "ssa":
        packed = build.pack(name, signals, 3 * width)
        inside = ssa_body(width, config.heads, build.tokens) if gates else None
        node = Attention("ssa", width, config.heads, build.tokens, 0, inside)
        return build.neuron(name, width, theta, build.attention(f"{name}.sum", node, packed))
    packed = build.pack(name, [*signals, ("valid", valid, 1)], 3 * width + 1)
    body = sdsa_body(width, build.tokens, theta)
    return build.attention(name, Attention("sdsa", width, 1, build.tokens, theta, body), packed)


def _metadata(config: StudentConfig, layers: dict[str, Integers]) -> dict[str, object]:
    return {
        "profile": PROFILE,
        "dt": DT,
        "tau_steps": 2,
        "steps": config.steps,
        "thresholds": {name: layer.theta for name, layer in layers.items()},
        "student": config.to_dict(),
        "input": "channels 0..D-1: host encoder's spike code; channel D: one spike per valid token and step",
        "readout": "integer logits per token and step; sum both on the host; ties go to the lowest label",
    }
