"""The neuron against section by section re-implementations in numpy int64 with explicit wraps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simulators.arithmetic import (
    VTH_MAX,
    current_limit,
    firing_threshold,
    lif_exact,
    lif_loihi2,
    lif_real,
    weight_exponent,
)

Int = NDArray[np.int64]


def int32(x: Int) -> Int:
    return (x + 2**31) % 2**32 - 2**31


def lava_lif(sums: Int, theta: int, exponent: int) -> NDArray[np.bool_]:
    """Lava 0.10 ``fixed_pt`` Dense (weight_exp) and LIF (du 4095, dv 2048, no bias); time first."""
    vth = 2 ** (1 + exponent) * theta - 1
    u, v = np.zeros_like(sums[0]), np.zeros_like(sums[0])
    spikes = np.zeros(sums.shape, dtype=bool)
    for t, w_s in enumerate(sums):
        a = int32(int32(w_s) << exponent) if exponent > 0 else int32(w_s) >> -exponent
        decayed_u = np.sign(u) * (np.abs(u * (4096 - (4095 + 1))) >> 12)
        u = int32(decayed_u + int32(a << 6))
        u = np.where(u > 2**23, u - 2**24, u)
        u = np.where(u <= -(2**23), u + 2**24, u)
        decayed_v = np.sign(v) * (np.abs(v * (4096 - 2048)) >> 12)
        v = np.clip(decayed_v + u, -(2**23 - 1), 2**23 - 1)
        spikes[t] = v > vth << 6
        v = np.where(spikes[t], 0, v)
    return spikes


def ideal(sums: Int, theta: int) -> NDArray[np.bool_]:
    """``v = (v + I) / 2``, fire at ``v >= theta``, on integers scaled by 2^T: no rounding anywhere."""
    steps = len(sums)
    v, spikes = np.zeros_like(sums[0]), np.zeros(sums.shape, dtype=bool)
    for t in range(steps):
        v = (v + (sums[t] << steps)) // 2
        spikes[t] = v >= theta << steps
        v = np.where(spikes[t], 0, v)
    return spikes


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("span", [2**4, 2**10, 2**14, 2**18, 2**26, 2**33])
def test_the_integer_neuron_is_lavas_wrap_and_clip_included(steps: int, even: bool, span: int) -> None:
    rng = np.random.default_rng(span + steps)
    exponent = weight_exponent(steps, even)
    if exponent < 0 and span > 2**30:
        pytest.skip("a right shift of wrapped sums is refused by the planner")
    sums = rng.integers(-span, span, size=(steps, 4000))
    sums[:, 2000:] = np.abs(sums[:, 2000:])
    sums = sums * 2 if even else sums
    theta = int(rng.integers(1, min(span, (VTH_MAX + 1) >> (1 + exponent))))
    seen = lif_loihi2(torch.from_numpy(sums), theta, exponent)
    np.testing.assert_array_equal(seen.numpy(), lava_lif(sums, theta, exponent))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_integer_neuron_at_the_edges_of_its_registers(steps: int) -> None:
    exponent = weight_exponent(steps, even=False)
    edge = 2 ** (17 - exponent)  # u = 2^23
    points = [
        0,
        1,
        -1,
        *(s * (e + d) for s in (1, -1) for d in (-1, 0, 1) for e in (edge, edge // 2, 2 * edge, 3 * edge)),
    ]
    grid = np.stack(np.meshgrid(*[points] * min(steps, 3), indexing="ij")).reshape(min(steps, 3), -1)
    sums = np.concatenate([grid, grid[:1]])[:steps].astype(np.int64)
    for theta in (1, edge // 4, (VTH_MAX + 1) >> (1 + exponent)):
        seen = lif_loihi2(torch.from_numpy(sums), theta, exponent)
        np.testing.assert_array_equal(seen.numpy(), lava_lif(sums, theta, exponent))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("even", [True, False])
def test_within_the_limit_float_integer_and_ideal_agree_on_every_tie(steps: int, even: bool) -> None:
    rng = np.random.default_rng(steps)
    exponent = weight_exponent(steps, even)
    limit = int(current_limit(exponent))
    for theta in (1, 3, 40, limit // 3, limit // 2):
        reach = min(limit, 3 * theta)
        sums = rng.integers(-reach, reach + 1, size=(steps, 20_000))
        sums[:, :50] = limit
        sums[:, 50:100] = -limit
        sums = sums // 2 * 2 if even else sums
        expected = ideal(sums, theta)
        np.testing.assert_array_equal(lif_loihi2(torch.from_numpy(sums), theta, exponent).numpy(), expected)
        exact = lif_exact(torch.from_numpy(sums).float(), theta)
        np.testing.assert_array_equal(exact.numpy() != 0, expected)
        assert expected.any() and not expected.all()


def test_beyond_the_limit_the_paths_part() -> None:
    """The limit is needed: one unit of u beyond 2^23 wraps, and a large current no longer fires."""
    exponent = weight_exponent(4, even=False)
    sums = np.full((4, 1), 2 ** (17 - exponent) + 1)
    assert ideal(sums, 100).all()
    assert not lif_loihi2(torch.from_numpy(sums), 100, exponent).any()


@pytest.mark.parametrize(("steps", "even", "exponent", "vth"), [(4, False, 3, 16 * 9 - 1), (4, True, 2, 8 * 9 - 1)])
def test_the_fixed_point_numbers_are_those_measured_on_lava(steps: int, even: bool, exponent: int, vth: int) -> None:
    assert weight_exponent(steps, even) == exponent
    assert firing_threshold(9, exponent) == vth
    assert current_limit(exponent) == (16384 if even else 8192)


@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 0.7), (1.00001, 1.5), (3.0, 0.2)])
def test_the_real_neuron_follows_nirs_equation(tau: float, threshold: float) -> None:
    current = np.random.default_rng(0).normal(0.5, 1.0, size=(12, 500))
    v, spikes = np.zeros(500), np.zeros(current.shape, dtype=bool)
    for t in range(12):
        v = v + (1.0 * current[t] - v) / tau
        spikes[t] = v > threshold
        v = np.where(spikes[t], 0.0, v)
    np.testing.assert_array_equal(lif_real(torch.from_numpy(current), tau, threshold).numpy() != 0, spikes)
