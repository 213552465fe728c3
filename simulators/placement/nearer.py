"""Cores that talk, nearer to each other: swaps of cores on a chip, the best one first, until none helps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.placement.limits import Chip
from simulators.placement.mesh import Array, Mesh, Traffic

MOST_SLOTS = 256  # cores of a chip; flows of all pairs of a larger one would take too long
MOST_SWAPS = 256  # all chips together: bounded time


def swapped(slots: NDArray[np.int64], traffic: Traffic, limits: Chip) -> NDArray[np.int64]:
    """Slots after swaps within each chip, never of more hops; deterministic, no random numbers."""
    if limits.cores > MOST_SLOTS or not (limits.columns or limits.rows):
        return slots
    chips = int(slots.max(initial=0)) // limits.cores + 1
    distance = _distances(limits)
    found = slots.copy()
    for chip in range(chips):
        on = np.flatnonzero(slots // limits.cores == chip)
        if len(on):
            own = slots[on] % limits.cores
            found[on] = chip * limits.cores + _descend(_flow(traffic, on), own, distance, MOST_SWAPS // chips)
    return found


def _distances(limits: Chip) -> Array:
    mesh = Mesh.snake(np.arange(limits.cores), limits)
    across = np.abs(mesh.column[:, None] - mesh.column)
    return (across + np.abs(mesh.row[:, None] - mesh.row)).astype(np.float64)


def _flow(traffic: Traffic, on: NDArray[np.int64]) -> Array:
    """Messages between the cores of one chip, both directions added, (cores, cores)."""
    place = np.full(traffic.slices.cores, -1)
    place[on] = np.arange(len(on))
    flow = np.zeros((len(on), len(on)))
    for sender, heard in _by_sender(traffic, place, len(on)).items():
        cores, sent = traffic.sent(sender)
        here = place[cores] >= 0
        np.add.at(flow, place[cores[here]], sent[here] @ heard)
    np.fill_diagonal(flow, 0.0)
    return flow + flow.T


def _by_sender(traffic: Traffic, place: NDArray[np.int64], size: int) -> dict[int, Array]:
    """(N, cores) messages that reach each core per share of a sender's spikes, all its targets together."""
    found: dict[int, Array] = {}
    for _, sender, target, entry, messages in traffic.pairs():
        if sender is None or not messages:
            continue
        cores, heard = traffic.heard(target, entry)
        here = place[cores] >= 0
        if here.any():
            total = found.setdefault(sender, np.zeros((size, heard.shape[1])))
            np.add.at(total, place[cores[here]], heard[here] * messages)
    return {sender: total.T for sender, total in found.items()}


def _descend(flow: Array, slots: NDArray[np.int64], distance: Array, swaps: int) -> NDArray[np.int64]:
    """Swap two cores, or a core with an empty slot, while that saves hops."""
    count, size = len(slots), len(distance)
    empty = np.setdiff1d(np.arange(size), slots)
    order = np.concatenate([slots, empty])
    full = np.zeros((size, size))
    full[:count, :count] = flow
    for _ in range(swaps):
        near = distance[order][:, order]
        moved = full @ near  # [i, j]: hops of i's messages if it sat where j sits
        own = np.diag(moved)
        change = moved - own[:, None]
        change = change + change.T + 2 * full * near
        i, j = divmod(int(change.argmin()), size)
        if change[i, j] > -1e-9 * (1 + own.sum()):
            break
        order[[i, j]] = order[[j, i]]
    return order[:count]
