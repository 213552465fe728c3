"""A plan as a table for a person."""

from __future__ import annotations

from exporters.lava.plan import MODES, Plan
from exporters.lava.processes import (
    Delay,
    Gate,
    Lif,
    Linear,
    MaskAttention,
    Process,
    SelfAttention,
    Wiring,
    is_custom,
)

CUSTOM = "custom, CPU only"


def explain(plan: Plan) -> str:
    """A table of the parts: size, delay behind the input, fixed-point facts."""
    head = (
        f"{len(plan.processes)} parts in {plan.lava_processes} processes, {len(plan.layers)} layers recorded, "
        f"T = {plan.steps}, N = {plan.tokens}, latency {plan.latency} steps; {MODES[plan.mode]}"
    )
    rows = [("part", "kind", "size", "delay", "facts")]
    rows += [(p.name, p.kind, _size(p), str(getattr(p, "delay", "")), _facts(p)) for p in plan.processes]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    return "\n".join([head, *lines])


def _size(process: Process) -> str:
    if isinstance(process, Linear | Wiring):
        return f"{process.inputs}->{process.outputs}"
    for key in ("size", "width", "channels"):
        if hasattr(process, key):
            return str(getattr(process, key))
    return ""


def _facts(process: Process) -> str:
    facts = _own_facts(process)
    return "; ".join(part for part in (facts, CUSTOM if is_custom(process) else "") if part)


def _own_facts(process: Process) -> str:
    if isinstance(process, Linear):
        tokens = f", sees {process.window} tokens" if process.window > 1 else ""
        return f"weight exponent {process.weight_exp}{tokens}"
    if isinstance(process, Wiring):
        return f"{process.pattern}, weight {process.weight}, weight exponent {process.weight_exp}"
    if isinstance(process, Lif):
        reset = f"reset at t % {process.reset_interval} == {process.reset_offset}"
        shared = f"; in the process of {process.population}" if process.population not in ("", process.name) else ""
        return f"vth {process.vth}, {reset}, |I| <= {process.bound} of {process.limit}{shared}"
    if isinstance(process, Gate):
        return f"fires at {process.count} spikes"
    if isinstance(process, SelfAttention):
        return f"{process.heads} heads, shifted left by {process.exponent}"
    if isinstance(process, MaskAttention):
        return f"opens at {process.threshold} tokens"
    if isinstance(process, Delay):
        return f"waits {process.steps}"
    return ""
