"""Which constant moves the total most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw_profiles import Constant, Interval
from simulators.energy.charges import Charge
from simulators.energy.latency import with_error


@dataclass(frozen=True)
class Influence:
    """What one constant does to the total.

    Attributes:
        constant: its name; term: the group of the breakdown.
        joules: what is charged by it, per inference.
        moves: joules between its two sides, all else held; None where a side is not public.
        share: of the priced total, by nominal where all have one, else by the low sides.
    """

    constant: str
    term: str
    joules: Interval
    moves: float | None
    share: float

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "constant": self.constant,
            "term": self.term,
            "joules": self.joules.to_dict(),
            "moves": self.moves,
            "share": self.share,
        }


def influences(charges: Sequence[Charge], error: Constant | None = None) -> tuple[Influence, ...]:
    """Largest movement first; those without a bound on both sides stand before them, largest share first.

    ``error`` is the claimed error of a fitted model, which moves all its terms together (`with_error`).
    """
    by_nominal = all(charge.joules.nominal is not None for charge in charges)
    sizes = [_size(charge.joules, by_nominal) for charge in charges]
    whole = sum(sizes) or 1.0
    found = [
        Influence(c.name, c.term, c.joules, _moves(c.joules), size / whole)
        for c, size in zip(charges, sizes, strict=True)
    ]
    if error is not None:
        found.append(_of_error(found, error))
    return tuple(sorted(found, key=lambda i: (i.moves is not None, -(i.moves or 0.0), -i.share)))


def _size(joules: Interval, by_nominal: bool) -> float:
    return (joules.nominal if by_nominal else joules.low) or 0.0


def _moves(joules: Interval) -> float | None:
    return None if joules.low is None or joules.high is None else joules.high - joules.low


def _of_error(found: Sequence[Influence], error: Constant) -> Influence:
    dynamic = [i for i in found if i.term != "static"]
    sides = with_error(Interval.point(sum(i.joules.nominal or 0.0 for i in dynamic)), error)
    return Influence(error.name, "all but static", sides, _moves(sides), sum(i.share for i in dynamic))
