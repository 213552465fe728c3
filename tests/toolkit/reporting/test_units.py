"""Formatting against values worked out by hand."""

from __future__ import annotations

import pytest

from toolkit.reporting.units import (
    clean,
    compact,
    count,
    duration,
    label,
    percent,
    points,
    probability,
    si,
    span,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.2e-6, "J", "3.2 µJ"),
        (2.36e-11, "J", "23.6 pJ"),
        (9e-13, "J", "900 fJ"),
        (0.0999, "J", "99.9 mJ"),
        (0.9999, "J", "1 J"),
        (999.4, "J", "999 J"),
        (999.6, "J", "1 kJ"),
        (1.0, "s", "1 s"),
        (1000, "s", "1 ks"),
        (27_460_000_000, "SynOps", "27.5 GSynOps"),
        (41_300, "", "41.3 k"),
        (812, "", "812"),
        (0, "J", "0 J"),
        (-0.0042, "W", "-4.2 mW"),
        (1e-20, "J", "0.01 aJ"),
        (3.5e19, "B", "35000 PB"),
        (None, "J", "no public figure"),
    ],
)
def test_si(value: float | None, unit: str, text: str) -> None:
    assert si(value, unit) == text


def test_si_keeps_the_value_within_rounding() -> None:
    prefixes = {
        "f": 1e-15,
        "p": 1e-12,
        "n": 1e-9,
        "µ": 1e-6,
        "m": 1e-3,
        "": 1.0,
        "k": 1e3,
        "M": 1e6,
        "G": 1e9,
    }
    for exponent in range(-14, 11):
        for mantissa in (1.0, 1.2345, 4.999, 9.994, 9.996):
            value = mantissa * 10.0**exponent
            number, _, unit = si(value, "J").partition(" ")
            assert float(number) * prefixes[unit[:-1]] == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.8125, "81.2 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (0.99996, "99.996 %"), (0.0003, "0.03 %")],
)
def test_percent_never_rounds_to_all_or_nothing(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.93, "0.93"), (0.0042, "0.0042"), (3.1e-37, "3.1 × 10⁻³⁷"), (1e-4, "1.0 × 10⁻⁴"), (0.0, "< 10⁻³⁰⁰")],
)
def test_probability(p: float, text: str) -> None:
    assert probability(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.012, "12 ms"), (4.2, "4.2 s"), (185.0, "3 min 05 s"), (3720.0, "1 h 02 min"), (3599.7, "1 h 00 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("bounds", "words", "short"),
    [
        ((1e-6, 2e-6, 3e-6), "1 µJ to 3 µJ, nominal 2 µJ", "2 µJ [1 µJ – 3 µJ]"),
        ((1e-6, None, 3e-6), "1 µJ to 3 µJ", "1 µJ – 3 µJ"),
        ((1e-6, None, None), "at least 1 µJ", "≥ 1 µJ"),
        ((None, None, 3e-6), "at most 3 µJ", "≤ 3 µJ"),
        ((1e-6, 2e-6, None), "at least 1 µJ, nominal 2 µJ", "2 µJ · ≥ 1 µJ"),
        ((None, 2e-6, None), "nominal 2 µJ, bounds: no public figure", "2 µJ"),
        ((None, None, None), "no public figure", "no public figure"),
        ((2e-6, 2e-6, 2e-6), "2 µJ", "2 µJ"),
        ((0.0, 0.0, 1e-6), "0 J to 1 µJ, nominal 0 J", "0 J [0 J – 1 µJ]"),
    ],
)
def test_intervals(bounds: tuple[float | None, ...], words: str, short: str) -> None:
    low, nominal, high = bounds
    interval = {"low": low, "nominal": nominal, "high": high}
    assert span(interval, "J") == words
    assert compact(interval, "J") == short


def test_counts_and_differences() -> None:
    assert count(1234567) == "1,234,567"
    assert points(-0.0986) == "−9.9 points"
    assert points(0.0123) == "+1.2 points"
    assert label("naive_bayes") == "naive Bayes"


def test_clean_disarms_terminal_and_direction_controls() -> None:
    assert clean("a\x1b[2Jb\u202ec\x00\ud800") == "a\ufffd[2Jb\ufffdc\ufffd\ufffd"
    assert clean("two\r\nlines\tand tab") == "two lines and tab"
    assert clean("naïve 電影 👩‍🚀") == "naïve 電影 👩‍🚀"
