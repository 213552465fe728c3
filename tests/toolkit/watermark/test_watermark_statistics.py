"""Tails and limits against exact rational sums; the published table of smallest hits."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from toolkit.watermark.statistics import hits_needed, rank_p, tail_p, upper_limit


def _tail(hits: int, trials: int, rate: Fraction) -> Fraction:
    """P(X >= hits), exactly."""
    return sum((comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits, trials + 1)), Fraction(0))


def _limit(hits: int, trials: int) -> float:
    """The rate at which P(X <= hits) = 0.05, by bisection on the exact sum."""
    low, high = Fraction(hits, trials), Fraction(1)
    for _ in range(40):
        middle = (low + high) / 2
        middle = middle.limit_denominator(10**12)
        below = 1 - _tail(hits + 1, trials, middle)
        low, high = (middle, high) if below > Fraction(1, 20) else (low, middle)
    return float(low)


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (3, 7), (11, 32), (40, 60), (60, 60), (95, 128)])
@pytest.mark.parametrize("rate", [Fraction(1, 20), Fraction(1, 3), Fraction(9, 10)])
def test_tail_is_the_exact_binomial_sum(hits: int, trials: int, rate: Fraction) -> None:
    assert tail_p(hits, trials, float(rate)) == pytest.approx(float(_tail(hits, trials, rate)), rel=1e-9, abs=0)


def test_tail_at_the_ends() -> None:
    assert tail_p(5, 5, 1.0) == 1.0
    assert tail_p(5, 5, 0.0) < 1e-300
    assert 0.0 < tail_p(2000, 2000, 0.05) < 1e-300, "an underflow must stay a bound, not become zero"


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (0, 59), (1, 20), (7, 30), (19, 20), (12, 40)])
def test_upper_limit_is_the_bisected_one(hits: int, trials: int) -> None:
    assert upper_limit(hits, trials) == pytest.approx(_limit(hits, trials), abs=1e-8)


def test_upper_limit_known_values() -> None:
    assert upper_limit(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59), rel=1e-9, abs=0)  # no hits: closed form
    assert upper_limit(0, 59) < 0.05 < upper_limit(0, 58)
    assert upper_limit(0, 30_000) == pytest.approx(1.0e-4, rel=0.01)  # MeMark prints 0.010 %
    assert upper_limit(20, 20) == 1.0


# Smallest hits with exact binomial p < 1e-6, for p0 = .05, .1, .2, .5 (computed apart from this package).
TABLE = {
    32: (11, 14, 20, 30),
    64: (15, 21, 31, 51),
    128: (22, 32, 50, 92),
    200: (28, 44, 70, 134),
    500: (52, 86, 145, 304),
}


@pytest.mark.parametrize("trials", TABLE)
def test_table_of_smallest_hits(trials: int) -> None:
    assert tuple(hits_needed(trials, rate, 1e-6) for rate in (0.05, 0.1, 0.2, 0.5)) == TABLE[trials]


def test_hits_needed_against_exact_sums() -> None:
    needed = hits_needed(40, 0.25, 1e-3)
    assert needed is not None
    assert _tail(needed, 40, Fraction(1, 4)) < Fraction(1, 1000) <= _tail(needed - 1, 40, Fraction(1, 4))


def test_hits_needed_says_when_no_number_suffices() -> None:
    assert hits_needed(10, 0.5, 1e-6) is None  # 0.5**10 = 9.8e-4
    assert hits_needed(20, 0.5, 1e-6) == 20  # 0.5**20 = 9.5e-7


def test_rank_p() -> None:
    assert rank_p(1.0, [0.1] * 99) == pytest.approx(0.01)
    assert rank_p(0.5, [0.5, 0.4, 0.6, 0.1]) == pytest.approx(3 / 5)  # ties count against the claim
    assert rank_p(0.5, []) == 1.0
