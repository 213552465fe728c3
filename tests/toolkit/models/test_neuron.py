"""The neuron against exact fractions, its gradient against the closed form of backpropagation in time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import SpikeportError
from toolkit.models.neuron import lif, threshold


def fraction_lif(currents: list[Fraction | int], theta: int) -> list[int]:
    """The update rule, word for word, in exact fractions."""
    v, spikes = Fraction(0), []
    for current in currents:
        v = (v + current) / 2
        spikes.append(int(v >= theta))
        if v >= theta:
            v = Fraction(0)
    return spikes


@given(
    st.lists(st.integers(-16384, 16384), min_size=1, max_size=8),
    st.integers(1, 16384),
)
def test_spikes_are_those_of_exact_fractions(currents: list[int], theta: int) -> None:
    seen = lif(torch.tensor(currents, dtype=torch.float32)[:, None], float(theta))
    assert seen[:, 0].tolist() == fraction_lif(list(currents), theta)


@given(st.data(), st.integers(1, 16384))
def test_spikes_are_exact_around_ties(data: st.DataObject, theta: int) -> None:
    """Currents chosen so that the membrane is at the threshold, or one unit of current off it."""
    currents: list[int] = []
    v = Fraction(0)
    for _ in range(4):
        tie = 2 * theta - v  # the current that takes v to theta exactly; a fraction is rounded off the tie
        current = round(tie) + data.draw(st.integers(-1, 1)) if data.draw(st.booleans()) else round(tie / 4)
        currents.append(current)
        v = (v + current) / 2
        v = Fraction(0) if v >= theta else v
    seen = lif(torch.tensor(currents, dtype=torch.float32)[:, None], float(theta))
    assert seen[:, 0].tolist() == fraction_lif(list(currents), theta)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("theta", [1, 2, 7, 8191])
def test_an_exact_tie_fires_and_one_unit_less_does_not(steps: int, theta: int) -> None:
    """All current in the last step: v = I / 2, so I = 2 theta is the tie."""
    silent = [0.0] * (steps - 1)
    tie, below = (lif(torch.tensor([*silent, current]), float(theta)) for current in (2.0 * theta, 2.0 * theta - 1))
    assert tie.tolist() == [*silent, 1.0]
    assert below.tolist() == [0.0] * steps


def test_a_constant_tie_is_reached_in_the_limit_only() -> None:
    """I = 16/15 theta reaches theta exactly at the fourth step, (1 - 2^-4) I = theta, not before."""
    assert lif(torch.full((4, 1), 16.0), 15.0)[:, 0].tolist() == [0, 0, 0, 1]
    assert lif(torch.full((4, 1), 15.0), 15.0)[:, 0].tolist() == [0, 0, 0, 0]


def test_the_reset_forgets_everything_above_the_threshold() -> None:
    assert lif(torch.tensor([[1000.0], [1.0], [1.0], [2.0]]), 1.0)[:, 0].tolist() == [1, 0, 0, 1]


def surrogate(x: np.ndarray, theta: float, width: float = 2.0) -> np.ndarray:
    """Derivative of arctan(pi/2 * width * x / theta) / pi + 1/2 (Fang et al., ICCV 2021, appendix)."""
    return width / (2 * theta) / (1 + (np.pi / 2 * width * x / theta) ** 2)


def test_the_reference_surrogate_is_the_slope_of_the_arctangent_step() -> None:
    x, theta, h = np.linspace(-9, 9, 91), 3.0, 1e-6
    step = lambda y: np.arctan(np.pi / 2 * 2.0 * y / theta) / np.pi + 0.5  # noqa: E731
    np.testing.assert_allclose(surrogate(x, theta), (step(x + h) - step(x - h)) / (2 * h), rtol=1e-6)


def bptt(current: np.ndarray, outer: np.ndarray, theta: float, tau: float = 2.0) -> np.ndarray:
    """dL/dI[s] = sum over t >= s of g[t] sigma'(m[t] - theta) / tau (1 - 1/tau)^(t-s) prod over s <= r < t of
    (1 - spike[r]): the closed form of backpropagation through time with the reset held constant."""
    steps = len(current)
    membrane, spikes, v = np.zeros_like(current), np.zeros_like(current), np.zeros_like(current[0])
    for t in range(steps):
        membrane[t] = (1 - 1 / tau) * v + current[t] / tau
        spikes[t] = membrane[t] >= theta
        v = np.where(spikes[t] == 1, 0.0, membrane[t])
    grad = np.zeros_like(current)
    for s in range(steps):
        for t in range(s, steps):
            path = np.prod(1 - spikes[s:t], axis=0) * (1 - 1 / tau) ** (t - s) / tau
            grad[s] += outer[t] * surrogate(membrane[t] - theta, theta) * path
    return grad


@pytest.mark.parametrize("tau", [1.0, 1.3, 2.0, 5.0])
@pytest.mark.parametrize("theta", [1.0, 37.0])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_gradient_is_that_of_backpropagation_without_the_reset(theta: float, steps: int, tau: float) -> None:
    rng = np.random.default_rng(steps)
    current = max(tau, 2.0) / 2 * rng.normal(theta, 1.5 * theta, size=(steps, 5, 11))
    outer = rng.normal(size=current.shape)
    x = torch.tensor(current, requires_grad=True)  # float64
    spikes = lif(x, theta, tau)
    (spikes * torch.tensor(outer)).sum().backward()
    assert 0.02 < spikes.mean().item() < 0.95
    np.testing.assert_allclose(x.grad.numpy(), bptt(current, outer, theta, tau), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tau", [1.0, 1.5, 3.0, 20.0])
def test_spikes_follow_the_update_rule_at_any_time_constant(tau: float) -> None:
    """v <- v + (I - v) / tau in float64, away from ties."""
    rng = np.random.default_rng(3)
    current = rng.normal(1.0, 2.0, size=(9, 400)) * tau**0.5
    v, wanted = np.zeros(400), np.zeros_like(current)
    for t, drive in enumerate(current):
        v = v + (drive - v) / tau
        assert np.abs(v - 1.0).min() > 1e-9
        wanted[t] = v >= 1.0
        v[v >= 1.0] = 0.0
    assert 0.02 < wanted.mean() < 0.98
    np.testing.assert_array_equal(lif(torch.tensor(current), 1.0, tau), wanted)


def test_at_tau_one_the_neuron_has_no_memory() -> None:
    current = torch.tensor([[3.0], [0.5], [0.9], [1.0]])
    assert lif(current, 1.0, 1.0)[:, 0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(("theta", "tau"), [(1.0, 0.99), (1.0, float("nan")), (1.0, float("inf")), (0.0, 2.0)])
def test_constants_that_no_neuron_has_are_refused(theta: float, tau: float) -> None:
    with pytest.raises(SpikeportError, match=r"neuron: (tau|theta) .*; "):
        lif(torch.zeros(2, 1), theta, tau)


def test_only_the_current_is_kept_for_the_backward_pass() -> None:
    """A current that is the same in all steps is kept once, not once a step."""
    row = torch.randn(1, 50, 7, requires_grad=True)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        lif(row.expand(4, 50, 7), 1.0)
    assert {x.untyped_storage().data_ptr() for x in kept} == {row.untyped_storage().data_ptr()}


def test_a_half_precision_current_is_widened_before_the_scan() -> None:
    current = torch.tensor([[1.0], [1.0], [1.0], [1.0]], dtype=torch.bfloat16)
    spikes = lif(current, 1 - 2**-4)  # reached exactly at the fourth step; bfloat16 holds it, so does the sum
    assert spikes.dtype == torch.float32
    assert spikes[:, 0].tolist() == [0, 0, 0, 1]


def test_gradient_takes_a_non_contiguous_outer_gradient() -> None:
    current = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    outer = torch.rand(3, 4, dtype=torch.float64)
    (lif(current, 1.0).transpose(0, 1) * outer).sum().backward()
    wanted = bptt(current.detach().numpy(), outer.numpy().T, 1.0)
    np.testing.assert_allclose(current.grad.numpy(), wanted, rtol=1e-9)


def test_a_memoryless_threshold_fires_at_the_tie_and_has_the_same_slope() -> None:
    value = torch.tensor([0.0, 1.0, 1.999, 2.0, 2.001, 9.0], dtype=torch.float64, requires_grad=True)
    spikes = threshold(value, 2.0)
    spikes.sum().backward()
    assert spikes.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(value.grad.numpy(), surrogate(value.detach().numpy() - 2.0, 2.0), rtol=1e-12)
