"""Runs plans on CPU cores: each takes a few samples at a time through the whole network, within its own caches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier, local

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulators.compiled.chunk import Chunk
from simulators.compiled.fire import FireProduct
from simulators.compiled.forms import Shelf, forms, row_bytes, sources_of
from simulators.compiled.steps import steps_of
from simulators.compiled.support import refusal
from simulators.engine import Outcome
from simulators.errors import GraphSimulationError
from simulators.labels import label
from simulators.operations import Plan
from simulators.products import is_exact, reduced_precision
from simulators.tallies import Tallies, needs_nonzero
from simulators.trace import LayerTrace

CACHE = 2**21  # bytes of signals that one core works on at a time
ROWS = 4096  # tokens and steps that are worth the interpreter's time, whatever the cache


class CompiledEngine:
    """A plan on the CPU, in Loihi 2's integers.

    Attributes:
        sample_bytes: most memory that one sample's signals take.
    """

    def __init__(self, plan: Plan, threads: int, record: bool = False, currents: bool = False) -> None:
        """Lays weights out and measures which products are faster dense.

        Raises:
            GraphSimulationError: for a plan that only torch's operators run.
        """
        self.plan, self.record, self.currents = plan, record, currents
        self.shapes = forms(plan)
        if fault := refusal(plan, self.shapes, currents):
            raise GraphSimulationError(f"{fault}; choose engine='tensor'")
        self.steps = steps_of(plan, self.shapes)
        firing = [step for _, step, is_first in self.steps if is_first and isinstance(step, FireProduct)]
        # one setting for all threads: reduced for every dense product, or for none
        may_reduce = all(is_exact("float32 medium", step.product.bounds) for step in firing)
        for step in firing:
            step.measure(may_reduce)
        dense = [step.product.dense for step in firing]
        self.is_reduced = any(weights is not None and weights.candidate == "float32 medium" for weights in dense)
        self.needed = needs_nonzero(plan)
        self.reads = {op.name: sources_of(op, self.shapes) for op in plan.operations}
        self.listed = {op.name: op.product.source if op.product else "" for op in plan.operations}
        self.uses = (
            Counter(source for reads in self.reads.values() for source in reads),
            Counter(source for source in self.listed.values() if source),
        )
        self.sample_rows = plan.steps * plan.signals[plan.graph.input].tokens
        self.row_bytes = row_bytes(plan, self.shapes, with_scratch=False)
        self.sample_bytes = row_bytes(plan, self.shapes, with_scratch=True) * self.sample_rows
        self.threads, self.own = threads, local()
        self.pool = _workers(threads) if threads > 1 else None
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self.counted, self.rows = Tallies(), defaultdict[str, tuple[int, int]](lambda: (0, 0))

    def batches(self, spikes: Tensor, size: int) -> Iterator[Tensor]:
        """Batches, where they lie."""
        return iter(spikes.split(size))

    def run(self, inputs: Tensor) -> Outcome:
        """One batch; see :class:`simulators.engine.Engine`."""
        bits = inputs.contiguous().numpy().view(np.uint8)
        rows = max(CACHE // self.row_bytes, ROWS)
        size = max(1, min(rows // self.sample_rows, -(-len(bits) // self.threads)))
        pieces = [bits[i : i + size] for i in range(0, len(bits), size)]
        with reduced_precision() if self.is_reduced else nullcontext():
            chunks = list((self.pool.map if self.pool and len(pieces) > 1 else map)(self._chunk, pieces))
        for chunk in chunks:
            self.counted.add(chunk.tallies)
            for name, (events, dense) in chunk.paths.items():
                known = self.rows[name]
                self.rows[name] = known[0] + events, known[1] + dense
        return Outcome(
            torch.from_numpy(np.concatenate([c.logits for c in chunks])),
            {
                label(name): torch.from_numpy(np.concatenate([c.spikes[name] for c in chunks]))
                for name in chunks[0].spikes
            },
            {label(n): torch.from_numpy(np.concatenate([c.currents[n] for c in chunks])) for n in chunks[0].currents},
        )

    def _chunk(self, inputs: NDArray[np.uint8]) -> Chunk:
        if not hasattr(self.own, "shelf"):
            self.own.shelf = Shelf()
        chunk = Chunk(
            self.plan, self.shapes, self.own.shelf, self.needed, self.uses, inputs, self.record, self.currents
        )
        for op, step, is_first in self.steps:
            if is_first:
                step.run(chunk)
            chunk.release(op.name, self.reads[op.name], self.listed[op.name])
        return chunk

    def tallies(self) -> Tallies:
        """Counts of all batches so far."""
        return self.counted

    def trace(self) -> tuple[LayerTrace, ...]:
        """How each layer was computed so far."""
        seen = (step.trace(op.name, *self.rows[op.name]) for op, step, _ in self.steps)
        return tuple(layer for layer in seen if layer)

    def close(self) -> None:
        """Let threads go."""
        if self.pool:
            self.pool.shutdown()


def _workers(threads: int) -> ThreadPoolExecutor:
    """Threads whose dense products take one core each, for all cores have a worker already."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1))
    everybody = Barrier(threads)
    for started in [pool.submit(everybody.wait) for _ in range(threads)]:
        started.result()
    torch.set_num_threads(before)  # what a worker sets becomes the default of threads to come, too
    return pool
