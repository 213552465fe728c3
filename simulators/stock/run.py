"""``simulate_nir``: a NIR graph of anybody's, run by the equations that NIR states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exporters.nir.errors import GraphError
from exporters.nir.stock.prepare import Prepared, prepare
from exporters.nir.stock.read import read_stock
from simulators.stock.conventions import Conventions
from simulators.stock.errors import StockGraphError
from simulators.stock.execute import Executor
from simulators.stock.tally import StockCount

Signal = Tensor | NDArray[np.generic]
DTYPES = (torch.float64, torch.float32)
SLOW = 1e-3  # of the threshold, a step's gain for an input of 1


@dataclass(frozen=True, eq=False)
class StockResult:
    """What a run gives.

    Attributes:
        outputs: per Output of the outermost graph, by its name, (S, T, *shape).
        counts: per node, by flat name: spikes and synaptic operations.
        spikes: per spiking node, bool (S, T, *shape); filled where recording was asked for.
        delayed: edges of cycles that carry the previous step's output.
        notes: where the file declares something else than what was run, or may mean it, one line each.
    """

    outputs: dict[str, Tensor]
    counts: Mapping[str, StockCount]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    delayed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def output(self) -> Tensor:
        """The output of a graph with one Output.

        Raises:
            StockGraphError: there are several; take them from ``outputs`` by name.
        """
        if len(self.outputs) != 1:
            names = ", ".join(map(repr, self.outputs))
            raise StockGraphError(f"output: the graph has {len(self.outputs)} ({names}); take one from `outputs`")
        return next(iter(self.outputs.values()))


@torch.no_grad()
def simulate_nir(
    graph: nir.NIRGraph | Path | str,
    inputs: Signal | Mapping[str, Signal],
    *,
    dt: float = 1e-4,
    integrate: str = "seconds",
    current: str = "new",
    start: str = "zero",
    arithmetic: str = "real",
    duplicate_edges: str = "refuse",
    dtype: torch.dtype = torch.float64,
    batch_size: int = 64,
    record: bool = False,
) -> StockResult:
    """Run inputs through a NIR graph of stock primitives (nir 1.0.8), nested and recurrent ones included.

    Forward Euler, spikes where ``v > v_threshold``, then ``v = v_reset``; several edges into a node are summed.
    What has no cycle runs over all steps of a batch at once, the rest step by step;
    :mod:`exporters.nir.stock.order` says which edge of a cycle is delayed by one step. On the CPU. The same call
    gives the same result; other batch sizes may round sums of floats differently in the last digit.

    Args:
        graph: a graph, left as it is, or a NIR file.
        inputs: (S, T, *shape), samples, steps and the shape of the Input, numbers or bool, as numpy or
            torch; by the names of the Inputs where there are several. Every sample starts anew.
        dt: seconds per step. No file says it; snnTorch's and most others mean 1e-4.
        integrate: I and IF: ``"seconds"``, ``v += r I dt`` as NIR writes, or ``"steps"``, ``v += r I``.
        current: CubaLI and CubaLIF: the membrane takes the ``"new"`` current or that of the ``"previous"``
            step (Norse).
        start: v before the first step: ``"zero"``, or ``"leak"`` for v_leak.
        arithmetic: ``"real"``, NIR's equations, or ``"loihi2"``: states in Lava's integers, decays rounded toward zero
            as its ``fixed_pt`` neurons do (:mod:`simulators.stock.loihi2`); what came from a lava-dl file runs so.
        duplicate_edges: an edge written twice: ``"refuse"``, ``"sum"`` or ``"once"``.
        dtype: ``torch.float64`` or ``torch.float32``; outputs have it too.
        batch_size: samples held at a time; bounds the memory.
        record: keep the spikes of every spiking node.

    Returns:
        Outputs by name, counts per node, and what was decided.

    Raises:
        StockGraphError: what cannot be run, in one line: node, edge or argument, value, limit, next step.

    Example:
        ``simulate_nir("model.nir", spikes).output`` is (S, T, *shape) for ``spikes`` (S, T, *shape).
    """
    how = Conventions(dt, integrate, current, start, arithmetic)
    if dtype not in DTYPES:
        raise StockGraphError(f"dtype {dtype}: choose torch.float64 or torch.float32")
    if batch_size < 1:
        raise StockGraphError(f"batch_size {batch_size}: at least 1 is needed; choose a larger one")
    prepared = _prepared(graph, dt, duplicate_edges)
    signals = _checked(prepared, inputs)
    samples, steps = next(iter(signals.values())).shape[:2]
    executor = Executor(prepared, how, dtype, steps, record)
    parts = []
    for first in range(0, samples, batch_size):
        some = {n: x[first : first + batch_size].to(dtype).transpose(0, 1).contiguous() for n, x in signals.items()}
        parts.append(executor.batch(some))
    joined = {n: torch.cat([part[n].transpose(0, 1) for part in parts]) for n in sorted(executor.kept)}
    return StockResult(
        {name: joined[name] for name in prepared.flat.outputs},
        executor.tally.counts(),
        {name: joined[name].bool() for name in executor.tally.spikes if record},
        tuple(sorted(prepared.order.delayed)),
        (*prepared.shapes.notes, *_slow(prepared, how)),
    )


def _prepared(graph: nir.NIRGraph | Path | str, dt: float, duplicate_edges: str) -> Prepared:
    try:
        read = graph if isinstance(graph, nir.NIRGraph) else read_stock(Path(graph))
        return prepare(read, dt, duplicate_edges)
    except GraphError as error:
        raise StockGraphError(str(error)) from None


def _slow(prepared: Prepared, how: Conventions) -> Iterator[str]:
    """Integrators that look as if their file counted in steps: read in seconds they would hardly ever fire."""
    for name, node in prepared.flat.nodes.items():
        if how.integrate == "seconds" and isinstance(node, nir.IF):
            gain, threshold = float(np.max(np.abs(node.r))) * how.dt, float(np.min(node.v_threshold))
            if gain < SLOW * threshold:
                yield (
                    f"{name}: an input of 1 moves v by {gain:g} a step, the threshold is {threshold:g}; if the file "
                    "counts in steps, pass integrate='steps'"
                )


def _tensor(name: str, value: Signal) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        return torch.from_numpy(np.array(value))  # a copy: torch warns of arrays that it may not write to
    except TypeError:
        raise StockGraphError(f"{name}: inputs of type {np.asarray(value).dtype}, needs numbers or bool") from None


def _checked(prepared: Prepared, inputs: Signal | Mapping[str, Signal]) -> dict[str, Tensor]:
    names = prepared.flat.inputs
    if not names:
        raise StockGraphError("graph: has no Input, which tells how many steps to run; add one")
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            listed = ", ".join(map(repr, names)) or "none"
            raise StockGraphError(f"inputs: the graph has {len(names)} Inputs ({listed}); pass a mapping by name")
        inputs = {names[0]: inputs}
    if set(inputs) != set(names):
        raise StockGraphError(f"inputs {sorted(inputs)}: the graph's Inputs are {sorted(names)}; pass one for each")
    signals = {name: _tensor(name, inputs[name]) for name in names}
    leading = signals[names[0]].shape[:2]
    for name, x in signals.items():
        shape = prepared.shapes.entering[name]
        if x.ndim != len(shape) + 2 or x.shape[2:] != shape or x.shape[:2] != leading or 0 in leading:
            raise StockGraphError(
                f"{name}: inputs of shape {tuple(x.shape)}, needs (samples, steps, {', '.join(map(str, shape))}), at "
                "least one sample and step, as many for each Input; reshape them"
            )
        if x.is_complex() or (x.is_floating_point() and not bool(torch.isfinite(x).all())):
            raise StockGraphError(f"{name}: inputs hold values that are no finite real numbers; clean them first")
    return signals
