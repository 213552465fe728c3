"""Stored thresholds: below the integer by less than half the membrane's grid, and undone exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import TIE_MARGIN, Neuron, integer_threshold


def stored(theta: int) -> float:
    build = GraphBuilder(1)
    node = build.nodes[build.neuron("x", 1, theta)]
    assert isinstance(node, Neuron)
    return node.v_threshold


def test_every_threshold_is_within_the_margin_and_comes_back() -> None:
    """At T = 4 the membrane moves on a grid of 1/16: between theta - 1/16 and theta nothing lies."""
    for theta in range(1, 2**14 + 1):
        value = stored(theta)
        assert value == float(np.float32(value))  # a float32 file keeps it
        assert 0 < Fraction(theta) - Fraction(value) < Fraction(1, 32), theta
        assert integer_threshold(value) == theta
        assert theta * TIE_MARGIN < 2**-5


def test_a_strict_comparison_in_float32_fires_at_the_tie_and_not_one_step_of_the_grid_below() -> None:
    """What a stock reader asks: v > v_threshold, all in float32."""
    thetas = np.arange(1, 2**14 + 1, dtype=np.float32)
    levels = np.array([stored(int(t)) for t in thetas], np.float32)
    assert (thetas > levels).all()
    assert not (thetas - np.float32(1 / 16) > levels).any()


def test_the_euler_step_of_a_reader_stays_within_the_margin() -> None:
    """v + (I - v) * dt / tau with tau = 2e-4 in float32 (NIR's equation), at sums that end in a tie."""
    decay = np.float32(1e-4) / np.float32(2e-4)
    assert decay == np.float32(0.5)
    rng = np.random.default_rng(0)
    for theta in (1, 3, 100, 1000, 8191, 16384):
        start = rng.integers(-8, 8, size=(1000, 3)) * 16
        v, exact = np.zeros(1000, np.float32), np.zeros(1000)
        for t in range(3):
            v, exact = v + (start[:, t].astype(np.float32) - v) * decay, (exact + start[:, t]) / 2
        tie = (2 * theta - exact).astype(np.float32)  # multiples of 2: v is even after steps of 16
        v = v + (tie - v) * decay
        assert (v > np.float32(stored(theta))).all()
        below = v - np.float32(1 / 16)
        assert not (below > np.float32(stored(theta))).any()
