"""SpikeBERT's neuron for any threshold and surrogate, its slope being that of the published code.

``toolkit.models.neuron.lif`` measures the distance from the threshold in units of the threshold, so that an
integer layer has the gradient of the real one. The published surrogate does not: its slope is
``alpha/2 / (1 + (pi/2 alpha (v - theta))^2)`` at every threshold. The two are one function at theta = 1, where
``lif`` is used; the attention's neuron, at 0.5, would get twice the slope at half the width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toolkit.models.neuron import SURROGATE_WIDTH, lif


def fire(current: Tensor, theta: float, tau: float, alpha: float) -> Tensor:
    """Spikes of leaky integrate-and-fire neurons: ``v <- v + (I - v)/tau``; spike and reset to 0 at ``theta``.

    Args:
        current: input current, (T, ...).
        theta: firing threshold; a neuron fires at or above it.
        tau: membrane time constant, in steps.
        alpha: of the arctangent surrogate; the reset passes no gradient.

    Returns:
        0/1 spikes, (T, ...).
    """
    if theta == 1.0 and alpha == SURROGATE_WIDTH:
        return lif(current, theta, tau)
    v, spikes = torch.zeros_like(current[0]), []
    for x in current:
        v = v + (x - v) / tau
        spikes.append(spike(v - theta, alpha))
        v = torch.where(v >= theta, 0.0, v)
    return torch.stack(spikes)


def spike(distance: Tensor, alpha: float) -> Tensor:
    """Memoryless spikes ``distance >= 0`` (any shape), with the gradient of an arctangent step."""
    soft = torch.atan(math.pi / 2 * alpha * distance) / math.pi
    return (distance >= 0).to(distance.dtype) + (soft - soft.detach())
