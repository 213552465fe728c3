"""What a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.graph import Graph, TokenLinear
from exporters.nir.signals import Signal


@dataclass(frozen=True)
class Edge:
    """One summand: signal ``source``, through the TokenLinear named ``linear`` or as it is."""

    source: str
    linear: str | None = None


@dataclass(frozen=True)
class Product:
    """Dense linears into one node as one matrix product on their sources' channels side by side.

    ``source`` is the source of a single one, else the name of a ``join`` of several: a weight and its
    bias cost one pass over the sums instead of three.
    """

    source: str
    linears: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """Channels ``columns`` of signal ``source`` make ``rows`` of one part of a packed signal."""

    source: str
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Operation:
    """Compute the signal ``name``.

    Attributes:
        path: ``sum``, ``pool``, ``attention``, ``join`` (channels side by side), ``window`` (each token's
            channels beside those of the next ones); for a neuron ``float32`` (proved equal to),
            ``integer`` (literal Loihi 2 semantics) or ``real``.
        edges: summands; empty for attention.
        product: the dense linears among them.
        dtype: type of the sums, in which all of them are exact.
        bound: largest absolute value of the sums.
        theta, exponent: integer threshold and weight exponent of a ``loihi2`` neuron.
        parts: q, k, v (and valid) of an attention.
        window: tokens side by side.
    """

    name: str
    path: str
    edges: tuple[Edge, ...] = ()
    product: Product | None = None
    dtype: torch.dtype = torch.float32
    bound: float = 0.0
    theta: int = 0
    exponent: int = 0
    parts: tuple[tuple[Piece, ...], ...] = ()
    window: int = 1

    @property
    def reads(self) -> list[str]:
        """Signals read, with repetition."""
        joined = [self.product.source] if self.product else []
        return [e.source for e in self.edges] + joined + [p.source for part in self.parts for p in part]

    @property
    def selections(self) -> list[str]:
        """Linears among the edges that are not part of the product."""
        dense = self.product.linears if self.product else ()
        return [e.linear for e in self.edges if e.linear and e.linear not in dense]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a run needs besides inputs.

    Attributes:
        graph: the rewritten graph.
        steps: T.
        order: nodes, sources first.
        signals: what leaves each node.
        entering: the sum that enters each node.
        operations: in order of execution.
        wiring: one-hot linears that only pack attention inputs: not executed, not counted.
        real: NIR's equations in float64 instead of Loihi 2's integers.
        uses: how often each signal is read.
        by_name: the operations by name.
        reach: how many tokens ahead an output may depend on through windows.
        recorded: names whose spikes a record keeps (neurons and attentions that spike).
    """

    graph: Graph
    steps: int
    order: list[str]
    signals: dict[str, Signal]
    entering: dict[str, Signal]
    operations: list[Operation]
    wiring: frozenset[str]
    real: bool
    recorded: list[str]
    uses: dict[str, int]
    by_name: dict[str, Operation]
    reach: int

    def linear(self, name: str) -> TokenLinear:
        """A token-wise linear by name."""
        node = self.graph.nodes[name]
        assert isinstance(node, TokenLinear)
        return node
