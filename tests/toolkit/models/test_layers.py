"""Folded and integer layers against torch's own normalisation and plain integer arithmetic."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.models.layers import IntegerLinear, Integers, NormedLinear, PlainLinear, fire


def normed_layer(seed: int) -> NormedLinear:
    torch.manual_seed(seed)
    layer = NormedLinear(7, 5)
    with torch.no_grad():
        layer.norm.weight.uniform_(0.2, 3.0)
        layer.norm.bias.normal_()
        layer.norm.running_mean.normal_()
        layer.norm.running_var.uniform_(1e-4, 2.0)
    return layer.eval()


def test_folding_equals_batch_norm_in_evaluation_mode() -> None:
    for seed in range(5):
        layer = normed_layer(seed)
        x = torch.randint(0, 4, (4, 9, 7)).float()
        stock = nn.BatchNorm1d(5).eval()
        stock.load_state_dict(layer.norm.state_dict())
        with torch.no_grad():
            wanted = stock((x @ layer.weight.T).flatten(0, 1)).view(4, 9, 5)
            weight, bias = layer.folded()
            torch.testing.assert_close(x @ weight.T + bias, wanted, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(layer(x), wanted, rtol=1e-6, atol=1e-6)


def test_folding_is_the_published_formula() -> None:
    """gamma (W x - mean) / sqrt(var + eps) + beta (Ioffe and Szegedy, arXiv 1502.03167), in float64."""
    layer = normed_layer(9)
    norm = {k: v.double().numpy() for k, v in layer.norm.state_dict().items()}
    x = np.random.default_rng(0).normal(size=(11, 7))
    y = x @ layer.weight.detach().double().numpy().T
    wanted = norm["weight"] * (y - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) + norm["bias"]
    weight, bias = (v.double().numpy() for v in layer.folded())
    np.testing.assert_allclose(x @ weight.T + bias, wanted, rtol=1e-5, atol=1e-5)


def test_training_statistics_are_over_all_steps_and_tokens() -> None:
    torch.manual_seed(0)
    layer, x = NormedLinear(6, 4).train(), torch.rand(4, 10, 6)
    y = layer(x).detach().reshape(-1, 4)
    np.testing.assert_allclose(y.mean(0), np.zeros(4), atol=1e-5)
    np.testing.assert_allclose(y.std(0, correction=0), np.full(4, 2.0), rtol=1e-3)


even_weights = st.lists(st.integers(-128, 127).map(lambda n: 2 * n), min_size=6, max_size=6)


@given(even_weights, st.lists(st.integers(-(2**18), 2**18), min_size=2, max_size=2), st.integers(1, 16384))
def test_from_integers_gives_back_the_same_integers(weights: list[int], half_biases: list[int], theta: int) -> None:
    weight = torch.tensor(weights, dtype=torch.float32).view(2, 3)
    bias = 2 * torch.tensor(half_biases, dtype=torch.float32)
    back = IntegerLinear.from_integers(Integers(weight, bias, theta)).integers()
    assert torch.equal(back.weight, weight)
    assert torch.equal(back.bias, bias)
    assert back.theta == theta


def test_from_integers_holds_for_every_weight_at_every_threshold() -> None:
    weight = torch.arange(-256, 256, 2.0).view(1, -1)
    for theta in range(1, 16385, 7):
        back = IntegerLinear.from_integers(Integers(weight, weight[:, 0], theta)).integers()
        assert torch.equal(back.weight, weight), theta


@given(
    st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4),
    st.sampled_from([1, 2, 3, 64, 1000, 16384]),
)
def test_rounding_is_to_even_integers_clipped_to_eight_bits(values: list[float], theta: int) -> None:
    row = np.array(values, np.float32)
    seen = IntegerLinear(torch.tensor(row)[None], torch.tensor(row[:1]), theta).integers()
    half = row * np.float32(theta / 2)  # theta / 2 is exact; one rounding to float32, as on any machine
    np.testing.assert_array_equal(seen.weight[0], np.clip(2 * np.rint(half), -256, 254))
    np.testing.assert_array_equal(seen.bias, 2 * np.rint(half[:1]))


def test_ties_of_the_rounding_go_to_the_even_half() -> None:
    theta = 2  # half weights are the weights themselves
    seen = IntegerLinear(torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, -128.5]]), torch.zeros(1), theta)
    assert seen.integers().weight[0].tolist() == [0, 4, 4, 0, -4, 252, 254, -256]


def test_gradient_passes_the_rounding_and_stops_at_the_clip() -> None:
    layer = IntegerLinear(torch.tensor([[0.3, 5.0, -5.0]]), torch.tensor([0.1]), 100)
    x = torch.tensor([[[1.0, 2.0, 3.0]]])
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [[100.0, 0.0, 0.0]]
    assert layer.bias.grad.tolist() == [100.0]


def test_currents_are_exact_integers() -> None:
    rng = np.random.default_rng(0)
    weight, bias = 2 * rng.integers(-128, 128, (12, 40)), 2 * rng.integers(-900, 900, 12)
    x = rng.integers(0, 6, (4, 7, 40))
    layer = IntegerLinear.from_integers(Integers(torch.tensor(weight).float(), torch.tensor(bias).float(), 321))
    with torch.no_grad():
        seen = layer(torch.tensor(x).float())
    np.testing.assert_array_equal(seen, np.einsum("oc,tnc->tno", weight, x) + bias)


def test_fire_uses_the_threshold_of_either_form() -> None:
    x = torch.ones(1, 1, 1)
    integer = IntegerLinear.from_integers(Integers(torch.tensor([[200.0]]), torch.tensor([0.0]), 100))
    assert fire(integer, x).item() == 1
    assert fire(IntegerLinear.from_integers(Integers(torch.tensor([[198.0]]), torch.zeros(1), 100)), x).item() == 0
    plain = PlainLinear(1, 1)
    plain.weight.data.fill_(2.0)
    assert fire(plain, x).item() == 1
