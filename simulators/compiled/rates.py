"""Which of two equal products is faster here, by measurement: event-driven or dense."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from simulators.compiled.kernels.events import fire_events
from simulators.compiled.kernels.neuron import scan
from simulators.compiled.weights import DenseWeights, EventWeights
from simulators.products import reduced_precision

WORK = 2**24  # multiply-accumulates of one dense trial
ROWS = (64, 1024)
TRIALS = 5
_known: dict[tuple[int | str, ...], Rates] = {}
_lock = Lock()


@dataclass(frozen=True)
class Rates:
    """Seconds that a row of a product and its neurons takes on one core.

    Attributes:
        dense: by a matrix product.
        row, event: by events, whatever their number, and for each.
    """

    dense: float
    row: float
    event: float

    def prefers_events(self, events: float) -> bool:
        """Whether a row with so many events costs less event by event."""
        return self.row + events * self.event <= self.dense

    @property
    def break_even(self) -> float:
        """Events in a row from which the dense product is faster."""
        return max(self.dense - self.row, 0.0) / self.event if self.event > 0 else float("inf")


def rates(events: EventWeights, dense: DenseWeights) -> Rates:
    """Measured once a process for each shape."""
    key = (*events.rows.shape, events.rows.itemsize, *dense.matrix.shape, dense.candidate)
    with _lock:
        if key not in _known:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                with reduced_precision() if dense.candidate == "float32 medium" else nullcontext():
                    _known[key] = _measure(events, dense)
            finally:
                torch.set_num_threads(threads)
        return _known[key]


def _measure(events: EventWeights, dense: DenseWeights) -> Rates:
    inputs, outputs = dense.matrix.shape
    rows = int(min(max(WORK // (inputs * outputs), ROWS[0]), ROWS[1]))
    spikes = np.random.default_rng(0).integers(0, 2, (rows, inputs)).astype(np.uint8)
    operand, sums = np.zeros((rows, inputs), dense.operand), torch.empty(rows, outputs)
    zero, outs, counts = (
        np.zeros(1, np.int64),
        np.zeros((1, rows, outputs), np.uint8),
        np.zeros((1, 1, outputs), np.uint32),
    )
    tail = (1, zero.astype(np.float32), zero, zero, False, outs, counts, np.zeros(rows, np.int64), np.zeros((1, 0, 2)))

    def dense_step() -> None:
        np.copyto(operand, spikes, casting="unsafe")
        dense.multiply(sums, torch.from_numpy(operand))
        scan(sums.numpy(), 0, *tail)

    def event_step(each: int) -> Callable[[], None]:
        index = np.random.default_rng(1).integers(0, events.rows.shape[1], rows * each + 8).astype(events.index_dtype)
        start = np.arange(rows + 1, dtype=np.int64) * each
        return lambda: fire_events(events.rows, index, start, *tail)

    few, many = max(inputs // 16, 1), max(inputs // 4, 2)
    low, high, whole = _seconds([event_step(few), event_step(many), dense_step])
    each = max((high - low) / (many - few), 1e-15)
    return Rates(whole / rows, max(low - few * each, 0.0) / rows, each / rows)


def _seconds(steps: list[Callable[[], None]]) -> list[float]:
    """The shortest time of each, in turn: what else the machine does can only add to it."""
    for step in steps:
        step()  # compiles, and fills the caches
    taken = [float("inf")] * len(steps)
    for _ in range(TRIALS):
        for i, step in enumerate(steps):
            start = time.perf_counter()
            step()
            taken[i] = min(taken[i], time.perf_counter() - start)
    return taken
