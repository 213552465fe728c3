"""Which engine runs a plan."""

from __future__ import annotations

import torch

from simulators.compiled import CompiledEngine
from simulators.compiled.forms import forms
from simulators.compiled.support import refusal
from simulators.cuda.graphs import replaying
from simulators.engine import Engine
from simulators.errors import GraphSimulationError
from simulators.operations import Plan
from simulators.tensor import TensorEngine
from simulators.tensor.count import Counter

ENGINES = ("auto", "compiled", "tensor")


def choose(
    plan: Plan,
    engine: str,
    device: torch.device,
    threads: int | None,
    graphs: bool | None,
    *,
    record: bool,
    currents: bool,
    count_updates: bool,
) -> Engine:
    """The engine of that name, or the faster one that runs the plan.

    Raises:
        GraphSimulationError: for a name that is none, a number of threads below 1, or a plan, a device or counts
            that the named engine has not.
    """
    if engine not in ENGINES:
        raise GraphSimulationError(f"engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise GraphSimulationError(f"threads {threads}: at least 1 is needed")
    fault = _fault(plan, device, currents, count_updates) if engine != "tensor" else "asked for"
    if engine == "compiled" and fault:
        raise GraphSimulationError(f"{fault}; choose engine='tensor'")
    if fault:
        tensors = TensorEngine(plan, device, Counter(plan, device, count_updates), record, currents)
        tensors.runner = replaying(tensors, graphs)
        return tensors
    return CompiledEngine(plan, threads or torch.get_num_threads(), record, currents)


def _fault(plan: Plan, device: torch.device, currents: bool, count_updates: bool) -> str | None:
    if device.type != "cpu":
        return f"device {device}: compiled layers run on the CPU"
    if count_updates:
        return "count_updates: compiled layers count updates by token"
    return refusal(plan, forms(plan), currents)
