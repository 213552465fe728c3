"""Nodes without a neuron against loops: products, convolutions, pools, delays, thresholds, flattening, sums."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

from simulators import simulate_nir
from tests.simulators.stock.reference import DT, alone, convolution, graph, pool

RNG = np.random.default_rng(7)


def run(node: nir.NIRNode, x: np.ndarray, **how: object) -> np.ndarray:
    return simulate_nir(alone(node, x.shape[2:]), x, **how).output.numpy()  # type: ignore[arg-type]


def test_affine_and_linear() -> None:
    weight, bias, x = RNG.normal(size=(4, 3)), RNG.normal(size=4), RNG.normal(size=(2, 5, 3))
    expected = np.array([[[sum(w * v for w, v in zip(row, y, strict=True)) for row in weight] for y in s] for s in x])
    np.testing.assert_allclose(run(nir.Linear(weight), x), expected, atol=1e-12)
    np.testing.assert_allclose(run(nir.Affine(weight, bias), x), expected + bias, atol=1e-12)


def test_a_matrix_for_each_token() -> None:
    weight, bias, x = RNG.normal(size=(6, 4, 3)), RNG.normal(size=(6, 4)), RNG.normal(size=(2, 5, 6, 3))
    expected = np.zeros((2, 5, 6, 4))
    for s, t, n, o in np.ndindex(*expected.shape):
        expected[s, t, n, o] = sum(weight[n, o, i] * x[s, t, n, i] for i in range(3)) + bias[n, o]
    np.testing.assert_allclose(run(nir.Affine(weight, bias), x), expected, atol=1e-12)


def test_scale_and_threshold() -> None:
    scale, x = RNG.normal(size=(2, 3)), np.round(RNG.normal(size=(2, 5, 2, 3)), 1)
    np.testing.assert_array_equal(run(nir.Scale(scale), x), x * scale)
    level = x[0, 0].copy()
    seen = run(nir.Threshold(level), x)
    np.testing.assert_array_equal(seen, x > level)
    assert not seen[0, 0].any() and seen.any()  # strictly more


@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "stride", "padding", "dilation", "groups"),
    [
        (3, 4, 3, 1, 0, 1, 1),
        (4, 6, 3, 2, 2, 1, 2),
        (4, 4, 2, 1, "same", 1, 4),
        (2, 3, 3, 1, "same", 2, 1),
        (2, 3, 2, 3, "valid", 2, 1),
        (2, 2, 4, 1, 3, 1, 1),
    ],
)
def test_conv1d(channels, outputs, kernel, stride, padding, dilation, groups) -> None:  # type: ignore[no-untyped-def]
    weight, bias = RNG.normal(size=(outputs, channels // groups, kernel)), RNG.normal(size=outputs)
    node = nir.Conv1d(None, weight, stride, padding, dilation, groups, bias)
    x = RNG.normal(size=(2, 3, channels, 9))
    expected = np.array([[convolution(node, y) for y in sample] for sample in x])
    np.testing.assert_allclose(run(node, x), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "stride", "padding", "dilation", "groups"),
    [
        (2, 3, (3, 3), 1, 1, 1, 1),
        (4, 6, (2, 3), (2, 1), (0, 2), (1, 2), 2),
        (3, 3, (2, 4), 1, "same", (2, 1), 3),
        (2, 2, (1, 5), 1, "same", 1, 1),
        (2, 4, (3, 1), (1, 3), "valid", 1, 1),
    ],
)
def test_conv2d(channels, outputs, kernel, stride, padding, dilation, groups) -> None:  # type: ignore[no-untyped-def]
    weight, bias = RNG.normal(size=(outputs, channels // groups, *kernel)), RNG.normal(size=outputs)
    node = nir.Conv2d(None, weight, stride, padding, dilation, groups, bias)
    x = RNG.normal(size=(2, 2, channels, 6, 7))
    expected = np.array([[convolution(node, y) for y in sample] for sample in x])
    np.testing.assert_allclose(run(node, x), expected, atol=1e-12)


@pytest.mark.parametrize("kind", [nir.AvgPool2d, nir.SumPool2d])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((2, 2), (2, 2), (0, 0)), ((1, 5), (1, 1), (0, 4)), ((3, 2), (1, 2), (1, 1)), ((2,), (1,), (2,))],
)
def test_pools_count_their_padding(kind: type, kernel: object, stride: object, padding: object) -> None:
    node = kind(*(np.array(v) for v in (kernel, stride, padding)))
    x = RNG.normal(size=(2, 3, 2, 5, 6))
    expected = np.array([[pool(node, y) for y in sample] for sample in x])
    np.testing.assert_allclose(run(node, x), expected, atol=1e-12)


def test_a_sum_pool_of_integers_is_exact() -> None:
    node = nir.SumPool2d(np.array([1, 7]), np.array([1, 1]), np.array([0, 0]))
    x = RNG.integers(0, 1000, (1, 2, 3, 1, 7))
    np.testing.assert_array_equal(run(node, x)[..., 0], x.sum(axis=-1))


@pytest.mark.parametrize(
    ("start", "end", "leaving"), [(0, -1, (24,)), (1, -1, (2, 12)), (0, 1, (6, 4)), (-2, -1, (2, 12))]
)
def test_flatten_counts_its_axes_without_a_batch(start: int, end: int, leaving: tuple[int, ...]) -> None:
    x = RNG.normal(size=(2, 5, 2, 3, 4))
    node = nir.Flatten({"input": np.array([2, 3, 4])}, start, end)
    np.testing.assert_array_equal(run(node, x), x.reshape(2, 5, *leaving))


def test_a_delay_counts_steps_for_each_element() -> None:
    delays = np.array([0.0, 1.0, 2.4, 2.6, 7.0, 1e6]) * DT
    x = RNG.normal(size=(2, 9, 6))
    expected = np.zeros_like(x)
    for element, steps in enumerate((0, 1, 2, 3, 7, 10**6)):
        for t in range(9):
            if t >= steps:
                expected[:, t, element] = x[:, t - steps, element]
    np.testing.assert_array_equal(run(nir.Delay(delays), x), expected)
    doubled = run(nir.Delay(delays), x, dt=2 * DT)
    np.testing.assert_array_equal(doubled[:, 1:, 2], x[:, :-1, 2])  # 1.2 steps of twice the length


def test_several_edges_into_a_node_are_summed() -> None:
    a, b, c = RNG.normal(size=(3, 3, 3))
    nodes = {name: nir.Linear(w) for name, w in (("a", a), ("b", b), ("c", c))} | {"sum": nir.Scale(np.ones(3))}
    edges = [("input", n) for n in "abc"] + [(n, "sum") for n in "abc"] + [("input", "sum"), ("sum", "output")]
    x = RNG.normal(size=(2, 4, 3))
    seen = simulate_nir(graph(nodes, edges, 3, 3), x).output.numpy()
    np.testing.assert_allclose(seen, x + x @ (a + b + c).T, atol=1e-12)


def test_whatever_torch_warns_of_is_copied_first() -> None:
    """Read-only views, reversed and integer arrays, numpy scalars."""
    weight = np.arange(6, dtype=np.int8).reshape(2, 3)[::-1]
    node = nir.Affine(weight, np.broadcast_to(np.float16(2), (2,)))
    x = np.broadcast_to(np.arange(3, dtype=np.int16), (1, 2, 3))
    np.testing.assert_array_equal(run(node, x), np.broadcast_to([3 * 0 + 4 + 10 + 2, 0 + 1 + 4 + 2], (1, 2, 2)))
    assert isinstance(simulate_nir(alone(node, (3,)), torch.ones(1, 2, 3)).output, torch.Tensor)
