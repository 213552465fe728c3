"""The host's spike code: torch, numpy and exact fractions must agree in every spike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.toolkit.models.test_neuron import fraction_lif
from tests.toolkit.models.tiny import tiny_config
from toolkit.bundle.encoder import spike_code
from toolkit.models.encoder import SpikeEncoder


def three_codes(
    tokens: np.ndarray, positions: np.ndarray, ids: np.ndarray, theta: int, steps: int
) -> tuple[np.ndarray, ...]:
    """(S, T, D, N) by torch, by numpy, by fractions; integer tables."""
    config = replace(
        tiny_config("ssa", vocabulary=len(tokens), width=tokens.shape[1], tokens=len(positions), heads=1),
        encoder_threshold=theta,
        steps=steps,
    )
    encoder = SpikeEncoder(config)
    encoder.tokens.weight.data = torch.tensor(tokens, dtype=torch.float32) / theta
    encoder.positions.weight.data = torch.tensor(positions, dtype=torch.float32) / theta
    where = np.tile(np.arange(ids.shape[1]), len(ids))
    with torch.no_grad():
        by_torch = encoder(torch.tensor(ids).flatten(), torch.tensor(where))
    by_torch = by_torch.unflatten(1, ids.shape).permute(1, 0, 3, 2).numpy() > 0
    by_numpy = spike_code(tokens.astype(np.int16), positions.astype(np.int16), ids, theta, steps)
    exact = np.zeros_like(by_numpy)
    for s, sentence in enumerate(ids):
        for n, token in enumerate(sentence):
            for d in range(tokens.shape[1]):
                current = int(tokens[token, d]) + int(positions[n, d])
                exact[s, :, d, n] = fraction_lif([current] * steps, theta)
    return by_torch, by_numpy, exact


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("theta", [1, 3, 1024])
def test_three_implementations_give_the_same_code(theta: int, steps: int) -> None:
    rng = np.random.default_rng(theta + steps)
    tokens = rng.integers(-3 * theta, 5 * theta + 1, size=(9, 5))
    positions = rng.integers(-theta, theta + 1, size=(4, 5))
    ids = rng.integers(0, 9, size=(3, 4))
    by_torch, by_numpy, exact = three_codes(tokens, positions, ids, theta, steps)
    np.testing.assert_array_equal(by_torch, exact)
    np.testing.assert_array_equal(by_numpy, exact)
    assert 0.05 < exact.mean() < 0.95


def test_exact_ties_and_the_ends_of_int16() -> None:
    """theta at which (1 - 2^-t) I is met exactly, and currents of 2 * 32767 in both directions."""
    tokens = np.array([[32767, -32767, 2048, 2047, 1092, 1093, 1170, 1365, 1366]])
    positions = np.array([[32767, -32767, 0, 0, 0, 0, 0, 0, 0]])
    by_torch, by_numpy, exact = three_codes(tokens, positions, np.array([[0]]), 1024, 4)
    np.testing.assert_array_equal(by_torch, exact)
    np.testing.assert_array_equal(by_numpy, exact)
    assert exact[0, :, 2, 0].all()  # I = 2 theta fires in every step
    assert not exact[0, 0, 3, 0]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(1e9, 32767), (-1e9, -32767), (32.0, 32767), (31.9, 32666), (2.5 / 1024, 2), (3.5 / 1024, 4)],
)
def test_tables_are_int16_rounded_half_to_even(value: float, wanted: int) -> None:
    encoder = SpikeEncoder(tiny_config("ssa"))
    encoder.tokens.weight.data.fill_(value)
    assert set(encoder.integers(encoder.tokens, torch.tensor([3])).flatten().tolist()) == {float(wanted)}


def test_gradient_reaches_both_tables_through_the_rounding() -> None:
    encoder = SpikeEncoder(tiny_config("ssa"))
    encoder(torch.tensor([7]), torch.tensor([2])).sum().backward()
    tokens, positions = encoder.tokens.weight.grad, encoder.positions.weight.grad
    assert tokens is not None and positions is not None
    assert (tokens[7] != 0).all() and (tokens.count_nonzero() == 16)
    np.testing.assert_allclose(tokens[7], positions[2])
