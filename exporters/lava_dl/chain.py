"""A chain of layers: all that a ``.net`` file can hold of a graph, in the graph's own integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear map and the neurons behind it.

    Attributes:
        name: of the neurons' layer, or of the readout.
        node: name of its node in the graph, for errors.
        weight: (out, window * in) even integers, the token's own columns first.
        bias: (out,) even integers, added to the sum of every valid token; zero without biases.
        window: tokens that an output sees, its own and the next ones.
        threshold: integer, at or above which a neuron fires; None for a readout, whose sums are the result.
        bound: proved largest magnitude of a sum, bias included.
    """

    name: str
    node: str
    weight: Integers
    bias: Integers
    window: int
    threshold: int | None
    bound: int


@dataclass(frozen=True)
class Chain:
    """Layers in order.

    Attributes:
        layers: at least one.
        entry: node whose messages enter the first layer.
        channels: of that node.
        tokens: N.
        steps: T.
        largest: the largest message that enters, 1 for spikes.
    """

    layers: tuple[Layer, ...]
    entry: str
    channels: int
    tokens: int
    steps: int
    largest: int

    @property
    def biased(self) -> bool:
        """Whether a layer has a bias, so that the valid train must enter too."""
        return any(bool(layer.bias.any()) for layer in self.layers)
