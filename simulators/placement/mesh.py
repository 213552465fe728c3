"""Hops of messages between cores on the mesh of a chip.

Cores fill tiles, tiles the mesh in a snake: row by row, every other row from right to left, so that neighbours in order
are neighbours on the chip; a full chip is followed by the next. Spikes of a layer are spread evenly over its tokens and
channels, for activity is counted by node. A message goes along the row, then along the column (XY routing). Between
chips no mesh is known: such messages are counted apart, and hops are means over those that stay on a chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulators.placement.allocate import Slices
from simulators.placement.limits import Chip
from simulators.placement.shape import Entry
from simulators.placement.split import Split, pieces_reached

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Route:
    """Messages from one layer into one synapse node.

    Attributes:
        source, target: layer names; ``input`` is the host, which has no tile.
        node: the synapse node.
        messages: sent in the whole run, each counted once.
        destinations: cores that one message reaches, on average.
        horizontal, vertical: tiles passed by one delivered message, the mean over those that stay on a chip; None
            where no mesh is stated, for messages of the host, and where none stays on a chip.
        crossing: share of delivered messages that go to another chip.
    """

    source: str
    target: str
    node: str
    messages: int
    destinations: float
    horizontal: float | None
    vertical: float | None
    crossing: float

    @property
    def delivered(self) -> float:
        """Messages that arrive, one a destination core."""
        return self.messages * self.destinations

    @property
    def hops(self) -> float:
        """Tiles passed by all messages that stay on a chip, both axes."""
        each = (self.horizontal or 0.0) + (self.vertical or 0.0)
        return self.delivered * (1 - self.crossing) * each


@dataclass(frozen=True, eq=False)
class Mesh:
    """Where each core sits: chip, column and row of its tile."""

    chip: NDArray[np.int64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def snake(cls, slots: NDArray[np.int64], limits: Chip) -> Mesh:
        """Of cores in the given slots (0 .. cores - 1 of the first chip, then of the next)."""
        chip, tile = slots // limits.cores, slots % limits.cores // limits.tile
        columns = limits.columns or max(1, -(-limits.cores // limits.tile))
        row, place = tile // columns, tile % columns
        return cls(chip, np.where(row % 2, columns - 1 - place, place), row)


@dataclass(eq=False)
class Traffic:
    """Who talks to whom, by core; what does not depend on where the cores sit."""

    splits: Sequence[Split]
    slices: Slices
    _sent: dict[int, Array] = field(default_factory=dict)
    _heard: dict[tuple[int, int, int], Array] = field(default_factory=dict)

    def sent(self, layer: int) -> tuple[NDArray[np.int64], Array]:
        """Cores of a layer and (parts, N) the share of its spikes that each part sends, by token."""
        at = np.flatnonzero(self.slices.layer == layer)
        if layer not in self._sent:
            shape = self.splits[layer].shape
            tokens = np.arange(shape.tokens)
            first, last = self.slices.first[at, None], (self.slices.first + self.slices.tokens)[at, None]
            weight = self.slices.channels[at, None] / (shape.channels * shape.tokens)
            self._sent[layer] = np.where((first <= tokens) & (tokens < last), weight, 0.0)
        return self.slices.core[at], self._sent[layer]

    def heard(self, layer: int, entry: Entry) -> tuple[NDArray[np.int64], Array]:
        """Cores of a layer and (parts, N) the probability that a spike of a token reaches each part."""
        at = np.flatnonzero(self.slices.layer == layer)
        split = self.splits[layer]
        key = layer, entry.window, pieces_reached(split, entry)
        if key not in self._heard:
            tokens = np.arange(split.shape.tokens)
            first = self.slices.first[at, None]
            last = first + self.slices.tokens[at, None] + entry.window - 1
            seen = (first <= tokens) & (tokens < last) if entry.window < split.shape.tokens else True
            self._heard[key] = np.where(seen, key[2] / split.pieces, np.zeros((len(at), len(tokens))))
        return self.slices.core[at], self._heard[key]

    def pairs(self) -> Iterator[tuple[str, int | None, int, Entry, int]]:
        """(source, its index or None for the host, target index, entry, messages) of each connection."""
        index = {split.shape.name: i for i, split in enumerate(self.splits)}
        for i, split in enumerate(self.splits):
            for entry in split.shape.entries:
                for source, messages in entry.sources:
                    yield source, index.get(source), i, entry, messages


def routes_of(traffic: Traffic, mesh: Mesh, limits: Chip) -> tuple[Route, ...]:
    """Destinations and hops of each connection."""
    measure = _Measure(traffic, mesh, limits)
    return tuple(measure.route(*pair) for pair in traffic.pairs())


class _Measure:
    """Means over pairs of parts, through the shares by column and by row: distance is a sum of both axes."""

    def __init__(self, traffic: Traffic, mesh: Mesh, limits: Chip) -> None:
        self.traffic, self.mesh = traffic, mesh
        self.stated = bool(limits.columns or limits.rows)
        self.chips = int(mesh.chip.max(initial=0)) + 1
        axes = (mesh.column, mesh.row) if self.stated else (np.zeros_like(mesh.chip),)  # without a mesh chips alone
        self.axes = [(part, int(part.max(initial=0)) + 1) for part in axes]
        self.kept: dict[tuple[int, ...], list[Array]] = {}

    def route(self, source: str, sender: int | None, target: int, entry: Entry, messages: int) -> Route:
        cores, heard = self.traffic.heard(target, entry)
        destinations = float(heard.sum() / heard.shape[1])
        name = self.traffic.splits[target].shape.name
        if sender is None:
            return Route(source, name, entry.node, messages, destinations, None, None, 0.0)
        key = (target, entry.window, pieces_reached(self.traffic.splits[target], entry))
        there = self._spread(key, cores, heard)
        here = self._spread((sender,), *self.traffic.sent(sender))
        staying = _same(here[0], there[0])
        crossing = max(0.0, 1 - staying / destinations)
        across, along = (
            (self._mean(a, b, staying) for a, b in zip(here, there, strict=True)) if self.stated else (None,) * 2
        )
        return Route(source, name, entry.node, messages, destinations, across, along, crossing)

    def _mean(self, here: Array, there: Array, staying: float) -> float | None:
        return _distance(here, there) / staying if staying else None

    def _spread(self, key: tuple[int, ...], cores: NDArray[np.int64], shares: Array) -> list[Array]:
        """Per axis (N, chips, places): shares by token at each column or row of each chip."""
        if key not in self.kept:
            self.kept[key] = [self._on(axis, size, cores, shares) for axis, size in self.axes]
        return self.kept[key]

    def _on(self, axis: NDArray[np.int64], size: int, cores: NDArray[np.int64], shares: Array) -> Array:
        found = np.zeros((self.chips * size, shares.shape[1]))
        places = self.mesh.chip[cores] * size + axis[cores]
        order = np.argsort(places, kind="stable")
        taken, first = np.unique(places[order], return_index=True)
        if len(taken):
            found[taken] = np.add.reduceat(shares[order], first, axis=0)
        return found.reshape(self.chips, size, -1).transpose(2, 0, 1)


def _same(here: Array, there: Array) -> float:
    """Messages delivered on the chip that they come from."""
    return float((here.sum(axis=2) * there.sum(axis=2)).sum())


def _distance(here: Array, there: Array) -> float:
    """Sum of |x - y| over pairs on one chip: at each border between places, what passes it either way."""
    h, t = here.cumsum(axis=2), there.cumsum(axis=2)
    return float((h * (t[..., -1:] - t) + t * (h[..., -1:] - h)).sum())
