"""In which type each signal of a plan lies in memory, and what else the device asks of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from exporters.nir.graph import Attention, Neuron
from simulators.arithmetic import FLOAT32_EXACT
from simulators.cuda.scan import usable
from simulators.operations import Operation, Plan
from simulators.products import BFLOAT16_EXACT


@dataclass(frozen=True)
class Layout:
    """How a run uses memory.

    Attributes:
        resident: type of spikes and other small messages.
        aligned: joined signals are filled up to a multiple of it with channels that are silent.
        fused: neurons run in one Triton kernel.
    """

    resident: torch.dtype
    aligned: int = 1
    fused: bool = False

    @classmethod
    def of(cls, plan: Plan, device: torch.device) -> Layout:
        """What suits a device: on CUDA half the bytes a message, and rows of 16 bytes, as its products want them."""
        if device.type != "cuda":
            return cls(torch.float64 if plan.real else torch.float32)
        if plan.real:
            return cls(torch.float64, 1, usable(device))
        return cls(torch.bfloat16, 8, usable(device))

    def types(self, plan: Plan) -> dict[str, torch.dtype]:
        """Type of each signal, in which all of its messages are exact."""
        types = {plan.graph.input: self.resident}
        for op in plan.operations:
            types[op.name] = self._type(op, plan, types)
        return types

    def _type(self, op: Operation, plan: Plan, types: dict[str, torch.dtype]) -> torch.dtype:
        node = plan.graph.nodes.get(op.name)
        if op.path in ("join", "window"):
            return _common([types[edge.source] for edge in op.edges])
        if isinstance(node, Neuron):
            return self.resident
        if plan.real:
            return torch.float64
        if isinstance(node, Attention):
            return self._holding(plan.signals[op.name].bound)
        return op.dtype if any(edge.linear for edge in op.edges) else self._holding(op.bound)

    def _holding(self, bound: float) -> torch.dtype:
        """Type for integers up to ``bound``."""
        if bound <= BFLOAT16_EXACT:
            return self.resident
        return torch.float32 if bound < FLOAT32_EXACT else torch.float64


def _common(types: list[torch.dtype]) -> torch.dtype:
    widest = types[0]
    for other in types[1:]:
        widest = torch.promote_types(widest, other)
    return widest
