"""What the compiled engine does not run, so that the other one must."""

from __future__ import annotations

from exporters.nir.graph import Neuron, Pool
from simulators.arithmetic import INT32
from simulators.compiled.forms import Form
from simulators.operations import Plan
from simulators.rewrite import is_junction


def refusal(plan: Plan, shapes: dict[str, Form], currents: bool) -> str | None:
    """Why a plan cannot run compiled, or None."""
    if plan.real:
        return "arithmetic 'real' runs in float64, compiled layers hold integers"
    for op in plan.operations:
        node = plan.graph.nodes.get(op.name)
        if isinstance(node, Pool) and not is_junction(node):
            return f"{op.name}: a pool divides, compiled layers hold integers"
        if op.bound >= INT32 and (currents or not isinstance(node, Neuron)):
            return f"{op.name}: sums may reach {op.bound:g}, they are kept in 32 bits"
        if op.product and not shapes[op.product.source].is_listable:
            return f"{op.name}: a linear reads messages outside 0 to 255, which events do not carry"
        for part in op.parts:
            for piece in part:
                if not shapes[piece.source].is_listable:
                    return f"{op.name}: attention reads messages outside 0 to 255"
    return None
