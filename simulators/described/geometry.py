"""How many connections a layer has, exactly, borders included."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Size = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution; ``before`` is the padding at its start, the end is padded as far as is read."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    before: int

    def reach(self, place: int) -> int:
        """Outputs that read one input place: o with 0 <= place + before - o * stride < kernel."""
        last = min((place + self.before) // self.stride, self.outputs - 1)
        first = max(-(-(place + self.before - self.kernel + 1) // self.stride), 0)
        return max(last - first + 1, 0)

    @property
    def pairs(self) -> int:
        """Pairs of an input place and an output that reads it."""
        return sum(self.reach(place) for place in range(self.inputs))

    @property
    def read(self) -> int:
        """Input places that any output reads."""
        return sum(self.reach(place) > 0 for place in range(self.inputs))


@dataclass(frozen=True)
class Shape:
    """One layer's sizes.

    Attributes:
        inputs: source neurons. axons: those that any output reads.
        neurons: outputs. output: the same as channels, height, width.
        weights: stored once. connections: one copy per output position, borders left out.
        positions: output positions that share the weights; 0 for a dense layer.
    """

    inputs: int
    axons: int
    neurons: int
    output: Size
    weights: int
    connections: int
    positions: int = 0


def dense(source: Size, outputs: int) -> Shape:
    """Every input to every output."""
    inputs = prod(source)
    return Shape(inputs, inputs, outputs, (outputs, 1, 1), inputs * outputs, inputs * outputs)


def convolution(source: Size, channels: int, rows: Axis, columns: Axis, groups: int = 1) -> Shape:
    """A two-dimensional convolution; each group of input channels meets its own group of output channels."""
    per_place = source[0] * channels // groups
    return Shape(
        inputs=prod(source),
        axons=source[0] * rows.read * columns.read,
        neurons=channels * rows.outputs * columns.outputs,
        output=(channels, rows.outputs, columns.outputs),
        weights=per_place * rows.kernel * columns.kernel,
        connections=per_place * rows.pairs * columns.pairs,
        positions=rows.outputs * columns.outputs,
    )


def axis(inputs: int, kernel: int, stride: int, padding: int, outputs: int | None = None) -> Axis:
    """From the padding on both ends; or, with the outputs given, padded in total as far as the last one reads."""
    if outputs is None:
        return Axis(inputs, (inputs + 2 * padding - kernel) // stride + 1, kernel, stride, padding)
    beyond = max((outputs - 1) * stride + kernel - inputs, 0)
    return Axis(inputs, outputs, kernel, stride, beyond // 2)
