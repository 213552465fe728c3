"""The estimate of a described network: the hull over its rates."""

from __future__ import annotations

from dataclasses import replace

from hw_profiles import Interval, Profile
from simulators.described.counts import DescribedNetwork
from simulators.energy import estimate_on
from simulators.energy.estimate import EnergyEstimate

BETWEEN = "rates are an interval: no centre"


def estimate_described(
    network: DescribedNetwork,
    profile: Profile,
    *,
    step_seconds: float | Interval | None = None,
    fill_steps: int = 0,
    clock_hz: float | None = None,
) -> EnergyEstimate:
    """Energy and time of one inference; with rates in an interval, low at the low rates and high at the high ones.

    Every term grows with the counts, so that the two ends bound all rates between. Counts per inference
    (spikes, synaptic events) are those of the high rates.

    Raises:
        EstimateError: as `simulators.energy.estimate`.
    """
    ends = [
        estimate_on(run, profile, step_seconds=step_seconds, fill_steps=fill_steps, clock_hz=clock_hz)
        for run in (network.low, network.high)
    ]
    return ends[0] if network.exact else _hull(*ends)


def _hull(low: EnergyEstimate, high: EnergyEstimate) -> EnergyEstimate:
    return replace(
        high,
        joules=_between(low.joules, high.joules),
        seconds=_between(low.seconds, high.seconds),
        priced=_between(low.priced, high.priced),
        breakdown={term: _between(low.breakdown[term], high.breakdown[term]) for term in high.breakdown},
        apart={term: _between(low.apart[term], high.apart[term]) for term in high.apart},
        note=f"{high.note} Bounds over the described rates.",
    )


def _between(low: Interval, high: Interval) -> Interval:
    """Both ends; a term that has no price at one end has none on that side."""
    if low == high:
        return low
    reason = "; ".join(dict.fromkeys(text for text in (low.reason or high.reason, BETWEEN) if text))
    return Interval(low.low, low.nominal if low.nominal == high.nominal else None, high.high, reason)
