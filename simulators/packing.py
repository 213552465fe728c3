"""The one-hot packing before an attention, resolved to views of the signals that it packs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Pool, TokenLinear
from exporters.nir.signals import Signal
from simulators.errors import GraphSimulationError
from simulators.linear import selection
from simulators.operations import Piece
from simulators.rewrite import is_junction


class Packing:
    """Which nodes only pack attention inputs, and what they pack.

    Attributes:
        nodes: one-hot linears and junctions that lead to attention only.
    """

    def __init__(
        self, graph: Graph, sources: Mapping[str, Sequence[str]], targets: Mapping[str, Sequence[str]]
    ) -> None:
        self.graph, self.sources, self.targets = graph, sources, targets
        self.nodes = frozenset(name for name in graph.nodes if self._only_packs(name))

    def _only_packs(self, name: str) -> bool:
        node = self.graph.nodes[name]
        if isinstance(node, TokenLinear):
            chosen = selection(node)
            passes = chosen is not None and chosen.is_wiring and node.window == 1
        else:
            passes = isinstance(node, Pool) and is_junction(node)
        targets = self.targets[name]
        return (
            passes
            and bool(targets)
            and all(isinstance(self.graph.nodes[t], Attention) or self._only_packs(t) for t in targets)
        )

    def parts(self, name: str, entering: Signal, signals: Mapping[str, Signal]) -> tuple[tuple[Piece, ...], ...]:
        """q, k, v (and valid) of attention ``name``.

        Raises:
            GraphSimulationError: where anything but spikes through one-hot rows leads into it.
        """
        node = self.graph.nodes[name]
        assert isinstance(node, Attention)
        if not entering.is_spikes:
            raise GraphSimulationError(
                f"{name}: messages up to {entering.bound:g} lead into it, attention takes spikes; "
                "pack each of q, k, v once, one-hot"
            )
        pieces = self._pieces(name, signals)
        starts = [0, node.width, 2 * node.width] + ([3 * node.width] if node.kind == "sdsa" else [])
        widths = [node.width] * 3 + [1]
        return tuple(_cut(pieces, start, width) for start, width in zip(starts, widths, strict=False))

    def _pieces(self, name: str, signals: Mapping[str, Signal]) -> list[Piece]:
        """What makes up the packed signal that enters ``name``."""
        pieces: list[Piece] = []
        for source in self.sources[name]:
            node = self.graph.nodes[source]
            if source not in self.nodes:
                if isinstance(node, TokenLinear):
                    raise GraphSimulationError(
                        f"{source}: leads into attention {name}, where only one-hot rows may; pack spikes"
                    )
                everything = np.arange(signals[source].channels)
                pieces.append(Piece(source, everything, everything))
            elif isinstance(node, TokenLinear):
                chosen = selection(node)
                assert chosen is not None  # packing linears are selections
                for inner in self._pieces(source, signals):
                    pieces += _select(inner, chosen.rows, chosen.columns)
            else:
                pieces += self._pieces(source, signals)
        return pieces


def _select(piece: Piece, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> list[Piece]:
    """The piece seen through a selection: row r of the result is row ``columns`` of the piece."""
    place = {int(row): int(column) for row, column in zip(piece.rows, piece.columns, strict=True)}
    kept = [(int(r), place[int(c)]) for r, c in zip(rows, columns, strict=True) if int(c) in place]
    if not kept:
        return []
    new_rows, new_columns = np.array(kept, dtype=np.int64).T
    return [Piece(piece.source, new_rows, new_columns)]


def _cut(pieces: list[Piece], start: int, width: int) -> tuple[Piece, ...]:
    parts = []
    for piece in pieces:
        inside = (piece.rows >= start) & (piece.rows < start + width)
        if inside.any():
            parts.append(Piece(piece.source, piece.rows[inside] - start, piece.columns[inside]))
    return tuple(parts)
