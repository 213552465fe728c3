"""Bounds against every input there is, and the range of the chip against its own fixed-point loop."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.toolkit.models.test_neuron import fraction_lif
from toolkit.lowering.bounds import bound_layer, bound_rows, current_limit

matrices = st.lists(
    st.lists(st.integers(-128, 127).map(lambda n: 2 * n), min_size=3, max_size=3), min_size=2, max_size=2
)
biases = st.lists(st.integers(-600, 600).map(lambda n: 2 * n), min_size=2, max_size=2)


@given(matrices, biases, st.integers(1, 4))
def test_the_bound_is_what_the_worst_input_reaches(weight: list[list[int]], bias: list[int], largest: int) -> None:
    """All messages from 0 to m, bias present (a valid token) or absent (a padded one)."""
    currents = [
        np.array(weight) @ np.array(x) + present * np.array(bias)
        for x in product(range(largest + 1), repeat=3)
        for present in (0, 1)
    ]
    bound = bound_layer(torch.tensor(weight).float(), torch.tensor(bias).float(), largest)
    assert (bound.low, bound.high) == (int(np.min(currents)), int(np.max(currents)))
    assert bound.magnitude == int(np.max(np.abs(currents)))


def test_a_row_bound_is_per_row() -> None:
    high, low = bound_rows(torch.tensor([[2.0, -4.0], [6.0, 8.0]]), torch.tensor([-10.0, 20.0]), 3)
    assert high.tolist() == [6.0, 62.0]
    assert low.tolist() == [-22.0, 0.0]


def fixed_point_lif(currents: list[int], theta: int, exponent: int) -> list[int]:
    """Lava's fixed_pt LIF with du = 4095, dv = 2048: 24-bit registers, u wraps once, v clips."""
    v, spikes = 0, []
    for current in currents:
        u = (current << exponent) << 6
        if u > 2**23:
            u -= 2**24
        elif u <= -(2**23):
            u += 2**24
        halved = abs(v) * 2048 // 4096 * (1 if v >= 0 else -1)
        v = max(-(2**23) + 1, min(2**23 - 1, halved + u))
        spikes.append(int(v > ((theta << (1 + exponent)) - 1) << 6))
        v = 0 if spikes[-1] else v
    return spikes


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("even", [False, True])
def test_within_the_limit_the_chip_is_exact(steps: int, even: bool) -> None:
    limit, exponent = current_limit(steps, even), max(steps - 1 - int(even), 0)
    rng = np.random.default_rng(steps)
    for _ in range(300):
        drawn = rng.integers(-limit, limit + 1, size=steps)
        extreme = rng.choice([-limit, limit], size=steps)
        currents = np.where(rng.random(steps) < 0.5, drawn, extreme)
        currents = (currents // 2 * 2 if even else currents).tolist()
        theta = int(rng.integers(1, 16385))
        assert fixed_point_lif(currents, theta, exponent) == fraction_lif(currents, theta), currents


@pytest.mark.parametrize("even", [False, True])
def test_twice_the_limit_wraps(even: bool) -> None:
    """Just beyond u's register the sign turns, so the limit is no mere caution."""
    current = 2 * current_limit(4, even) + 2
    assert fraction_lif([current], 1) == [1]
    assert fixed_point_lif([current], 1, 3 - int(even)) == [0]


def test_the_published_limits_at_four_steps() -> None:
    assert (current_limit(4, even=False), current_limit(4, even=True)) == (8192, 16384)
    assert Fraction(current_limit(4, even=True)) * 2 ** (6 + 2) == 2**22  # half of u's range
