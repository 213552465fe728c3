"""How large every sum of a graph can become: the proof that float32 holds it exactly.

Positive and negative contributions are kept apart, so that each partial sum, in whatever order a runtime
adds, lies within the range too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, TokenLinear
from exporters.onnx.errors import OnnxExportError

Values = NDArray[np.float64]
FLOAT32_EXACT = 2**24  # every integer up to it is a float32


@dataclass(frozen=True, eq=False)
class Range:
    """Integers that a signal can carry.

    Attributes:
        low, high: per channel, (C,), ``low <= 0 <= high``.
        tokens: N.
        even: all of them are even.
    """

    low: Values
    high: Values
    tokens: int
    even: bool = False

    @property
    def bound(self) -> int:
        """Largest magnitude in any channel."""
        return int(max(self.high.max(), -self.low.min()))


def propagate(graph: Graph, order: Sequence[str]) -> dict[str, Range]:
    """What enters each node: the sum of its edges.

    Raises:
        OnnxExportError: shapes that do not meet, a sum that float32 may not hold, attention on more than spikes.
    """
    entering: dict[str, Range] = {}
    leaving: dict[str, Range] = {}
    for name in order:
        node = graph.nodes[name]
        if isinstance(node, Input):
            leaving[name] = _spikes(node.shape[0], node.shape[2])
            continue
        entering[name] = _total(name, [leaving[source] for source in graph.sources(name)])
        _check(name, node, entering[name])
        leaving[name] = _leaving(node, entering[name])
        _check_bound(name, leaving[name])
    return entering


def _spikes(channels: int, tokens: int) -> Range:
    return Range(np.zeros(channels), np.ones(channels), tokens)


def _total(name: str, terms: Sequence[Range]) -> Range:
    first = terms[0]
    for other in terms[1:]:
        if (len(other.high), other.tokens) != (len(first.high), first.tokens):
            raise OnnxExportError(
                f"{name}: edges of {len(other.high)} x {other.tokens} and {len(first.high)} x {first.tokens} "
                "channels x tokens meet, only equal shapes add up; write the graph again"
            )
    low, high = (np.sum([getattr(term, side) for term in terms], axis=0) for side in ("low", "high"))
    total = Range(low, high, first.tokens, all(term.even for term in terms))
    _check_bound(name, total)
    return total


def _check_bound(name: str, x: Range) -> None:
    if x.bound >= FLOAT32_EXACT:
        raise OnnxExportError(
            f"{name}: sums may reach {x.bound}, float32 is exact below {FLOAT32_EXACT}; lower weights or messages"
        )


def _check(name: str, node: Node, x: Range) -> None:
    match node:
        case TokenLinear():
            wanted = (node.inputs, node.tokens)
        case Neuron() | Output():
            wanted = (node.shape[0], node.shape[2])
        case Attention():
            # sdsa: any number of copies of the valid train may follow, the first is read
            least = 3 * node.width + (node.kind == "sdsa")
            wanted = (least if node.kind == "ssa" else max(least, len(x.high)), node.tokens)
            if x.bound > 1 or x.low.any():
                raise OnnxExportError(
                    f"{name}: messages up to {x.bound} enter, attention takes spikes; pack q, k, v once"
                )
        case _:
            return
    if (len(x.high), x.tokens) != wanted:
        raise OnnxExportError(
            f"{name}: {len(x.high)} channels x {x.tokens} tokens enter, {wanted[0]} x {wanted[1]} are needed; "
            "write the graph again"
        )


def _leaving(node: Node, x: Range) -> Range:
    match node:
        case TokenLinear():
            return _through(node, x)
        case Neuron():
            return _spikes(node.shape[0], node.shape[2])
        case Attention(kind="sdsa"):
            return _spikes(node.width, node.tokens)
        case Attention():
            most = np.full(node.width, float(node.tokens * (node.width // node.heads)))
            return Range(np.zeros(node.width), most, node.tokens)
        case _:
            return x


def _through(node: TokenLinear, x: Range) -> Range:
    weight = node.weight.astype(np.float64)
    low, high = np.tile(x.low, node.window), np.tile(x.high, node.window)
    plus, minus = weight.clip(min=0), weight.clip(max=0)
    even = x.even or bool((weight % 2 == 0).all())
    return Range(plus @ low + minus @ high, plus @ high + minus @ low, x.tokens, even)
