"""Accumulator bounds: what a neuron's input current can reach, proved from the weights alone, or measured.

Positive and negative weights are summed apart, each times the largest message of its input, so the
proved bound holds for every input there is (limits of ``fixed_pt`` LIF: see ``current_limit``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Bound:
    """Range [low, high] of one layer's integer current.

    Attributes:
        margin: ``None`` where it is proved for every input; else it was measured, and other inputs are
            expected within this factor of it.
        samples: sentences on which it was measured.
    """

    low: int
    high: int
    margin: float | None = None
    samples: int | None = None

    @property
    def kind(self) -> str:
        """``proved`` or ``calibrated``."""
        return "proved" if self.margin is None else "calibrated"

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(-self.low, self.high)

    @property
    def reach(self) -> int:
        """Largest absolute value that is allowed for: the margin included."""
        return self.magnitude if self.margin is None else math.ceil(self.magnitude * self.margin)


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
