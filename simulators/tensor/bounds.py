"""What a plan proves of one of its matrix products."""

from __future__ import annotations

import torch

from simulators.operations import Operation, Plan
from simulators.products import Bounds, is_exact


def bounds_of(op: Operation, plan: Plan) -> Bounds | None:
    """Bounds of the product of ``op``, or None where it has none or float32 does not hold its sums.

    ``entering`` keeps positive and negative contributions apart, so that it bounds every part of the sum too.
    """
    if op.product is None or op.dtype != torch.float32 or plan.real:
        return None
    weights = [plan.linear(name).weight for name in op.product.linears]
    sources = [plan.signals[edge.source] for edge in op.edges if edge.linear in op.product.linears]
    bounds = Bounds(
        weights=(float(min(w.min() for w in weights)), float(max(w.max() for w in weights))),
        even=all(bool((w % 2 == 0).all()) for w in weights),
        messages=(float(min(s.low.min() for s in sources)), float(max(s.high.max() for s in sources))),
        sums=plan.entering[op.name].bound,
    )
    return bounds if is_exact("float32", bounds) else None
