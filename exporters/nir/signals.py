"""What is known of every signal before a run: channels, tokens, range, integrality.

Ranges are per channel and keep positive and negative contributions apart, so that every partial sum,
in whatever order a library adds, lies within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, Pool, TokenLinear

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signal:
    """Messages of one node.

    Attributes:
        low, high: bounds per channel, (C,), ``low <= 0 <= high``.
        tokens: N.
        integral: all messages are integers.
        even: all messages are even integers.
    """

    low: Values
    high: Values
    tokens: int
    integral: bool
    even: bool = False

    @property
    def channels(self) -> int:
        """C."""
        return len(self.high)

    @property
    def bound(self) -> float:
        """Largest absolute value of a message or of a partial sum of it."""
        return float(max(self.high.max(initial=0.0), -self.low.min(initial=0.0)))

    def windowed(self, size: int) -> Signal:
        """The messages of each token and of the ``size - 1`` next ones, side by side."""
        return replace(self, low=np.tile(self.low, size), high=np.tile(self.high, size))

    @property
    def is_spikes(self) -> bool:
        """Messages are 0 or 1."""
        return self.integral and self.bound <= 1 and bool((self.low == 0).all())


def spikes(channels: int, tokens: int) -> Signal:
    """A spike train of ``channels`` by ``tokens``."""
    return Signal(np.zeros(channels), np.ones(channels), tokens, integral=True)


def total(name: str, sources: Sequence[Signal]) -> Signal:
    """Sum of the edges into node ``name``.

    Raises:
        GraphError: where their shapes differ.
    """
    first = sources[0]
    for other in sources[1:]:
        if (other.channels, other.tokens) != (first.channels, first.tokens):
            raise GraphError(
                f"{name}: edges of {other.channels} x {other.tokens} and {first.channels} x {first.tokens} "
                "channels x tokens meet, only equal shapes add up; write the graph again"
            )
    low = np.sum([s.low for s in sources], axis=0)
    high = np.sum([s.high for s in sources], axis=0)
    integral, even = all(s.integral for s in sources), all(s.even for s in sources)
    return Signal(low, high, first.tokens, integral, even)


def propagate(graph: Graph, order: Sequence[str]) -> tuple[dict[str, Signal], dict[str, Signal]]:
    """Signals that leave each node, and the sums that enter it.

    Raises:
        GraphError: for shapes that do not fit.
    """
    outgoing: dict[str, Signal] = {}
    entering: dict[str, Signal] = {}
    for name in order:
        node = graph.nodes[name]
        if isinstance(node, Input):
            outgoing[name] = spikes(node.shape[0], node.shape[2])
            continue
        entering[name] = total(name, [outgoing[s] for s in graph.sources(name)])
        _check_channels(name, node, entering[name])
        outgoing[name] = _leaving(name, node, entering[name])
    return outgoing, entering


def _leaving(name: str, node: Node, x: Signal) -> Signal:
    match node:
        case TokenLinear():
            return _through(node, x)
        case Neuron():
            return spikes(node.shape[0], node.shape[2])
        case Pool():
            return _pooled(name, node, x)
        case Attention(kind="sdsa"):
            return spikes(node.width, node.tokens)
        case Attention():
            most = float(node.tokens * (node.width // node.heads))
            return Signal(np.zeros(node.width), np.full(node.width, most), node.tokens, integral=True)
        case _:
            return x


def _through(node: TokenLinear, x: Signal) -> Signal:
    weight, bias, x = node.weight.astype(np.float64), node.bias.astype(np.float64), x.windowed(node.window)
    plus, minus = weight.clip(min=0), weight.clip(max=0)
    high = plus @ x.high + minus @ x.low + bias.clip(min=0)
    low = plus @ x.low + minus @ x.high + bias.clip(max=0)
    integral = x.integral and _integers(weight) and _integers(bias)
    even = integral and _integers(bias / 2) and (x.even or _integers(weight / 2))
    return Signal(low, high, x.tokens, integral, even)


def _integers(values: Values) -> bool:
    return bool((values == np.rint(values)).all())


def _pooled(name: str, node: Pool, x: Signal) -> Signal:
    if node.kernel == 1 and node.padding == 0:
        return x
    tokens = x.tokens + 2 * node.padding - node.kernel + 1
    if tokens < 1 or 2 * node.padding > node.kernel:
        raise GraphError(
            f"{name}: kernel {node.kernel} with padding {node.padding} does not fit {x.tokens} tokens; "
            "padding may be half the kernel"
        )
    share = min(node.kernel, x.tokens) / node.kernel
    return Signal(x.low * share, x.high * share, tokens, integral=False)


def _check_channels(name: str, node: Node, x: Signal) -> None:
    match node:
        case TokenLinear():
            wanted: tuple[int, int] = (node.inputs, node.tokens)
        case Neuron() | Output():
            wanted = (node.shape[0], node.shape[2])
        case Attention():
            packed = 3 * node.width  # sdsa: any number of copies of the valid train follow, the first is read
            wanted = (packed if node.kind == "ssa" else max(packed + 1, x.channels), node.tokens)
        case _:
            return
    if (x.channels, x.tokens) != wanted:
        raise GraphError(
            f"{name}: {x.channels} channels x {x.tokens} tokens enter, {wanted[0]} x {wanted[1]} are needed; "
            "write the graph again"
        )
