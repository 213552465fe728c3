"""Rounding of what comes back, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.errors import SpikeportError
from toolkit.importing.integers import to_integers
from toolkit.models.layers import Integers

BEFORE = Integers(torch.tensor([[2.0, 4.0, -6.0]]), torch.tensor([10.0]), 50)


def test_values_go_to_the_nearest_even_integer_and_halves_to_the_even_half() -> None:
    weight = np.array([[2.9, 5.0, -7.0]])  # 5 lies between 4 and 6, its half 2.5 goes to 2; -3.5 goes to -4
    module, change = to_integers("a", weight, np.array([11.25]), BEFORE, clip=False)
    assert module.integers().weight.tolist() == [[2.0, 4.0, -8.0]] and module.integers().bias.tolist() == [12.0]
    assert module.theta == 50
    assert (change.values, change.changed, change.rounding, change.clipped) == (4, 2, 1.0, 0)


def test_weights_beyond_8_bits_are_refused_or_clipped_and_counted() -> None:
    weight = np.array([[254.9, -257.5, 255.5]])  # even integers 254, -258 and 256
    with pytest.raises(SpikeportError) as refused:
        to_integers("block0.q", weight, np.zeros(1), BEFORE, clip=False)
    assert "layer block0.q: weight -257.5 and 2 in all of 3 are outside [-256, 254]" in str(refused.value)
    module, change = to_integers("block0.q", weight, np.zeros(1), BEFORE, clip=True)
    assert module.integers().weight.tolist() == [[254.0, -256.0, 254.0]]
    assert change.clipped == 2 and change.beyond == pytest.approx(2 / 3) and change.changed == 4


def test_the_ends_of_the_range_are_inside() -> None:
    module, change = to_integers("a", np.array([[254.99, -256.9, 0.0]]), np.zeros(1), BEFORE, clip=False)
    assert module.integers().weight.tolist() == [[254.0, -256.0, 0.0]] and change.beyond == 0


@pytest.mark.parametrize("theta", [1, 3, 97, 1023, 16384])
def test_every_8_bit_weight_is_held_exactly(theta: int) -> None:
    weight = np.arange(-256, 256, 2, dtype=np.float64)[None]
    before = Integers(torch.zeros(1, 256), torch.zeros(1), theta)
    module, _ = to_integers("a", weight, np.array([30_002.0]), before, clip=False)
    assert module.integers().weight.double().numpy().tolist() == weight.tolist()
    assert module.integers().bias.tolist() == [30_002.0]


def test_a_bias_that_float32_does_not_hold_is_refused() -> None:
    with pytest.raises(SpikeportError, match=r"layer a: bias 3\.35544e\+07 is not held exactly, needs at most 2\^22"):
        to_integers("a", np.zeros((1, 3)), np.array([2.0**25 + 2.0]), BEFORE, clip=False)
