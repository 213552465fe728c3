"""A spiking layer in its two forms: trained with batch normalisation, and in integers for the chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.models.encoder import round_through
from toolkit.models.neuron import Neuron, lif
from toolkit.models.norm_neuron import norm_neuron
from toolkit.models.spike_product import spike_product, stacked

WEIGHT_MIN, WEIGHT_MAX = -256, 254  # 8-bit signed weights of Loihi 2 in mixed-sign mode: even integers

MOMENTUM = 0.02
"""Of the running statistics. Batches hold sentences of like length, so few of them do not speak for all."""


@dataclass(frozen=True)
class Integers:
    """One lowered layer: even weights and biases in units of ``1 / theta``.

    Attributes:
        weight: (out, in) float32, even integers in [-256, 254].
        bias: (out,) float32, even integers.
        theta: integer firing threshold; for the readout, the divisor of its logits.
    """

    weight: Tensor
    bias: Tensor
    theta: int


class NormedLinear(nn.Module):
    """Bias-free linear map and batch normalisation over the valid tokens of all steps."""

    theta = 1.0

    def __init__(self, inputs: int, outputs: int, scale: float = 2.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)
        self.norm = nn.BatchNorm1d(outputs, momentum=MOMENTUM)
        nn.init.constant_(self.norm.weight, scale)  # a unit-variance current would leave 95 % of neurons silent

    def forward(self, x: Tensor) -> Tensor:
        """Currents (T, M, out) from spikes or spike sums (T, M, in); in training, by this process's statistics.

        Training goes through ``fire``, which fuses the norm with the neurons and counts every process.
        """
        y = functional.linear(x, self.weight)
        return self.norm(y.flatten(0, 1)).view_as(y)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (out, in) and bias (out,) of the affine map that the running statistics give."""
        norm = self.norm
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None  # BatchNorm1d tracks them unless told not to
        gain = norm.weight * torch.rsqrt(variance + norm.eps)
        return (self.weight * gain.unsqueeze(1)).detach(), (norm.bias - mean * gain).detach()


class LayerNormedLinear(nn.Module):
    """Bias-free linear map and layer normalisation: over the channels of each token and step (SpikeBERT's)."""

    theta = 1.0

    def __init__(self, inputs: int, outputs: int, scale: float = 2.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)
        self.norm = nn.LayerNorm(outputs)
        nn.init.constant_(self.norm.weight, scale)  # as in NormedLinear

    def forward(self, x: Tensor) -> Tensor:
        """Currents (T, M, out) from spikes or spike sums (T, M, in)."""
        return self.norm(functional.linear(x, self.weight))


class PlainLinear(nn.Module):
    """Linear map with a bias: the readout before lowering."""

    theta = 1.0

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Values (T, M, out) from spike sums (T, M, in)."""
        return functional.linear(x, self.weight, self.bias)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as they are."""
        return self.weight.detach(), self.bias.detach()


class IntegerLinear(nn.Module):
    """The layer as the chip holds it; trainable, because rounding lets the gradient through."""

    def __init__(self, weight: Tensor, bias: Tensor, theta: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())
        self.register_buffer("threshold", torch.tensor(theta, dtype=torch.int64))
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        """Integer currents (T, M, out) in units of ``1 / theta``."""
        return functional.linear(x, *self.rounded())

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Even integer weight in [-256, 254] and even integer bias, gradient passing."""
        weight = 2.0 * round_through(self.weight * (self.theta / 2))
        return weight.clamp(WEIGHT_MIN, WEIGHT_MAX), 2.0 * round_through(self.bias * (self.theta / 2))

    def integers(self) -> Integers:
        """The lowered layer."""
        with torch.no_grad():
            weight, bias = self.rounded()
        return Integers(weight, bias, self.theta)

    @classmethod
    def from_integers(cls, layer: Integers) -> IntegerLinear:
        """Rebuild a layer; ``from_integers(x).integers() == x``, since theta <= 2^14."""
        return cls(layer.weight / layer.theta, layer.bias / layer.theta, layer.theta)


def fire(layer: nn.Module, x: Tensor, tau: float = 2.0, counts: bool = False) -> Tensor:
    """Spikes (T, M, out) of a layer in either form.

    Args:
        layer: a linear layer with its threshold.
        x: spikes or spike sums, (T, M, in).
        tau: membrane time constant in steps.
        counts: x holds integers from 0 to 255 only; training then keeps a byte of each.
    """
    return fire_together((layer,), x, tau, counts)[0]


def fire_together(layers: Sequence[nn.Module], x: Tensor, tau: float = 2.0, counts: bool = False) -> tuple[Tensor, ...]:
    """As ``fire``, for layers of one input: in training they are one product and one pass over its result."""
    normed = [layer for layer in layers if isinstance(layer, NormedLinear) and layer.training]
    if len(normed) < len(layers):
        return tuple(lif(layer(x), float(layer.theta), tau) for layer in layers)  # type: ignore[arg-type]
    weights = [layer.weight for layer in normed]
    y = spike_product(x, *weights) if counts else functional.linear(x, stacked(weights))
    spikes = norm_neuron(y, [layer.norm for layer in normed], Neuron(normed[0].theta, tau))
    return spikes.split([len(w) for w in weights], dim=-1)
