"""The choice of a threshold, and the projection that keeps training within the proved range."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.toolkit.models.tiny import KINDS, float_student, integer_student
from toolkit.errors import SpikeportError
from toolkit.lowering.choose_theta import choose_theta
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.project import project
from toolkit.models.layers import IntegerLinear

LIMITS = {1: 65536, 2: 65536, 3: 32768, 4: 16384}  # even currents: 2^(16 - (T - 2))


def quantised(weight: torch.Tensor, bias: torch.Tensor, theta: int) -> tuple[np.ndarray, np.ndarray]:
    """The rounding rule in numpy: 2 rint(theta W / 2), weights clipped to 8 bits."""
    w, b = (2 * np.rint(x.numpy() * np.float32(theta / 2)) for x in (weight, bias))
    return np.clip(w, -256, 254).astype(np.int64), b.astype(np.int64)


def reach(weight: np.ndarray, bias: np.ndarray, largest: int) -> int:
    """Largest absolute current over all inputs, row by row."""
    worst = 0
    for row, b in zip(weight.tolist(), bias.tolist(), strict=True):
        high = sum(w for w in row if w > 0) * largest + max(b, 0)
        low = sum(w for w in row if w < 0) * largest + min(b, 0)
        worst = max(worst, high, -low)
    return worst


@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from([1, 2, 3, 4]),
    st.floats(0.01, 20),
)
def test_at_the_chosen_threshold_the_current_is_in_range(
    seed: int, inputs: int, largest: int, steps: int, spread: float
) -> None:
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, inputs, generator=rng) * spread
    bias = torch.randn(6, generator=rng) * spread
    theta = choose_theta(weight, bias, largest, steps)
    assert 1 <= theta <= 2**14
    assert reach(*quantised(weight, bias, theta), largest) <= LIMITS[steps]
    if theta < 2**14:  # and it was not chosen far too low: one of the two limits is near
        unclipped = float((weight.abs() * theta).max())
        assert unclipped > 254 * 0.9 * theta / (theta + 1) or (
            reach(*quantised(weight, bias, theta + 1), largest) > 0.9 * LIMITS[steps] - largest * inputs - 1
        )


@pytest.mark.parametrize("inputs", [1024, 3072])
def test_rounding_that_only_ever_adds_stays_in_range(inputs: int) -> None:
    """Equal weights all round the same way: an allowance in per cent would not cover it."""
    for size in np.linspace(0.5, 2.0, 31):
        weight, bias = torch.full((1, inputs), float(size)), torch.zeros(1)
        theta = choose_theta(weight, bias, 5, 4)
        assert reach(*quantised(weight, bias, theta), 5) <= LIMITS[4] or theta == 1


def test_a_weight_range_that_eight_bits_hold_is_not_clipped() -> None:
    weight = torch.linspace(-1, 1, 32).view(2, 16) / 50
    theta = choose_theta(weight, torch.zeros(2), 1, 4)
    half = weight.numpy() * np.float32(theta / 2)
    assert np.abs(2 * np.rint(half)).max() <= 254
    assert theta > 11000  # 254 / (1/50) = 12700, less the quantile's share


def test_a_readout_has_only_the_weight_limit() -> None:
    weight = torch.tensor([[0.5, -2.0, 1.0]])
    assert choose_theta(weight, torch.tensor([1e4]), 5, 4, fires=False) == 127


@pytest.mark.parametrize("fires", [True, False])
def test_a_layer_of_zeros_has_a_threshold(fires: bool) -> None:
    assert choose_theta(torch.zeros(2, 3), torch.zeros(2), 1, 4, fires=fires) == 2**14


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["weight", "bias"])
def test_a_value_that_is_not_finite_is_refused(value: float, where: str) -> None:
    weight, bias = torch.ones(2, 2), torch.ones(2)
    (weight if where == "weight" else bias).view(-1)[0] = value
    with pytest.raises(SpikeportError, match="not finite"):
        choose_theta(weight, bias, 1, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_integer_form_keeps_the_function_to_the_rounding(kind: str) -> None:
    """Currents of the two forms differ by at most one unit per weight and message, and one for the bias."""
    before, after = float_student(kind), to_integer_form(float_student(kind))
    x = torch.randint(0, 2, (4, 5, 16)).float()
    for (name, real, largest), (_, integer, _) in zip(before.linears(), after.linears(), strict=True):
        assert isinstance(integer, IntegerLinear)
        inputs = x if real.weight.shape[1] == 16 else x.repeat(1, 1, 2)
        with torch.no_grad():
            difference = (integer(inputs * largest) - integer.theta * real(inputs * largest)).abs().max()
            clipped = (real.folded()[0].abs() * integer.theta - 254).clamp_min(0).sum(1).max()
        # float32 products of the normalised form add their own rounding
        assert difference <= (inputs.shape[-1] + clipped) * largest + 1.5, name


def test_integer_form_is_left_alone_the_second_time() -> None:
    student = integer_student("ssa")
    before = {name: layer for name, layer, _ in student.linears()}
    to_integer_form(student)
    assert all(before[name] is layer for name, layer, _ in student.linears())


@pytest.mark.parametrize("kind", KINDS)
def test_projection_brings_every_row_back_and_touches_no_other(kind: str) -> None:
    student = integer_student(kind)
    generator = torch.Generator().manual_seed(1)
    before, loud = {}, {}
    for name, layer, _ in student.linears():
        gain = torch.ones(len(layer.bias))
        chosen = torch.randperm(len(gain), generator=generator)[: len(gain) // 3]
        gain[chosen] = 40.0
        with torch.no_grad():
            layer.weight.mul_(gain[:, None])
            layer.bias.mul_(gain)
        before[name], loud[name] = (layer.weight.clone(), layer.bias.clone()), gain > 1
    project(student)
    changed = 0
    for name, layer, largest in student.linears():
        weight, bias = before[name]
        if name == "readout":
            assert torch.equal(layer.weight, weight)
            continue
        assert reach(*quantised(layer.weight.detach(), layer.bias.detach(), layer.theta), largest) <= LIMITS[4]
        same = (layer.weight == weight).all(1)
        assert same[~loud[name]].all(), name
        ratio = layer.weight.norm(dim=1) / weight.norm(dim=1)
        torch.testing.assert_close(layer.weight, weight * ratio[:, None])  # a row keeps its direction
        torch.testing.assert_close(layer.bias, bias * ratio)
        changed += int((~same).sum())
    assert changed > 10


def test_projection_covers_rounding_that_only_ever_adds() -> None:
    """1,024 equal inputs of messages up to 3: a weight of 5.17 is within the slack, and rounds to 6."""
    student = integer_student("ssa")
    wide = IntegerLinear(torch.zeros(3, 1024), torch.zeros(3), 100)
    student.replace("block1.q", wide)
    for size in np.linspace(0.04, 0.09, 11):
        wide.weight.data.fill_(float(size))
        wide.weight.data[1] *= -1
        project(student)
        assert reach(*quantised(wide.weight.detach(), wide.bias.detach(), 100), 3) <= LIMITS[4]
        assert wide.weight.abs().min() > 0.02  # brought back, not wiped out


def test_a_projected_student_of_floats_is_untouched() -> None:
    student = float_student("ssa")
    before = {k: v.clone() for k, v in student.state_dict().items()}
    project(student)
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
