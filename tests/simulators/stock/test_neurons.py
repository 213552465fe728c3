"""Every neuron of nir against its equation in plain Python, parameter by parameter."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

from simulators import simulate_nir
from tests.simulators.stock.reference import DT, alone, neuron, random_neuron

KINDS = ("LI", "LIF", "CubaLI", "CubaLIF", "I", "IF")
SHAPE = (3, 2)


def drive(seed: int, samples: int = 3, steps: int = 25) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.2, 1.0, (samples, steps, *SHAPE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_neuron_follows_its_equation(kind: str, seed: int) -> None:
    node, x = random_neuron(kind, np.random.default_rng(seed), SHAPE), drive(seed + 10)
    seen = simulate_nir(alone(node, SHAPE), x)
    expected = np.stack([neuron(node, sample) for sample in x])
    np.testing.assert_allclose(seen.output.numpy(), expected, rtol=0, atol=1e-12 if kind[-1] == "I" else 0)
    assert seen.output.dtype == torch.float64
    assert np.mean(expected != 0) > 0.05 and (kind[-1] == "I" or np.mean(expected) < 0.9)  # neither dead nor stuck


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("CubaLIF", {"current": "previous"}),
        ("CubaLI", {"current": "previous"}),
        ("LI", {"start": "leak"}),
        ("CubaLI", {"start": "leak"}),
        ("IF", {"integrate": "steps"}),
        ("I", {"integrate": "steps"}),
        ("LIF", {"dt": 0.5e-4}),
        ("CubaLIF", {"dt": 0.7e-4}),
        ("I", {"dt": 3e-4}),
    ],
)
def test_each_convention_does_what_it_says_and_changes_something(kind: str, how: dict[str, object]) -> None:
    node, x = random_neuron(kind, np.random.default_rng(4), SHAPE), drive(5)
    if "integrate" in how:
        node.r *= DT
    seen = simulate_nir(alone(node, SHAPE), x, **how).output.numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(seen, np.stack([neuron(node, sample, **how) for sample in x]), rtol=0, atol=1e-12)
    assert not np.allclose(seen, np.stack([neuron(node, sample) for sample in x]), rtol=0, atol=1e-6)


def test_a_spike_needs_more_than_the_threshold() -> None:
    node = nir.IF(r=np.full(2, 1 / DT), v_threshold=np.array([2.0, 1.75]))
    seen = simulate_nir(alone(node, (2,)), np.ones((1, 4, 2)), integrate="seconds").output[0]
    assert seen.T.tolist() == [[0, 0, 1, 0], [0, 1, 0, 1]]  # 1, 2 = 2, 3 | 1, 2 > 1.75


def test_the_reset_is_where_v_reset_says() -> None:
    node = nir.IF(r=np.full(1, 1 / DT), v_threshold=np.array([2.5]), v_reset=np.array([-2.0]))
    seen = simulate_nir(alone(node, (1,)), np.ones((1, 9, 1))).output[0, :, 0]
    assert seen.nonzero().flatten().tolist() == [2, 7]  # 1 2 3 | -1 0 1 2 3


@pytest.mark.parametrize("parameter", [np.array([0.4]), np.array(0.4)])
def test_one_parameter_for_all_is_spread_over_what_arrives(parameter: np.ndarray) -> None:
    whole = nir.LIF(*(np.full(SHAPE, v) for v in (4e-4, 1.0, 0.0, 0.4, 0.0)))
    short = nir.LIF(*(np.full(parameter.shape, v) for v in (4e-4, 1.0, 0.0, 0.4, 0.0)))
    x = drive(3)
    a, b = (simulate_nir(alone(node, SHAPE), x).output for node in (whole, short))
    assert torch.equal(a, b) and a.any()


def test_parameters_per_channel_are_spread_over_the_places() -> None:
    rng = np.random.default_rng(0)
    channels = random_neuron("LIF", rng, (3, 1))
    full = nir.LIF(
        *(np.broadcast_to(getattr(channels, k), SHAPE) for k in ("tau", "r", "v_leak", "v_threshold", "v_reset"))
    )
    x = drive(3)
    a, b = (simulate_nir(alone(node, SHAPE), x).output for node in (full, channels))
    assert torch.equal(a, b) and a.any()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_close(kind: str) -> None:
    node, x = random_neuron(kind, np.random.default_rng(1), SHAPE), drive(2)
    single, double = (simulate_nir(alone(node, SHAPE), x, dtype=d).output for d in (torch.float32, torch.float64))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-5)


def test_a_memoryless_gate_with_tau_of_one_step() -> None:
    node = nir.LIF(*(np.full(4, v, np.float32) for v in (1e-4, 1.0, 0.0, 1.5, 0.0)))
    x = np.random.default_rng(0).integers(0, 3, (2, 20, 4))
    np.testing.assert_array_equal(simulate_nir(alone(node, (4,)), x).output.numpy(), x > 1.5)
