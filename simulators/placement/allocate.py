"""Parts of layers onto cores: each layer on cores of its own, or several layers on one core.

``greedy`` goes layer by layer, a core for each part. ``packed`` takes the largest parts first and puts each on the
first core that still has room under every limit; parts of neighbouring tokens come together where sizes are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.placement.limits import Chip, Part, part_of
from simulators.placement.split import Split

MOST_OPEN = 256  # cores tried for one part, the latest opened: bounded time
ROUNDING = 1e-12  # shares of a limit are added in float64


@dataclass(frozen=True, eq=False)
class Slices:
    """Every part of every layer on its core; arrays of equal length, one entry a part.

    Attributes:
        layer: index of the split; first, tokens: its token range; channels: how many of them.
        core: the core that holds it, from 0 without gaps.
    """

    layer: NDArray[np.int64]
    first: NDArray[np.int64]
    tokens: NDArray[np.int64]
    channels: NDArray[np.int64]
    core: NDArray[np.int64]

    @property
    def cores(self) -> int:
        """Number of cores."""
        return int(self.core.max()) + 1 if len(self.core) else 0


def greedy(splits: Sequence[Split]) -> Slices:
    """One core a part, in the order of layers, then tokens."""
    table = _table(splits, balanced=True)
    return _slices(table, np.arange(len(table)))


def packed(splits: Sequence[Split], chip: Chip) -> Slices:
    """First fit of decreasing parts: never more cores than ``greedy``, which has one for each part."""
    table = _table(splits, balanced=False)
    shares = _shares(table, splits, chip)
    order = np.lexsort((table[:, 0], table[:, 1], -shares.max(axis=1, initial=0.0).round(9)))
    cores = np.empty(len(table), np.int64)
    cores[order] = _first_fit(shares[order])
    return _slices(table, _by_token(table, cores))


def _table(splits: Sequence[Split], balanced: bool) -> NDArray[np.int64]:
    """(parts, 4): layer, first token, tokens and channels of each part."""
    blocks = [np.insert(split.grid(balanced), 0, i, axis=1) for i, split in enumerate(splits)]
    return np.vstack([np.empty((0, 4), np.int64), *blocks])


def _slices(table: NDArray[np.int64], cores: NDArray[np.int64]) -> Slices:
    return Slices(table[:, 0], table[:, 1], table[:, 2], table[:, 3], cores)


def _shares(table: NDArray[np.int64], splits: Sequence[Split], chip: Chip) -> NDArray[np.float64]:
    """(parts, limits): need over limit of each part."""
    known: dict[tuple[int, int, int], list[float]] = {}
    found = []
    for layer, _, tokens, channels in table.tolist():
        key = layer, tokens, channels
        if key not in known:
            known[key] = list(sized(splits[layer], tokens, channels, chip).shares(chip.caps).values())
        found.append(known[key])
    return np.array(found, dtype=np.float64).reshape(len(table), len(chip.caps))


def sized(split: Split, tokens: int, channels: int, chip: Chip) -> Part:
    """The part of a layer that has this size."""
    if (tokens, channels) == (split.part.tokens, split.part.channels):
        return split.part
    return part_of(split.shape, tokens, channels, chip, split.edges)


def _first_fit(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Core of each part; cores in which not even the smallest need of each limit has room are passed over."""
    used = np.zeros((len(shares), shares.shape[1]))
    least = shares.min(axis=0, initial=1.0)
    open_cores: list[int] = []
    cores = np.empty(len(shares), np.int64)
    count = 0
    for i, need in enumerate(shares):
        room = np.flatnonzero((used[np.array(open_cores, dtype=np.int64)] + need <= 1 + ROUNDING).all(axis=1))
        if len(room):
            core = open_cores[int(room[0])]
        else:
            core, count = count, count + 1
            open_cores.append(core)
            del open_cores[:-MOST_OPEN]
        used[core] += need
        if (used[core] + least > 1 + ROUNDING).any():
            open_cores.remove(core)
        cores[i] = core
    return cores


def _by_token(table: NDArray[np.int64], cores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cores numbered by the mean token, then the mean layer, of what they hold: talk is within a token, mostly."""
    if not len(cores):
        return cores
    count = np.bincount(cores)
    token = np.bincount(cores, table[:, 1] + table[:, 2] / 2) / count
    layer = np.bincount(cores, table[:, 0]) / count
    rank = np.empty(len(count), np.int64)
    rank[np.lexsort((layer, token))] = np.arange(len(count))
    return rank[cores]
