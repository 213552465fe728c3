"""The student's neuron: leaky integrate-and-fire with tau = 2 and hard reset, all T steps at once.

    v[t] = (v[t-1] + I[t]) / 2;   s[t] = v[t] >= theta;   v[t] <- 0 where s[t]

With integer currents every value is a dyadic fraction below 2^24, so float32 holds it exactly.
The gradient is that of an arctangent surrogate, and it does not pass through the reset
(SpikeBERT, arXiv 2308.15122; surrogate of Fang et al., ICCV 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SURROGATE_WIDTH = 2.0


def lif(current: Tensor, theta: float, tau: float = 2.0) -> Tensor:
    """Spikes of a layer.

    Args:
        current: input current, (T, ...), float32, in units of the threshold's own scale.
        theta: firing threshold; a neuron fires at or above it.
        tau: time constant in steps, at least 1; ``v <- v + (I - v) / tau``. Exact in integers at 2 only.

    Returns:
        0/1 spikes, (T, ...), float32.
    """
    if tau != 2.0:
        return _lif_of(current, theta, tau)
    spikes: Tensor = _LIF.apply(current, theta)
    return spikes


def _lif_of(current: Tensor, theta: float, tau: float) -> Tensor:
    """``lif`` at any time constant; autograd keeps each step's membrane."""
    v, spikes = torch.zeros_like(current[0]), []
    for t in range(current.shape[0]):
        v = v + (current[t] - v) / tau
        spikes.append(threshold(v, theta))
        v = torch.where(v >= theta, 0.0, v)
    return torch.stack(spikes)


def threshold(value: Tensor, theta: float) -> Tensor:
    """Memoryless spikes ``value >= theta`` (any shape), with the same surrogate gradient."""
    spikes: Tensor = _Threshold.apply(value, theta)
    return spikes


def _surrogate(distance: Tensor, theta: Tensor | float) -> Tensor:
    """D spike / d value at a distance from the threshold: the arctangent's, in units of theta."""
    half = SURROGATE_WIDTH * math.pi / 2 / theta
    return SURROGATE_WIDTH / 2 / theta / (1.0 + (distance * half) ** 2)


def _scan(current: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Membranes before the reset and spikes, both shaped like ``current`` (T, ...)."""
    v = torch.zeros_like(current[0])
    membranes = []
    for t in range(current.shape[0]):
        membrane = (v + current[t]) * 0.5
        membranes.append(membrane)
        v = torch.where(membrane >= theta, 0.0, membrane)
    stacked = torch.stack(membranes)
    return stacked, (stacked >= theta).to(current.dtype)


def _scan_backward(grad: Tensor, membrane: Tensor, theta: Tensor) -> Tensor:
    """Gradient of the current from that of the spikes, both (T, ...)."""
    carried = torch.zeros_like(grad[0])
    grads: list[Tensor] = []
    for t in reversed(range(grad.shape[0])):
        kept = torch.where(membrane[t] >= theta, 0.0, carried)
        carried = 0.5 * (grad[t] * _surrogate(membrane[t] - theta, theta) + kept)
        grads.append(carried)
    return torch.stack(grads[::-1])


_kernels: dict[str, Callable[..., Any]] = {"scan": _scan, "scan_backward": _scan_backward}


def compile_kernels() -> bool:
    """Fuse the scan and its gradient into one pass over memory each, for training.

    Worth about a minute of compilation; needs a C++ compiler. The arithmetic stays exact, so results
    do not change.

    Returns:
        Whether it worked; where not, the plain kernels stay in use.
    """
    compiled: dict[str, Callable[..., Any]] = {
        "scan": torch.compile(_scan, dynamic=True, fullgraph=True),
        "scan_backward": torch.compile(_scan_backward, dynamic=True, fullgraph=True),
    }
    probe, theta = torch.randn(2, 3, 5), torch.tensor(1.0)
    try:
        compiled["scan"](probe, theta)
        compiled["scan_backward"](probe, probe, theta)
    except Exception as error:  # whatever a tool chain can fail with: the plain kernels are as right
        print(f"neuron kernels not compiled ({type(error).__name__}): training runs slower", flush=True)
        return False
    _kernels.update(compiled)
    return True


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, theta: float) -> Tensor:
        limit = torch.tensor(theta, dtype=current.dtype, device=current.device)
        membrane, spikes = _kernels["scan"](current, limit)
        ctx.save_for_backward(membrane, limit)
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        membrane, limit = ctx.saved_tensors
        return _kernels["scan_backward"](grads[0].contiguous(), membrane, limit), None


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, theta: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.theta = theta
        return (value >= theta).to(value.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        return grads[0] * _surrogate(value - ctx.theta, ctx.theta), None
