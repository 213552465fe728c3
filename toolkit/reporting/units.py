"""How numbers and foreign text are written for a reader: SI prefixes, percents, p-values, intervals."""

from __future__ import annotations

import math
import unicodedata

from toolkit.reporting.schema import Interval

NO_FIGURE = "no public figure"
_PREFIXES = dict(zip(range(-18, 18, 3), ("a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P"), strict=True))
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def si(value: float | None, unit: str = "", digits: int = 3) -> str:
    """``si(3.2e-6, "J")`` is ``3.2 µJ``; ``None`` is written out, never as zero.

    ``digits`` counts significant digits; rounding may move up one prefix (999.9 mJ is 1 J).
    """
    if value is None:
        return NO_FIGURE
    if value == 0:
        return f"0 {unit}".rstrip()
    exponent = 3 * math.floor(math.log10(abs(value)) / 3)
    exponent = _clamp(exponent)
    scaled = _significant(value / 10.0**exponent, digits)
    if abs(scaled) >= 1000 and exponent < max(_PREFIXES):
        exponent += 3
        scaled = _significant(value / 10.0**exponent, digits)
    number = f"{scaled:.{digits + 3}f}".rstrip("0").rstrip(".") if abs(scaled) < 1e6 else f"{scaled:g}"
    return f"{number} {_PREFIXES[exponent]}{unit}".rstrip()


def _clamp(exponent: int) -> int:
    return max(min(_PREFIXES), min(max(_PREFIXES), exponent))


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def count(value: int) -> str:
    """A whole number with thousands separated: a comparison of 1,234,567 spikes is not "1.2 M"."""
    return f"{value:,}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """``percent(0.8125)`` is ``81.2 %``; a share that merely rounds to all or nothing gets more decimals."""
    if fraction is None:
        return NO_FIGURE
    while decimals < 6 and 0 < fraction < 1 and float(f"{fraction * 100:.{decimals}f}") in (0.0, 100.0):
        decimals += 1
    return f"{fraction * 100:.{decimals}f} %"


def points(difference: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    return f"{difference * 100:+.1f} points".replace("-", "−")


def probability(p: float) -> str:
    """A p-value: plain above 0.001, otherwise a power of ten; underflow shows as a bound."""
    if p == 0:
        return "< 10⁻³⁰⁰"
    if p >= 1e-3:
        return f"{p:.3g}"
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def duration(seconds: float) -> str:
    """Wall time for a person: ``1 h 02 min``, ``3 min 05 s``, ``4.2 s``, ``12 ms``."""
    if seconds < 60:
        return si(seconds, "s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def sides(interval: Interval) -> tuple[float | None, float | None, float | None]:
    """Low, nominal and high, for code that walks over them."""
    return interval["low"], interval["nominal"], interval["high"]


def _telling(interval: Interval) -> tuple[float | None, float | None, float | None]:
    """The sides; none where all that is known is that it is at least 0, which says nothing."""
    return (None, None, None) if sides(interval) == (0, None, None) else sides(interval)


def span(interval: Interval, unit: str) -> str:
    """One interval in words: ``1 to 3 µJ, nominal 2 µJ``, ``at least 1 µJ`` or ``no public figure``."""
    low, nominal, high = _telling(interval)
    if low is None and high is None:
        return NO_FIGURE if nominal is None else f"nominal {si(nominal, unit)}, bounds: {NO_FIGURE}"
    if high is None:
        words = f"at least {si(low, unit)}"
    elif low is None:
        words = f"at most {si(high, unit)}"
    elif low == high:
        return si(low, unit)
    else:
        words = f"{si(low, unit)} to {si(high, unit)}"
    return words if nominal is None else f"{words}, nominal {si(nominal, unit)}"


def compact(interval: Interval, unit: str) -> str:
    """One interval in the least room: ``2 µJ [1 µJ – 3 µJ]``, ``≥ 1 µJ``, ``no public figure``."""
    low, nominal, high = _telling(interval)
    if low is None and nominal is None and high is None:
        return NO_FIGURE
    if high is None or low is None:
        bound = None if low is high else f"≥ {si(low, unit)}" if high is None else f"≤ {si(high, unit)}"
        return " · ".join(part for part in (nominal and si(nominal, unit), bound) if part)
    if low == high:
        return si(low, unit)
    both = f"{si(low, unit)} – {si(high, unit)}"
    return both if nominal is None else f"{si(nominal, unit)} [{both}]"


def clean(value: object) -> str:
    """Text from outside, made harmless to show: control, direction and unpaired characters become U+FFFD.

    A sentence may hold terminal escape sequences or right-to-left overrides that would rewrite what the
    reader sees; newlines and tabs become spaces.
    """
    spaced = str(value).replace("\r\n", " ").translate({9: " ", 10: " ", 13: " "})
    return "".join("\ufffd" if c in _DIRECTION or unicodedata.category(c) in _UNPRINTABLE else c for c in spaced)


def _harmful(character: str) -> bool:
    return character in _DIRECTION or unicodedata.category(character) in _UNPRINTABLE


def label(name: str) -> str:
    """A field name as words: ``naive_bayes`` is ``naive Bayes``."""
    words = clean(name).replace("_", " ")
    return words.replace("naive bayes", "naive Bayes").replace("host io", "host I/O")
