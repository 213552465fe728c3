"""What netx and Lava make of a dense layer's weights, and whether that is still the same matrix.

On reading, netx shifts a matrix left until it fills 8 bits and gives the synapse the number of bits and a negative
exponent that undo it (``optimize_weight_bits`` of lava-dl 0.6.0). Lava then takes the sign mode from the data, clips
to the range of that mode and cuts the lowest bits off (``clip_weights`` and ``truncate_weights`` of lava-nc 0.10.0).
For some matrices the two disagree: one whose weights are all of one negative power of two loses a unit. Convolutions
go through none of this: Lava's ``fixed_pt`` convolution takes its integers as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
WEIGHT_BITS = 8
MIXED_RANGE = (-256, 254)


def dense_fault(weight: Integers) -> str | None:
    """Why netx would run another matrix than this, or None where each product comes out the same.

    Args:
        weight: (out, in) integers as the file holds them.
    """
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return "all weights are 0, at which netx stops with an overflow"
    if (low < MIXED_RANGE[0] and high > 0) or (high > MIXED_RANGE[1] and low < 0):
        return f"weight {low if low < MIXED_RANGE[0] else high}, netx clips to {MIXED_RANGE[0]}..{MIXED_RANGE[1]}"
    shift, bits = _shift_and_bits(weight)
    if shift < 0:
        return f"weight {low if -low > high else high}, more than {WEIGHT_BITS} bits"
    if bits > WEIGHT_BITS + _mixed(weight):  # Lava would shift by a negative number
        return f"weight {low if -low > high else high}, netx gives the matrix {bits} bits and Lava holds {WEIGHT_BITS}"
    stored = _held(weight << shift, bits)
    # The sum is shifted right by as much as the weights were shifted left: exact where they are held exactly.
    wrong = np.argwhere(stored != weight << shift)
    if len(wrong):
        at = tuple(int(i) for i in wrong[0])
        return f"weight {int(weight[at])} at {at} becomes {int(stored[at]) / 2**shift:g} in Lava's synapse"
    return None


def _shift_and_bits(weight: Integers) -> tuple[int, int]:
    """Left shift and number of weight bits that netx gives a matrix."""
    low, high = float(weight.min()), float(weight.max())
    signed = 0 if high < 0 or low >= 0 else 1
    with np.errstate(divide="ignore"):
        if signed:
            scale = np.min([np.float64(127) / np.float64(high), np.float64(-128) / np.float64(low)])
        else:
            scale = np.float64(-256) / low if high < 0 else np.float64(255) / high
    shift = int(np.floor(np.log2(scale))) + signed
    zeros = WEIGHT_BITS
    while zeros > 0 and np.any(weight % 2**zeros):
        zeros -= 1
    return shift, WEIGHT_BITS - shift - (zeros - signed)


def _mixed(weight: Integers) -> int:
    """1 where Lava finds both signs, else 0."""
    return int(weight.min() < 0 < weight.max())


def _held(weight: Integers, bits: int) -> Integers:
    """Lava's synapse: the mode by the signs present, clipped, the lowest bits cut off."""
    mixed = _mixed(weight)
    sign = -1 if not mixed and weight.min() < 0 else 1
    clipped = np.clip(sign * weight, -256 * mixed, 255)
    cut = WEIGHT_BITS - bits + mixed
    return sign * ((clipped >> cut) << cut)
