"""Layers into parts of a core's size, under all limits at once.

A layer is split along its tokens first: a spike of one token then reaches only the cores of that token (and of
those whose window sees it), and a core's input lists are the inputs of its tokens. Only where one token with all its
channels exceeds a core are the channels split as well, one token a core; each channel part then has the lists of all
inputs. No chip here shares weights between tokens: each token's copy is stored, so that tokens on one core save
nothing but cores. Layers are taken from the last to the first, since the edges that leave a neuron depend on how its
targets are split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from simulators.placement.limits import Chip, Part, fan_in_of, part_of
from simulators.placement.shape import Entry, LayerShape


@dataclass(frozen=True)
class Split:
    """One layer in parts.

    Attributes:
        part: the largest part, which fits a core.
        groups: token groups; pieces: channel pieces of each.
        whole: the unsplit layer's needs.
        edges: destination cores of a neuron, all targets together.
    """

    shape: LayerShape
    part: Part
    groups: int
    pieces: int
    whole: Part
    edges: int

    @property
    def parts(self) -> int:
        """Cores of this layer alone."""
        return self.groups * self.pieces

    def sizes(self, balanced: bool) -> list[tuple[int, int, int]]:
        """(token, tokens, channels) of each part; balanced ones differ by one at the most."""
        return [(first, tokens, channels) for first, tokens, channels in self.grid(balanced).tolist()]

    def grid(self, balanced: bool) -> NDArray[np.int64]:
        """(parts, 3): the same as an array."""
        rows = np.array(_cut(self.shape.tokens, self.part.tokens, balanced), np.int64).reshape(-1, 2)
        columns = np.array(_cut(self.shape.channels, self.part.channels, balanced), np.int64).reshape(-1, 2)[:, 1:]
        return np.hstack([np.repeat(rows, len(columns), axis=0), np.tile(columns, (len(rows), 1))])


@dataclass(frozen=True)
class Violation:
    """A limit that no number of cores meets: what needs it, how much, and what would have to change."""

    layer: str
    limit: str
    need: float
    has: float
    change: str

    @property
    def reason(self) -> str:
        """In words."""
        return f"{self.limit} {self.need:g} needed, {self.has:g} available: {self.change}"


def _cut(total: int, largest: int, balanced: bool) -> list[tuple[int, int]]:
    count = -(-total // largest)
    if not balanced:
        return [(i * largest, min(largest, total - i * largest)) for i in range(count)]
    bounds = [total * i // count for i in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(bounds)]


def fits_one_chip(shapes: Sequence[LayerShape], chip: Chip) -> bool:
    """Whether all parts find a core of one chip; the first layer that does not ends the search."""
    left = chip.cores
    for found in _from_the_last(shapes, chip):
        left -= found.parts if isinstance(found, Split) else chip.cores + 1
        if left < 0:
            return False
    return True


def split_all(shapes: Sequence[LayerShape], chip: Chip) -> tuple[list[Split], list[Violation]]:
    """Parts of each layer that has any, in topological order, and what no core can hold."""
    found = list(_from_the_last(shapes, chip))[::-1]
    return [one for one in found if isinstance(one, Split)], [one for one in found if isinstance(one, Violation)]


def _from_the_last(shapes: Sequence[LayerShape], chip: Chip) -> Iterator[Split | Violation]:
    edges: dict[str, int] = defaultdict(int)
    for shape in reversed(shapes):
        found = _split(shape, chip, edges[shape.name])
        yield found
        if isinstance(found, Violation):
            continue
        for entry in shape.entries:
            for source, _ in entry.sources:
                edges[source] += most_destinations(found, entry)


def _split(shape: LayerShape, chip: Chip, edges: int) -> Split | Violation:
    if shape.refused:
        change = "synapses hold static weights; run the product as gate neurons, as product neurons or on the host"
        return Violation(shape.name, "operations", 1, 0, f"a product of two activations: {change}")
    whole = part_of(shape, shape.tokens, shape.channels, chip, edges)
    if whole.fits(chip.caps):
        return Split(shape, whole, 1, 1, whole, edges)
    if chip.whole_layers:
        return _beyond(shape, whole, chip, "this chip puts a whole layer on one core")
    part = _largest(lambda n: part_of(shape, n, shape.channels, chip, edges), shape.tokens, whole, chip)
    if part is None:
        one = part_of(shape, 1, shape.channels, chip, edges)
        part = _largest(lambda n: part_of(shape, 1, n, chip, edges), shape.channels, one, chip)
    if part is None:
        least = part_of(shape, 1, 1, chip, edges)
        return _beyond(shape, least, chip, "a single neuron exceeds a core; use fewer inputs or helper neurons")
    groups, pieces = -(-shape.tokens // part.tokens), -(-shape.channels // part.channels)
    return Split(shape, part, groups, pieces, whole, edges)


def _largest(of: Callable[[int], Part], most: int, whole: Part, chip: Chip) -> Part | None:
    """The largest of 1 .. most - 1 that fits, None if not even 1 does.

    Needs are nearly in proportion to size, so that the first guess is seldom far off.
    """
    low, high, best = 0, most, None
    size = int(most / max(whole.shares(chip.caps).values()))
    nudged = False
    while high - low > 1:
        size = min(max(size, low + 1), high - 1)
        part = of(size)
        if part.fits(chip.caps):
            low, best = size, part
        else:
            high = size
        size = (low + high) // 2 if nudged else size + (1 if low == size else -1)
        nudged = True
    return best


def _beyond(shape: LayerShape, part: Part, chip: Chip, change: str) -> Violation:
    shares = part.shares(chip.caps)
    name = max(shares, key=lambda limit: shares[limit])
    return Violation(shape.name, name, part.needs[name], chip.caps[name], change)


def most_destinations(split: Split, entry: Entry) -> int:
    """Cores that one source neuron of an entry reaches at the most."""
    spread = min(entry.window, split.shape.tokens)
    groups = min(split.groups, -(-(spread - 1) // split.part.tokens) + 1)
    return groups * pieces_reached(split, entry)


def pieces_reached(split: Split, entry: Entry) -> int:
    """Channel pieces in which a source neuron has a synapse, at the most."""
    return max(1, min(split.pieces, ceil(entry.outputs - 1e-9)))  # less the rounding of a division


def static_violations(shapes: Sequence[LayerShape], chip: Chip, weight_bits: int) -> list[Violation]:
    """Limits that do not depend on how layers are split."""
    found = []
    if chip.weight_bits and chip.weight_bits < weight_bits and any(shape.entries for shape in shapes):
        change = f"re-quantise the weights to {chip.weight_bits} bits"
        found.append(Violation("all layers", "weight_bits", weight_bits, chip.weight_bits, change))
    for shape in shapes:
        bits = max((entry.graded for entry in shape.entries), default=1)
        if chip.message_bits and bits > chip.message_bits:
            change = "send spikes in place of graded messages"
            found.append(Violation(shape.name, "message_bits", bits, chip.message_bits, change))
        if chip.fan_in and (need := fan_in_of(shape, chip)) > chip.fan_in:
            change = "use fewer inputs to a neuron"
            found.append(Violation(shape.name, "fan_in", need, chip.fan_in, change))
    if chip.whole_layers and len(shapes) > chip.whole_layers:
        change = "use fewer layers, for each takes a core"
        found.append(Violation("all layers", "layers", len(shapes), chip.whole_layers, change))
    return found
