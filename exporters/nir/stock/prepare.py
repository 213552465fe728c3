"""All that is to be known of a stock graph before it runs: what fails here would fail in the simulator."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.read import MALFORMED
from exporters.nir.stock.flatten import Flat, flatten
from exporters.nir.stock.order import Order, order
from exporters.nir.stock.shapes import PARAMETERS, Shapes, infer_shapes

TAUS = ("tau", "tau_syn", "tau_mem")
WEIGHTS = ("weight", "bias")
SLACK = 1e-6  # a time constant of one step, stored in float32, may read a little below it


@dataclass(frozen=True)
class Prepared:
    """A graph laid flat, its shapes, and the order in which it runs at a step of ``dt`` seconds."""

    flat: Flat
    shapes: Shapes
    order: Order
    dt: float


def prepare(graph: nir.NIRGraph, dt: float = 1e-4, duplicate_edges: str = "refuse") -> Prepared:
    """Check a graph of stock primitives and schedule it.

    Args:
        graph: from a file or built in memory; left as it is.
        dt: seconds per step.
        duplicate_edges: what an edge written twice means: ``"refuse"``, ``"sum"`` or ``"once"``.

    Raises:
        GraphError: what cannot be run as written: node or edge, value, limit, next step.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise GraphError(f"dt {dt}: seconds per step, needs a positive number; most files mean 1e-4")
    try:
        flat = flatten(graph, duplicate_edges)
        for name, node in flat.nodes.items():
            _check_values(node, name, dt)
        return Prepared(flat, infer_shapes(flat), order(flat, dt), dt)
    except GraphError:
        raise
    except MALFORMED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise GraphError(f"graph: a node holds what nir does not describe ({reason}); export it again") from None


def _check_values(node: nir.NIRNode, name: str, dt: float) -> None:
    for key in (*PARAMETERS.get(type(node).__name__, ()), *WEIGHTS):
        values = getattr(node, key, None)
        if values is not None and not np.isfinite(np.asarray(values, np.float64)).all():
            raise GraphError(f"node {name!r}: {key} holds a value that is not finite; export the file again")
    for key in TAUS:
        shortest = np.min(getattr(node, key, np.inf))
        if shortest < dt * (1 - SLACK):
            raise GraphError(
                f"node {name!r}: {key} is {shortest:g} s, below the step of {dt:g} s, where forward Euler overshoots; "
                "pass the dt that the file was made for"
            )
    if isinstance(node, nir.Delay) and np.min(node.delay) < 0:
        raise GraphError(f"node {name!r}: delay is {np.min(node.delay):g} s, needs at least 0; nothing comes early")
