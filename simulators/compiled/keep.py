"""What a chunk keeps of a signal: counts, and spikes where they are recorded."""

from __future__ import annotations

import numpy as np

from simulators.compiled.chunk import Chunk, Ints
from simulators.compiled.forms import Array
from simulators.compiled.kernels.rows import count_messages, count_nonzero, store_rows
from simulators.tallies import follows, is_graded


def per_step(reached: Array, steps: int) -> Ints:
    """How many rows of each step are reached, (T,)."""
    return reached.reshape(-1, steps).sum(axis=0, dtype=np.int64)


def record(chunk: Chunk, name: str) -> None:
    """Keep the spikes of a node."""
    tokens = chunk.plan.signals[name].tokens
    grid = np.zeros((chunk.samples, chunk.plan.steps, chunk.shapes[name].channels, tokens), np.uint8)
    store_rows(chunk.values[name], chunk.tokens.sample, chunk.tokens.token, grid)
    chunk.spikes[name] = grid.view(np.bool_)


def count(chunk: Chunk, name: str, x: Array) -> None:
    """Message units of a signal, unless they follow from its sources; messages that are not zero, where asked for."""
    plan, channels = chunk.plan, chunk.shapes[name].channels
    if not follows(plan, name):
        units, nonzero = chunk.zeros(channels), chunk.zeros(channels)
        count_messages(x, units, nonzero)
        chunk.tallies.units[name] = units if is_graded(plan.signals[name]) else nonzero
        chunk.tallies.nonzero[name] = nonzero
    elif name in chunk.needed:
        some = np.zeros((plan.steps, channels), np.uint32)
        count_nonzero(x, some)
        chunk.tallies.nonzero[name] = some.astype(np.int64)
