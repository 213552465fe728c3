"""A quantity with the sides that the public record gives, and only those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """Low, nominal and high in SI units; ``None`` where no figure is public, with the reason beside it.

    Sums and products keep a side only where every part has it. The low side is the exception: leaving
    a part out keeps a lower bound a lower bound, so a missing low counts as nothing there.
    """

    low: float | None = None
    nominal: float | None = None
    high: float | None = None
    reason: str = ""

    @classmethod
    def point(cls, value: float) -> Interval:
        """The same value on all sides."""
        return cls(value, value, value)

    @classmethod
    def of(cls, sides: Iterable[float | None], reason: str = "") -> Interval:
        """From low, nominal and high in this order."""
        low, nominal, high = sides
        return cls(low, nominal, high, reason)

    @property
    def known(self) -> bool:
        """Whether any side has a figure."""
        return any(side is not None for side in (self.low, self.nominal, self.high))

    @property
    def complete(self) -> bool:
        """Whether every side has a figure."""
        return None not in (self.low, self.nominal, self.high)

    def __add__(self, other: Interval) -> Interval:
        lows = [side for side in (self.low, other.low) if side is not None]
        reasons = dict.fromkeys(text for text in (self.reason, other.reason) if text)
        return Interval(
            low=sum(lows) if lows else None,
            nominal=_both(self.nominal, other.nominal),
            high=_both(self.high, other.high),
            reason="; ".join(reasons),
        )

    def __mul__(self, factor: float) -> Interval:
        return Interval.of((None if s is None else s * factor for s in self.sides), self.reason)

    __rmul__ = __mul__

    def times(self, other: Interval) -> Interval:
        """Side by side product of two non-negative intervals."""
        pairs = zip(self.sides, other.sides, strict=True)
        product = (None if a is None or b is None else a * b for a, b in pairs)
        return Interval.of(product, self.reason or other.reason)

    @property
    def sides(self) -> tuple[float | None, float | None, float | None]:
        """Low, nominal, high."""
        return self.low, self.nominal, self.high

    def lower_bound(self, reason: str) -> Interval:
        """The low side alone."""
        return Interval(low=self.low, reason=reason)

    def to_dict(self) -> dict[str, float | str | None]:
        """For JSON; the reason is there when a side is missing."""
        entry: dict[str, float | str | None] = {"low": self.low, "nominal": self.nominal, "high": self.high}
        if not self.complete:
            entry["reason"] = self.reason or "no public figure"
        return entry


def total(parts: Iterable[Interval]) -> Interval:
    """Sum of any number of intervals; of none, zero."""
    result: Interval | None = None
    for part in parts:
        result = part if result is None else result + part
    return Interval.point(0.0) if result is None else result


def _both(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
