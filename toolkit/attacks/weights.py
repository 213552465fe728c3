"""Attacks on the integers themselves: pruning, fewer bits, noise. No data and no training are needed.

They change the weights of the network's linear layers, which is what a chip stores; the host's encoder tables and
the biases stay as they are. Every result is again even integers in [-256, 254], so that it lowers and runs
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toolkit.attacks.suspect import with_integers
from toolkit.errors import SpikeportError
from toolkit.models.layers import WEIGHT_MAX, WEIGHT_MIN, Integers
from toolkit.models.modeling import SpikingStudentForSequenceClassification

Student = SpikingStudentForSequenceClassification


def prune(model: Student, share: float) -> Student:
    """The smallest weights of every layer set to zero (magnitude pruning, Han et al., NeurIPS 2015).

    Args:
        share: of each layer's weights, in [0, 1]; of equal magnitudes those that come first go first.
    """
    if not 0 <= share <= 1:
        raise SpikeportError(f"prune: share {share:g} of the weights, must lie between 0 and 1; choose another")

    def pruned(weight: Tensor) -> Tensor:
        order = weight.abs().flatten().argsort(stable=True)
        kept = weight.flatten().clone()
        kept[order[: round(share * weight.numel())]] = 0
        return kept.view_as(weight)

    return _each(model, pruned)


def requantise(model: Student, bits: float) -> Student:
    """Weights rounded to a symmetric grid of ``2^bits - 1`` levels, one step for each layer.

    Args:
        bits: 2 to 8, a whole number.
    """
    if bits != int(bits) or not 2 <= bits <= 8:
        raise SpikeportError(f"requantise: {bits:g} bits, must be a whole number from 2 to 8; choose another strength")
    most = 2 ** (int(bits) - 1) - 1

    def rounded(weight: Tensor) -> Tensor:
        step = weight.abs().max().clamp_min(1) / most
        return (weight / step).round() * step

    return _each(model, rounded)


def jitter(model: Student, deviation: float, seed: int = 0) -> Student:
    """Gaussian noise on every weight.

    Args:
        deviation: of the noise, in units of the standard deviation of the layer's weights; not negative.
    """
    if deviation < 0:
        raise SpikeportError(f"noise: deviation {deviation:g}, must not be negative; choose another strength")
    generator = torch.Generator().manual_seed(seed)

    def noisy(weight: Tensor) -> Tensor:
        return weight + deviation * weight.std() * torch.randn(weight.shape, generator=generator)

    return _each(model, noisy)


def even(weight: Tensor) -> Tensor:
    """The nearest weight that a chip stores."""
    return (2 * (weight / 2).round()).clamp(WEIGHT_MIN, WEIGHT_MAX)


@torch.no_grad()
def _each(model: Student, change: Callable[[Tensor], Tensor]) -> Student:
    layers = model.student.integers()
    return with_integers(
        model, {n: Integers(even(change(layer.weight)), layer.bias, layer.theta) for n, layer in layers.items()}
    )
