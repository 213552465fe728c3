"""The mean firing rate at which a spiking network stops paying against a dense one.

Energy is evaluated on the run's own counts scaled to other rates, so whatever the estimate does with them (terms
that scale, terms that stay, a time that the busiest core sets) is in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hw_profiles import Interval
from simulators.activity import Activity
from simulators.baselines.rates import input_rate, scaled
from simulators.energy.estimate import EnergyEstimate
from simulators.layers import EstimateError

Price = Callable[[Activity], EnergyEstimate]
Verdict = Literal["always pays", "never pays", "pays below the rate", "undecided", "unknown"]
RATES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
CLOSE = 1e-9
REFINEMENTS = 12


@dataclass(frozen=True)
class Curve:
    """Joules of one inference over the mean input rate.

    Attributes:
        activity, price: what is scaled and how it is priced.
        rates: sampled, ascending from 0; joules: at each.
        measured: the run's own rate.
    """

    activity: Activity
    price: Price
    rates: tuple[float, ...]
    joules: tuple[Interval, ...]
    measured: float

    def at(self, rate: float) -> Interval:
        """Joules at any rate, also above 1, where no neuron can spike but a formula still answers."""
        return self.price(scaled(self.activity, rate / self.measured)).joules

    def to_dict(self) -> dict[str, object]:
        """For JSON and plots: rates and the three sides, None where a side is not known."""
        low, nominal, high = zip(*(value.sides for value in self.joules), strict=True)
        sides = {"low": list(low), "nominal": list(nominal), "high": list(high)}
        return {"rates": list(self.rates), "joules": sides, "measured_rate": self.measured}


@dataclass(frozen=True)
class Crossover:
    """Where a spiking network meets a baseline.

    Attributes:
        rate: mean input rate below which it costs less: low in the worst case for it (its high energy against the
            baseline's low), high in the best. 0 where even silence costs more; above 1 where every rate pays.
        verdict: by ``rate``; ``undecided`` where the cases disagree, ``unknown`` where none can be computed.
            A verdict that rests on one case alone says so in ``reason``.
        measured: the run's own rate; baseline: joules of the dense network.
    """

    chip: str
    against: str
    rate: Interval
    measured: float
    baseline: Interval
    verdict: Verdict
    reason: str

    @cached_property
    def pays_as_measured(self) -> bool | None:
        """Whether the run's own rate lies below the crossing in every case; None where the cases disagree."""
        low, high = self.rate.low, self.rate.high
        if low is not None and self.measured < low:
            return True
        return False if high is not None and self.measured >= high else None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "chip": self.chip,
            "against": self.against,
            "rate": self.rate.to_dict(),
            "measured_rate": self.measured,
            "pays_as_measured": self.pays_as_measured,
            "baseline_joules": self.baseline.to_dict(),
            "verdict": self.verdict,
            "reason": self.reason,
        }


def energy_curve(activity: Activity, price: Price, rates: Sequence[float] = RATES) -> Curve:
    """The curve of an estimate over the mean input rate.

    Args:
        activity: counts of a run, as the chip runs it.
        price: from an activity to its estimate, for example ``lambda a: estimate(a, placement, profile)``:
            the placement does not depend on the rate.

    Raises:
        EstimateError: rates not ascending from 0, or a run without events.
    """
    if len(rates) < 2 or rates[0] != 0 or list(rates) != sorted(set(rates)):
        raise EstimateError(f"rates {list(rates)}: must ascend from 0, two at least; correct them")
    measured = input_rate(activity)
    joules = tuple(price(scaled(activity, rate / measured)).joules for rate in rates)
    return Curve(activity, price, tuple(rates), joules, measured)


def crossover(curve: Curve, baseline: EnergyEstimate, chip: str = "spiking network") -> Crossover:
    """The rate at which a curve meets the joules of a baseline, with the interval that both leave open.

    E(rate) = baseline, solved for low against high (best case), nominal against nominal, high against low.
    """
    other = baseline.joules
    rate = Interval(
        low=_solve(curve, 2, other.low),
        nominal=_solve(curve, 1, other.nominal),
        high=_solve(curve, 0, other.high),
        reason=_open_sides(curve, other),
    )
    verdict, reason = _verdict(rate)
    return Crossover(chip, baseline.profile, rate, curve.measured, other, verdict, reason)


def _solve(curve: Curve, side: int, target: float | None) -> float | None:
    """The rate at which one side of the curve reaches a target; 0 if it starts above, None without figures."""
    known = [value.sides[side] for value in curve.joules]
    if target is None or any(value is None for value in known):
        return None
    joules = [float(value) for value in known if value is not None]
    if joules[0] >= target:
        return 0.0
    above = next((i for i, value in enumerate(joules) if value >= target), len(joules) - 1)
    start, end = (curve.rates[above - 1], joules[above - 1]), (curve.rates[above], joules[above])
    if end[1] <= start[1]:
        return None  # does not grow with the rate: no crossing at any
    return _refined(curve, side, target, start, end)


def _refined(curve: Curve, side: int, target: float, start: tuple[float, float], end: tuple[float, float]) -> float:
    """Secant steps from two points; the first is exact where the energy is affine in the rate."""
    rate = start[0]
    for _ in range(REFINEMENTS):
        if end[1] == start[1]:
            break
        rate = max(0.0, start[0] + (target - start[1]) * (end[0] - start[0]) / (end[1] - start[1]))
        reached = curve.at(rate).sides[side]
        if reached is None or abs(reached - target) <= CLOSE * target:
            break
        start, end = end, (rate, reached)
    return rate


def _open_sides(curve: Curve, other: Interval) -> str:
    reasons = [text for text in (curve.joules[-1].reason, other.reason) if text]
    return "; ".join(dict.fromkeys(reasons)) or "the energy does not grow with the rate"


def _verdict(rate: Interval) -> tuple[Verdict, str]:
    known = [side for side in (rate.low, rate.nominal, rate.high) if side is not None]
    if not known:
        return "unknown", rate.reason
    worst, best = rate.low, rate.high
    if best == 0:
        return "never pays", "even silent it costs more, in the best case"
    if worst is not None and worst >= 1:
        return "always pays", "at a rate of 1 it still costs less, in the worst case"
    if worst is None:
        return "undecided", f"only the best case has figures: {rate.reason}"
    if best is None:
        return "undecided", f"only the worst case has figures: {rate.reason}"
    if worst == 0 or best >= 1:
        return "undecided", "the worst and the best case disagree"
    return "pays below the rate", "between the low and the high rate it depends on figures that are not known better"
