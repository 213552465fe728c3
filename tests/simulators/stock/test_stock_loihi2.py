"""``simulate_nir`` in integers against lava-nc's published fixed-point equations, wrap and clip included."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

from simulators import StockGraphError, simulate_nir
from tests.simulators.stock.reference import DT, alone

SHAPE = (5,)
LIMIT = 2**23


def equations(x: np.ndarray, d_u: int, d_v: int, level: int | None, bias: int) -> np.ndarray:
    """lava-nc 0.10.0, AbstractPyLifModelFixed, one number at a time in Python's own integers; (T, C) to (T, C)."""
    seen = np.zeros(x.shape)
    for channel in range(x.shape[1]):
        u = v = 0
        for t in range(len(x)):
            u = toward_zero(u * (4096 - d_u)) + 64 * int(x[t, channel])
            if u > LIMIT:
                u -= 2 * LIMIT
            elif u <= -LIMIT:
                u += 2 * LIMIT
            v = min(max(toward_zero(v * (4096 - d_v)) + u + 64 * bias, 1 - LIMIT), LIMIT - 1)
            if level is None:
                seen[t, channel] = v / 64
            elif v > 64 * level:
                seen[t, channel], v = 1, 0
    return seen


def toward_zero(product: int) -> int:
    return product // 4096 if product >= 0 else -(-product // 4096)


def node(kind: str, d_u: int, d_v: int, level: int, bias: int) -> Any:
    """The NIR node with these decays, by the definitions of NIR's equations."""
    values: dict[str, Any] = {}
    if "LIF" in kind or kind == "IF":
        values |= {"v_threshold": np.full(SHAPE, level + 1 / 128), "v_reset": np.zeros(SHAPE)}
    if kind in ("I", "IF"):
        return getattr(nir, kind)(r=np.full(SHAPE, 1 / DT), **values)
    values |= {"r": np.full(SHAPE, 4096 / d_v), "v_leak": np.full(SHAPE, bias * 4096 / d_v)}
    if not kind.startswith("Cuba"):
        return getattr(nir, kind)(tau=np.full(SHAPE, DT * 4096 / d_v), **values)
    values |= {"tau_syn": np.full(SHAPE, DT * 4096 / d_u), "tau_mem": np.full(SHAPE, DT * 4096 / d_v)}
    return getattr(nir, kind)(w_in=np.full(SHAPE, 4096 / d_u), **values)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "IF", "LI", "CubaLI", "I"])
@pytest.mark.parametrize("seed", range(4))
def test_a_neuron_follows_the_equations(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d_u = int(rng.integers(1, 4097)) if kind.startswith("Cuba") else 4096
    d_v = 0 if kind in ("I", "IF") else int(rng.integers(1, 4097))
    bias = 0 if kind in ("I", "IF") else int(rng.integers(-3, 9))
    level, x = int(rng.integers(10, 60)), rng.integers(-20, 30, (3, 60, *SHAPE))
    seen = simulate_nir(alone(node(kind, d_u, d_v, level, bias), SHAPE), x, arithmetic="loihi2").output.numpy()
    expected = np.stack([equations(s, d_u, d_v, level if kind.endswith("F") else None, bias) for s in x])
    assert np.array_equal(seen, expected)
    assert expected.any() and not (kind.endswith("F") and expected.all())


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "IF", "CubaLI", "I"])
def test_currents_wrap_and_membranes_clip(kind: str) -> None:
    """Inputs of up to 2^17 fill 24 bits in a step."""
    d_u = 300 if kind.startswith("Cuba") else 4096
    d_v = 0 if kind in ("I", "IF") else 500
    x = np.random.default_rng(1).integers(-(2**17), 2**17 + 1, (2, 80, *SHAPE))
    x[0, 0], x[0, 1] = 2**17, -(2**17)  # u = 2^23 stays, u = -2^23 wraps
    seen = simulate_nir(alone(node(kind, d_u, d_v, 100_000, 0), SHAPE), x, arithmetic="loihi2").output.numpy()
    expected = np.stack([equations(s, d_u, d_v, 100_000 if kind.endswith("F") else None, 0) for s in x])
    assert np.array_equal(seen, expected)
    real = simulate_nir(alone(node(kind, d_u, d_v, 100_000, 0), SHAPE), x).output.numpy()
    assert not np.array_equal(seen, real), "the inputs leave 24 bits"


def test_rounding_makes_a_difference_to_real_arithmetic() -> None:
    x = np.random.default_rng(2).integers(-20, 30, (20, 200, *SHAPE))
    graph = alone(node("CubaLIF", 700, 123, 90, 0), SHAPE)
    assert not np.array_equal(
        simulate_nir(graph, x, arithmetic="loihi2").output.numpy(), simulate_nir(graph, x).output.numpy()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tau": np.full(SHAPE, DT * 2.7)}, ["r dt / tau", "needs 1"]),
        ({"tau": np.full(SHAPE, DT * 2.7), "r": np.full(SHAPE, 2.7)}, ["4096 dt / tau", "1517.04", "whole number"]),
        ({"v_reset": np.full(SHAPE, 0.5)}, ["v_reset is 0.5", "needs 0"]),
        ({"v_leak": np.full(SHAPE, 0.01)}, ["v_leak", "0.32", "whole number"]),
    ],
)
def test_parameters_off_the_grid_are_named(change: dict[str, Any], words: list[str]) -> None:
    lif = node("LIF", 4096, 2048, 9, 0)
    for key, value in change.items():
        setattr(lif, key, value)
    with pytest.raises(StockGraphError) as refused:
        simulate_nir(alone(lif, SHAPE), np.zeros((1, 2, *SHAPE)), arithmetic="loihi2")
    assert all(word in str(refused.value) for word in ["node", *words]), refused.value


def test_fractions_and_other_conventions_are_refused() -> None:
    graph = alone(node("LIF", 4096, 2048, 9, 0), SHAPE)
    with pytest.raises(StockGraphError, match=r"an input is 0\.5"):
        simulate_nir(graph, np.full((1, 2, *SHAPE), 0.5), arithmetic="loihi2")
    with pytest.raises(StockGraphError, match="current 'previous'"):
        simulate_nir(graph, np.zeros((1, 2, *SHAPE)), arithmetic="loihi2", current="previous")
    with pytest.raises(StockGraphError, match="arithmetic 'loihi'"):
        simulate_nir(graph, np.zeros((1, 2, *SHAPE)), arithmetic="loihi")
