"""Accumulator bounds: what a neuron's input current can reach, proved from the weights alone.

Positive and negative weights are summed apart, each times the largest message of its input, so the
bound holds for every input there is (limits of ``fixed_pt`` LIF: see ``current_limit``).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Bound:
    """Range of one layer's integer current: every input stays within [low, high]."""

    low: int
    high: int

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(-self.low, self.high)


def current_limit(steps: int, even: bool) -> int:
    """Largest |I| at which Loihi's 24-bit membrane neither wraps nor clips in a window of T steps.

    With weights scaled by 2^e the current is |I| 2^(6+e) and must stay below 2^22 twice over, so
    |I| <= 2^(16-e); e = T - 1 keeps halving exact, and e = T - 2 suffices where I is even.
    T = 4: 8,192, or 16,384 where even.
    """
    exponent = max(steps - 1 - int(even), 0)
    return 1 << (16 - exponent)


def bound_rows(weight: Tensor, bias: Tensor, largest_message: int) -> tuple[Tensor, Tensor]:
    """Per output neuron, the largest and the smallest current (both (out,), the second <= 0).

    Args:
        weight: (out, in).
        bias: (out,), present on valid tokens only, so it may be absent.
        largest_message: messages are integers from 0 to this.
    """
    high = weight.clamp_min(0).sum(1) * largest_message + bias.clamp_min(0)
    low = weight.clamp_max(0).sum(1) * largest_message + bias.clamp_max(0)
    return high, low


def bound_layer(weight: Tensor, bias: Tensor, largest_message: int) -> Bound:
    """Bound over all neurons of a layer, for integer weights and biases."""
    high, low = bound_rows(weight.double(), bias.double(), largest_message)
    return Bound(int(low.min()), int(high.max()))
