"""The part of a graph that a ``.net`` file can hold, found by the names of its first and last layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exporters.lava_dl.chain import Chain, Integers, Layer
from exporters.lava_dl.errors import LavaDlError
from exporters.nir.graph import (
    TIE_MARGIN,
    Attention,
    Graph,
    Input,
    Neuron,
    Output,
    Pool,
    TokenLinear,
    integer_threshold,
    layer_name,
)
from exporters.nir.signals import Signal, propagate

SEQUENTIAL = "netx holds one sequence of linear layers with their neurons"
MESSAGE_LIMIT = 255
THRESHOLD_TOLERANCE = 1e-4
WEIGHT_RANGE = (-256, 254)


def select(graph: Graph, subgraph: str | None = None, steps: int | None = None) -> Chain:
    """The chain of a whole graph, or of the layers FIRST to LAST of it.

    Args:
        graph: integer graph of the portable profile.
        subgraph: ``FIRST:LAST``, each the name of a neuron layer (``block0.fc1``) or of its node; the last may be the
            readout. None for the whole graph.
        steps: T; by default ``graph.metadata["steps"]``.

    Raises:
        LavaDlError: naming the first node that netx cannot hold, or a layer that does not exist.
    """
    return _Selection(graph, steps).chain(subgraph)


class _Selection:
    """A graph with the valid train's relays set apart: they become channels of the chain, or nothing."""

    def __init__(self, graph: Graph, steps: int | None) -> None:
        self.graph = graph
        value = graph.metadata.get("steps") if steps is None else steps
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise LavaDlError(f"graph: metadata 'steps' is {value!r}, needs the number of time steps; pass --steps")
        self.steps = value
        self.order = sorted(graph.nodes)
        self.signals, _ = propagate(graph, self.order)
        self.relays = {name for name in self.order if self._is_relay(name)}

    def chain(self, subgraph: str | None) -> Chain:
        first, last = self._ends(subgraph)
        layers: list[Layer] = []
        self._check_kinds(first, last)
        at, entry = last, ""
        while not entry:
            layer, source = self._layer(at, first)
            layers.insert(0, layer)
            if at == first or isinstance(self.graph.nodes[source], Input):
                entry = source
            at = source
        return self._closed(tuple(layers), entry)

    def _closed(self, layers: tuple[Layer, ...], entry: str) -> Chain:
        signal = self.signals[entry]
        if not signal.integral or (signal.low < 0).any() or signal.bound > MESSAGE_LIMIT:
            raise LavaDlError(
                f"{entry}: sends messages up to {signal.bound:g}, netx takes whole numbers 0..{MESSAGE_LIMIT}; start "
                "behind another layer"
            )
        return Chain(layers, entry, signal.channels, signal.tokens, self.steps, int(signal.bound))

    def _ends(self, subgraph: str | None) -> tuple[str, str]:
        """Nodes of the first and of the last layer; the first is empty for the whole graph."""
        if subgraph is None:
            return "", self._spiking_output() or self.graph.output
        first, colon, last = subgraph.partition(":")
        if not colon or not first or not last:
            raise LavaDlError(f"subgraph {subgraph!r}: needs FIRST:LAST, such as block0.fc1:block0.fc2")
        return self._named(first), self._named(last)

    def _spiking_output(self) -> str:
        """The neurons that the output repeats, where a graph ends in spikes."""
        sources = self.graph.sources(self.graph.output)
        return sources[0] if len(sources) == 1 and isinstance(self.graph.nodes[sources[0]], Neuron) else ""

    def _named(self, name: str) -> str:
        spiking = [n for n in self.order if isinstance(self.graph.nodes[n], Neuron)]
        found = [n for n in spiking if name in (n, layer_name(n))]
        if not found and name in {self.graph.output, *map(layer_name, self._readouts())}:
            return self.graph.output
        if len(found) != 1:
            known = ", ".join(layer_name(n) for n in spiking if n not in self.relays)
            raise LavaDlError(f"subgraph: no neuron layer {name!r}; the graph has {known}")
        return found[0]

    def _readouts(self) -> list[str]:
        return [self.graph.output, *self.graph.sources(self.graph.output)]

    def _check_kinds(self, first: str, last: str) -> None:
        """Name the first node on any way from ``first`` to ``last`` that is no linear and no neuron."""
        before = self._reach(last, self.graph.sources)
        if first and first not in before:
            raise LavaDlError(
                f"{last}: does not follow {first}; name two layers of one sequence, the earlier one first"
            )
        on_the_way = before & self._reach(first or self.graph.input, self.graph.targets)
        for name in sorted(on_the_way):
            node = self.graph.nodes[name]
            if isinstance(node, Attention):
                raise LavaDlError(f"{name}: an attention; {SEQUENTIAL}; choose layers before or behind it")
            if isinstance(node, Pool) and not self._is_sum(name):
                what = "a residual sum" if node.kernel == 1 else f"a pool over {node.kernel} tokens"
                raise LavaDlError(f"{name}: {what}; {SEQUENTIAL}; choose layers before or behind it")
            if isinstance(node, Neuron) and name != last and name not in self.relays:
                self._check_fan_out(name, on_the_way)

    def _check_fan_out(self, name: str, on_the_way: set[str]) -> None:
        readers = [n for n in self.graph.targets(name) if n in on_the_way]
        if len(readers) > 1:
            raise LavaDlError(
                f"{readers[1]}: a second branch from {name} beside {readers[0]}; {SEQUENTIAL}; choose layers before or "
                "behind it"
            )

    def _is_sum(self, name: str) -> bool:
        """A junction of linears only: a weight and its biases."""
        node = self.graph.nodes[name]
        return (
            isinstance(node, Pool)
            and node.kernel == 1
            and node.padding == 0
            and all(self._is_sum(s) or isinstance(self.graph.nodes[s], TokenLinear) for s in self.graph.sources(name))
        )

    def _reach(self, start: str, step: Callable[[str], list[str]]) -> set[str]:
        seen, ahead = {start}, [start]
        while ahead:
            for name in step(ahead.pop()):
                if name not in seen:
                    seen.add(name)
                    ahead.append(name)
        return seen

    def _writers(self, name: str) -> list[str]:
        """Linears whose sum enters a node; junctions of linears are looked through."""
        found: list[str] = []
        for source in self.graph.sources(name):
            node = self.graph.nodes[source]
            if isinstance(node, TokenLinear):
                found.append(source)
            elif self._is_sum(source):
                found += self._writers(source)
            else:
                what = "an attention" if isinstance(node, Attention) else f"a {type(node).__name__}"
                raise LavaDlError(f"{source}: {what} feeds {name}, needs a linear; {SEQUENTIAL}")
        return found

    def _layer(self, name: str, first: str) -> tuple[Layer, str]:
        """The layer that ends in ``name``, and the node whose messages enter it."""
        node = self.graph.nodes[name]
        writers = self._writers(name)
        biases = [w for w in writers if all(s in self.relays for s in self.graph.sources(w))]
        weights = [w for w in writers if w not in biases]
        if len(weights) != 1:
            raise LavaDlError(f"{name}: {len(weights)} linears feed it besides its biases, needs 1; {SEQUENTIAL}")
        linear = self.graph.nodes[weights[0]]
        assert isinstance(linear, TokenLinear)
        sources = self.graph.sources(weights[0])
        if len(sources) != 1 or not isinstance(self.graph.nodes[sources[0]], Neuron | Input | Pool | Attention):
            raise LavaDlError(f"{weights[0]}: {len(sources)} nodes feed it, needs 1; {SEQUENTIAL}")
        if name != first and not isinstance(self.graph.nodes[sources[0]], Neuron | Input):
            kind = type(self.graph.nodes[sources[0]]).__name__
            raise LavaDlError(f"{sources[0]}: a {kind} feeds {weights[0]}, needs a neuron; {SEQUENTIAL}")
        weight = _integers(weights[0], linear)
        bias = np.zeros(len(weight), np.int64)
        for other in biases:
            node_b = self.graph.nodes[other]
            assert isinstance(node_b, TokenLinear)
            bias += _integers(other, node_b).sum(axis=1)
        threshold = _threshold(name, node) if isinstance(node, Neuron) else None
        shown = layer_name(weights[0]).removesuffix(".weight") if isinstance(node, Output) else layer_name(name)
        bound = _bound(weight, bias, self.signals[sources[0]].windowed(linear.window))
        return Layer(shown, name, weight, bias, linear.window, threshold, bound), sources[0]

    def _is_relay(self, name: str) -> bool:
        """Whether every channel of a neuron repeats the valid train, the last channel of the input."""
        node = self.graph.nodes[name]
        if not isinstance(node, Neuron) or node.is_gate:
            return False
        for writer in self.graph.sources(name):
            linear = self.graph.nodes[writer]
            if not isinstance(linear, TokenLinear) or linear.window > 1 or np.any(linear.bias):
                return False
            if any(not isinstance(self.graph.nodes[s], Input) for s in self.graph.sources(writer)):
                return False
            if linear.weight[:, :-1].any() or (linear.weight[:, -1] < 2 * node.v_threshold).any():
                return False
        return bool(self.graph.sources(name))


def _integers(name: str, node: TokenLinear) -> Integers:
    """The matrix as even 8-bit integers.

    Raises:
        LavaDlError: for a bias current, or a weight that a mixed-sign 8-bit synapse does not hold.
    """
    if np.any(node.bias):
        worst = float(node.bias[np.abs(node.bias).argmax()])
        raise LavaDlError(f"{name}: a bias current of {worst:g}, needs 0; let biases ride on the valid train")
    low, high = WEIGHT_RANGE
    wrong = (node.weight % 2 != 0) | (node.weight < low) | (node.weight > high)
    if wrong.any():
        value = float(node.weight[wrong][0])
        raise LavaDlError(f"{name}: weight {value:g}, Loihi holds even integers {low}..{high}; lower the model first")
    return node.weight.astype(np.int64)


def _threshold(name: str, node: Neuron) -> int:
    if node.tau_steps != 2.0:
        what = "a stateless gate" if node.is_gate else "a neuron"
        raise LavaDlError(f"{name}: {what} with tau {node.tau_steps:g} steps, needs 2; choose other layers")
    threshold, meant = integer_threshold(node.v_threshold), node.v_threshold / (1.0 - TIE_MARGIN)
    if threshold < 1 or abs(meant - threshold) > THRESHOLD_TOLERANCE * threshold:
        raise LavaDlError(f"{name}: threshold {meant:g}, needs an integer of at least 1; lower the model first")
    return threshold


def _bound(weight: Integers, bias: Integers, entering: Signal) -> int:
    """Largest magnitude of a sum: positive and negative weights apart, times the largest message."""
    most = entering.high
    high = weight.clip(min=0) @ most + bias.clip(min=0)
    low = -(weight.clip(max=0) @ most + bias.clip(max=0))
    return int(max(high.max(initial=0), low.max(initial=0)))
