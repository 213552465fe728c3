"""The student's neuron: leaky integrate-and-fire with hard reset, all T steps at once.

    v[t] = v[t-1] + (I[t] - v[t-1]) / tau;   s[t] = v[t] >= theta;   v[t] <- 0 where s[t]

At tau = 2 the charge is ``(v + I) * 0.5``: with integer currents every value is a dyadic fraction below
2^24, so float32 holds it exactly. The gradient is that of an arctangent surrogate, and it does not pass
through the reset (SpikeBERT, arXiv 2308.15122; surrogate of Fang et al., ICCV 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolkit.errors import SpikeportError
from toolkit.models.kernels import compile_kernels, kernel

__all__ = ["SURROGATE_WIDTH", "Neuron", "compile_kernels", "lif", "threshold"]

SURROGATE_WIDTH = 2.0


@dataclass(frozen=True)
class Neuron:
    """The two constants of a layer's neurons.

    Attributes:
        theta: firing threshold; a neuron fires at or above it.
        tau: membrane time constant in steps, at least 1; 1 is a neuron without memory.
    """

    theta: float
    tau: float = 2.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.tau < math.inf:
            raise SpikeportError(f"neuron: tau {self.tau} is not a number from 1 up; 2 is what chips get exactly")
        if not 0.0 < self.theta < math.inf:
            raise SpikeportError(f"neuron: theta {self.theta} is not a number above 0; choose a positive threshold")

    def constants(self, like: Tensor) -> tuple[Tensor, Tensor, bool]:
        """Theta and tau as scalars on the host (a kernel takes any value without being compiled again), and
        whether the charge is the exact halving.
        """
        return torch.tensor(self.theta, dtype=like.dtype), torch.tensor(self.tau, dtype=like.dtype), self.tau == 2.0


def lif(current: Tensor, theta: float, tau: float = 2.0) -> Tensor:
    """Spikes of a layer.

    Args:
        current: input current, (T, ...), in units of the threshold's own scale; half precisions are widened.
        theta: firing threshold; a neuron fires at or above it.
        tau: membrane time constant in steps, at least 1.

    Returns:
        0/1 spikes, (T, ...), float32 (float64 where the current is).

    Raises:
        SpikeportError: tau is below 1, or theta is not positive.
    """
    wide = current.to(torch.promote_types(current.dtype, torch.float32))
    spikes: Tensor = _LIF.apply(wide, Neuron(theta, tau))
    return spikes


def threshold(value: Tensor, theta: float) -> Tensor:
    """Memoryless spikes ``value >= theta`` (any shape), with the same surrogate gradient."""
    spikes: Tensor = _Threshold.apply(value, theta)
    return spikes


def membranes(currents: Sequence[Tensor], theta: Tensor, tau: Tensor, halving: bool) -> list[Tensor]:
    """Membranes before the reset, a tensor a step."""
    v = torch.zeros_like(currents[0])
    charged = []
    for current in currents:
        charged.append((v + current) * 0.5 if halving else v + (current - v) / tau)
        v = torch.where(charged[-1] >= theta, 0.0, charged[-1])
    return charged


def current_gradients(
    grads: Sequence[Tensor], charged: Sequence[Tensor], theta: Tensor, tau: Tensor, halving: bool
) -> list[Tensor]:
    """Gradients of the currents from those of the spikes, back through time; a tensor a step."""
    later = torch.zeros_like(charged[0])  # gradient of the membrane that a step hands to the next
    found = []
    for grad, membrane in zip(reversed(grads), reversed(charged), strict=True):
        kept = torch.where(membrane >= theta, 0.0, later)
        total = grad * _surrogate(membrane - theta, theta) + kept
        found.append(total * 0.5 if halving else total / tau)
        later = found[-1] if halving else total - found[-1]
    return found[::-1]


def _surrogate(distance: Tensor, theta: Tensor | float) -> Tensor:
    """D spike / d value at a distance from the threshold: the arctangent's, in units of theta."""
    half = SURROGATE_WIDTH * math.pi / 2 / theta
    return SURROGATE_WIDTH / 2 / theta / (1.0 + (distance * half) ** 2)


@kernel
def _scan(current: Tensor, theta: Tensor, tau: Tensor, halving: bool) -> Tensor:
    """Spikes of currents, both (T, ...)."""
    charged = membranes(current.unbind(0), theta, tau, halving)
    return torch.stack([(m >= theta).to(current.dtype) for m in charged])


@kernel
def _scan_backward(grad: Tensor, current: Tensor, theta: Tensor, tau: Tensor, halving: bool) -> Tensor:
    """Gradient of the currents from that of the spikes, both (T, ...); the membrane is computed again."""
    charged = membranes(current.unbind(0), theta, tau, halving)
    return torch.stack(current_gradients(grad.unbind(0), charged, theta, tau, halving))


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, neuron: Neuron) -> Tensor:
        ctx.save_for_backward(current)
        ctx.neuron = neuron
        return _scan(current, *neuron.constants(current))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (current,) = ctx.saved_tensors
        return _scan_backward(grads[0].contiguous(), current, *ctx.neuron.constants(current)), None


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, theta: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.theta = theta
        return (value >= theta).to(value.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        return grads[0] * _surrogate(value - ctx.theta, ctx.theta), None
