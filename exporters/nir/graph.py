"""The NIR graph in typed form: what our reader returns and every consumer walks.

Only the node kinds of the portable profile have a type here. All signals are laid out (C, 1, N):
channels, 1, tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Input:
    """The one entry of a graph."""

    shape: Shape


@dataclass(frozen=True)
class Output:
    """The one exit of a graph."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class TokenLinear:
    """The same matrix on every token, or on every token and the ``window - 1`` that follow it.

    Attributes:
        weight: (out, window * in) float32, integer-valued in an integer graph; the columns of the token
            itself first, then those of the next one. Tokens beyond the last slot count as zero.
        bias: (out,) float32; zero in an integer graph, where biases ride on the valid train.
        tokens: N.
        window: tokens that one output sees.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    tokens: int
    window: int = 1

    @property
    def inputs(self) -> int:
        """Channels of its source."""
        return self.weight.shape[1] // self.window

    def taps(self) -> NDArray[np.float32]:
        """(window, out, in): one matrix for each distance, the token's own first."""
        return self.weight.reshape(len(self.weight), self.window, self.inputs).transpose(1, 0, 2)

    def kernel(self) -> NDArray[np.float32]:
        """As a convolution holds it, (out, in, 1, 2 * window - 1): centred on the token, zero to its left.

        nir gives only a centred kernel an unambiguous place ("same" over an odd width).
        """
        kernel = np.zeros((len(self.weight), self.inputs, 1, 2 * self.window - 1), np.float32)
        kernel[:, :, 0, self.window - 1 :] = self.taps().transpose(1, 2, 0)
        return kernel


@dataclass(frozen=True)
class Neuron:
    """Leaky integrate-and-fire, v += (r * I - v) * dt / tau, spike above threshold, reset to zero.

    Attributes:
        shape: (C, 1, N).
        tau_steps: membrane time constant in steps; 2 for the student's neuron, 1.00001 for a gate.
        v_threshold: as stored, the tie margin below the integer or half-integer threshold meant.
    """

    shape: Shape
    tau_steps: float
    v_threshold: float

    @property
    def is_gate(self) -> bool:
        """Stateless: the membrane keeps 1e-5 of its value per step."""
        return self.tau_steps < 1.5


@dataclass(frozen=True)
class Pool:
    """Average over (1, kernel) tokens, stride 1, (0, padding) zeros counted in.

    ``kernel`` 1 is a junction that joins two edges; ``2N - 1`` with padding ``N - 1`` is the sum over
    all tokens, broadcast to every token, divided by ``2N - 1``.
    """

    kernel: int
    padding: int


@dataclass(frozen=True)
class Attention:
    """One attention over packed channels: q, k, v (D each), then the valid train for ``sdsa``.

    ``ssa`` returns the integer sums Q (K^T V) per head, ``sdsa`` returns spikes. The output is
    (D, 1, N).

    Attributes:
        kind: ``"ssa"`` or ``"sdsa"``.
        width: D.
        heads: number of heads (1 for ``sdsa``, whose channels do not mix).
        tokens: N.
        threshold: token count at which an ``sdsa`` channel opens; 0 for ``ssa``.
        body: the same function in stock primitives, where the file carries it; always for ``sdsa``.
    """

    kind: str
    width: int
    heads: int
    tokens: int
    threshold: int
    body: Graph | None = None


Node = Input | Output | TokenLinear | Neuron | Pool | Attention


@dataclass(frozen=True)
class Graph:
    """Nodes by name and the edges between them; several edges into one node are summed.

    Names carry a zero-padded prefix, so that alphabetical order is topological order.
    ``metadata`` is the decoded JSON of the file; the graph means the same without it.
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: dict[str, object] = field(default_factory=dict)

    def sources(self, name: str) -> list[str]:
        """Nodes with an edge into ``name``, in topological order."""
        return sorted(a for a, b in self.edges if b == name)

    def targets(self, name: str) -> list[str]:
        """Nodes that ``name`` has an edge into, in topological order."""
        return sorted(b for a, b in self.edges if a == name)

    @property
    def input(self) -> str:
        """Name of the Input node."""
        return next(n for n, node in self.nodes.items() if isinstance(node, Input))

    @property
    def output(self) -> str:
        """Name of the Output node."""
        return next(n for n, node in self.nodes.items() if isinstance(node, Output))


def layer_name(node: str) -> str:
    """The name people know a node by: ``n012_block0.q`` is ``block0.q``."""
    return node.split("_", 1)[1]


TIE_MARGIN = 1e-6  # thr * (1 - 1e-6) lets readers that ask v > thr fire at v == thr (measured at T = 4)


def integer_threshold(v_threshold: float) -> int:
    """The integer threshold meant by a stored one (neurons with tau = 2 steps)."""
    return round(v_threshold / (1.0 - TIE_MARGIN))
