"""Runs plans on CPU cores: each takes a few samples at a time through the whole network, within its own caches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import local

import numpy as np
from numpy.typing import NDArray

from simulators.compiled.chunk import Chunk
from simulators.compiled.forms import Shelf, forms, peak_bytes
from simulators.compiled.steps import Step, step_of
from simulators.operations import Operation, Plan
from simulators.tallies import needs_nonzero

CACHE = 2**21  # bytes of signals that one core works on at a time
ROWS = 1024  # tokens and steps that are worth the interpreter's time, whatever the cache


class CompiledEngine:
    """A plan on the CPU.

    Attributes:
        sample_bytes: most memory that a sample takes.
    """

    def __init__(self, plan: Plan, threads: int, record: bool, currents: bool) -> None:
        self.plan, self.record, self.currents = plan, record, currents
        self.shapes = forms(plan)
        self.steps: list[tuple[Operation, Step]] = [
            (op, step_of(op, plan, self.shapes)) for op in plan.operations if op.path != "join"
        ]
        self.needed = needs_nonzero(plan)
        self.threads, self.own = threads, local()
        self.sample_rows = plan.steps * plan.signals[plan.graph.input].tokens
        self.row_bytes, whole = peak_bytes(plan, self.shapes)
        self.sample_bytes = whole * self.sample_rows

    def run(self, inputs: NDArray[np.bool_]) -> list[Chunk]:
        """All chunks of (S, T, C, N), in order."""
        rows = max(CACHE // self.row_bytes, ROWS)
        size = max(1, min(rows // self.sample_rows, -(-len(inputs) // self.threads)))
        pieces = [inputs[i : i + size].view(np.uint8) for i in range(0, len(inputs), size)]
        if self.threads == 1 or len(pieces) == 1:
            return [self._chunk(piece) for piece in pieces]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(self._chunk, pieces))

    def _chunk(self, inputs: NDArray[np.uint8]) -> Chunk:
        if not hasattr(self.own, "shelf"):
            self.own.shelf = Shelf()
        chunk = Chunk(self.plan, self.shapes, self.own.shelf, self.needed, inputs, self.record, self.currents)
        for op, step in self.steps:
            step(chunk)
            chunk.release(op)
        return chunk
