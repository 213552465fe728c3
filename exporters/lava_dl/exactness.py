"""For how many steps NIR's real-valued equations give the very spikes of Lava's integers.

Lava holds u and v in units of 1/64 and rounds each decay toward zero; NIR's equations do not round. They agree as
long as no decay has anything to round. A decay by ``d / 4096`` multiplies by ``(4096 - d) / 4096``: in lowest terms
the denominator is 2^k, and each step takes k more trailing zero bits from what is held. A sum whose weights and
biases are multiples of 2^m starts with ``6 + m`` of them, so that ``1 + (6 + m) // k`` steps are exact, k being the
larger one of the two decays. Beyond, the two may differ: use the simulator's integer arithmetic, which rounds alike.
The other condition is that nothing leaves 24 bits, where Lava's currents wrap and its membranes clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from exporters.lava_dl.read import Cuba, Entry, Integers

UNITY_BITS = 12
FRACTION_BITS = 6
SUM_LIMIT = 2 ** (23 - FRACTION_BITS)


@dataclass(frozen=True)
class Exactness:
    """What is proved of one layer of neurons.

    Attributes:
        steps: number of steps from rest for which both arithmetics agree; None for any number.
        bound: largest magnitude of a step's input, bias included; None where the host sets it.
    """

    steps: int | None
    bound: int | None


def exactness(entry: Entry) -> Exactness:
    """What is proved of the neurons of ``entry``."""
    assert entry.neuron is not None or entry.kind == "dense"
    bound = None if entry.weight is None else _bound(entry)
    limits = [n for n in (_before_rounding(entry), _before_clipping(entry, bound)) if n is not None]
    return Exactness(min(limits, default=None), bound)


def _before_rounding(entry: Entry) -> int | None:
    neuron = entry.neuron
    lost = max(_bits_lost(neuron.current_decay), _bits_lost(neuron.voltage_decay)) if neuron else 0
    return 1 + (FRACTION_BITS + _zeros(entry)) // lost if lost else None


def _before_clipping(entry: Entry, bound: int | None) -> int | None:
    """Steps before a membrane can reach 24 bits; None where its leak keeps it inside for ever."""
    if not bound:
        return None
    current = Fraction(bound << UNITY_BITS, entry.neuron.current_decay if entry.neuron else 1 << UNITY_BITS)
    leak = entry.neuron.voltage_decay if entry.neuron else 0
    if leak and current * (1 << UNITY_BITS) / leak <= SUM_LIMIT:
        return None
    return int(SUM_LIMIT // current)


def overflows(entry: Entry, bound: int | None) -> bool:
    """Whether a current may leave 24 bits: what is left of earlier ones adds up to ``4096 / iDecay`` times a step's."""
    neuron = entry.neuron or Cuba(1 << UNITY_BITS, 0, 0)
    return bound is not None and bound * (1 << UNITY_BITS) > SUM_LIMIT * neuron.current_decay


def _bits_lost(decay: int) -> int:
    kept = (1 << UNITY_BITS) - decay
    if not kept:
        return 0  # nothing is kept, so nothing is rounded
    return UNITY_BITS - min(_trailing(kept), UNITY_BITS)


def _zeros(entry: Entry) -> int:
    """m: all that enters is a multiple of 2^m."""
    if entry.weight is None:
        return 0
    parts: list[Integers] = [entry.weight.ravel(), *([] if entry.bias is None else [entry.bias.ravel()])]
    return _trailing(int(np.gcd.reduce(np.abs(np.concatenate(parts)))))


def _trailing(value: int) -> int:
    """Trailing zero bits of a positive number; many of 0."""
    return (value & -value).bit_length() - 1 if value else UNITY_BITS


def _bound(entry: Entry) -> int:
    """Positive and negative weights apart, every input a spike."""
    assert entry.weight is not None
    rows = entry.weight.reshape(len(entry.weight), -1)
    bias = np.zeros(len(rows), np.int64) if entry.bias is None else entry.bias
    high = rows.clip(min=0).sum(axis=1) + bias.clip(min=0)
    low = rows.clip(max=0).sum(axis=1) + bias.clip(max=0)
    return int(max(high.max(), -low.min()))
