"""CUDA graphs: a batch's kernels captured once per shape and launched together ever after.

A small batch costs more in launches than in arithmetic. A captured run computes every token, silent ones
too, for which tokens are silent is not known when it is captured: on large batches with much padding the
plain run, which leaves them out, is faster. So both are timed, unless the caller has decided.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from simulators.tensor.engine import Batch, TensorEngine
from simulators.tensor.memory import Lender


def replaying(engine: TensorEngine, graphs: bool | None) -> Callable[[Tensor], Batch]:
    """What runs a batch, (B, T, C, N) bool on the engine's device.

    Args:
        engine: the plan on its device.
        graphs: replay CUDA graphs; None: where that is measured to be faster. A CPU has none.
    """
    if engine.device.type != "cuda" or graphs is False:
        return engine.batch
    return Replayer(engine, Captured, always=graphs is True).batch


class Captured:
    """A run of one shape in a CUDA graph. Its counters count when it is replayed, not when it is captured."""

    def __init__(self, engine: TensorEngine, x: Tensor) -> None:
        """``x`` gives the shape. The engine has run it before without packing: kernels are compiled and chosen."""
        self.x, self.graph = torch.empty_like(x, memory_format=torch.contiguous_format), torch.cuda.CUDAGraph()
        known = set(engine.counter.counts)
        plain, self.memory = engine.memory, Lender(engine.device)  # the graph keeps addresses: nobody else gets them
        engine.memory = self.memory
        try:
            side = torch.cuda.Stream(engine.device)
            with (
                torch.cuda.device(engine.device),
                not_asking(engine),
                torch.cuda.graph(self.graph, stream=side, capture_error_mode="thread_local"),
            ):
                self.batch = engine.forward(self.x, pack=False)
        finally:
            engine.memory = plain
        assert known == set(engine.counter.counts)  # one made now would live in the graph, never set to zero

    def replay(self, x: Tensor) -> Batch:
        """Run one batch of the shape; the results are in the CPU's memory."""
        self.x.copy_(x)
        self.graph.replay()
        return replace(self.batch).to_host()


@contextmanager
def not_asking(engine: TensorEngine) -> Iterator[None]:
    """Within it the counter does not wait for values of the device."""
    engine.counter.asks = False
    try:
        yield
    finally:
        engine.counter.asks = True


class Replayable(Protocol):
    """A run of one shape that is ready to be repeated."""

    def replay(self, x: Tensor) -> Batch:
        """Run one batch of the shape."""


@dataclass
class Trial:
    """What is known of one shape of batch."""

    batches: int = 0
    captured: Replayable | None = None
    plain: float = math.inf
    replayed: float = math.inf


class Replayer:
    """Runs batches, each shape as it is fastest.

    The first batch of a shape warms up: it is run as it would be captured. The next two are run plainly and
    timed, two more replayed and timed, the others run as was faster. With ``always`` all but the first are
    replayed.
    """

    def __init__(
        self, engine: TensorEngine, capture: Callable[[TensorEngine, Tensor], Replayable], always: bool
    ) -> None:
        self.engine, self.capture, self.always = engine, capture, always
        self.trials: dict[tuple[int, ...], Trial] = {}

    def batch(self, x: Tensor) -> Batch:
        """Run one batch, (B, T, C, N) bool."""
        trial = self.trials.setdefault(tuple(x.shape), Trial())
        trial.batches += 1
        if trial.batches == 1:
            with not_asking(self.engine):
                return self.engine.batch(x, pack=False)
        if self.always or trial.batches in (4, 5) or (trial.batches > 5 and trial.replayed < trial.plain):
            return self._replay(trial, x)
        trial.captured = None  # gives its memory back
        seconds, result = _timed(self.engine.batch, x)
        trial.plain = min(trial.plain, seconds)
        return result

    def _replay(self, trial: Trial, x: Tensor) -> Batch:
        trial.captured = trial.captured or self.capture(self.engine, x)
        seconds, result = _timed(trial.captured.replay, x)
        trial.replayed = min(trial.replayed, seconds)
        return result


def _timed(run: Callable[[Tensor], Batch], x: Tensor) -> tuple[float, Batch]:
    start = time.perf_counter()
    result = run(x)  # ends with a copy to the host
    return time.perf_counter() - start, result
