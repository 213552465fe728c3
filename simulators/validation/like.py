"""Of an estimate, the part that a measured figure holds: like with like."""

from __future__ import annotations

from dataclasses import replace

from hw_profiles import Interval, Profile
from hw_profiles.interval import total
from simulators.energy.estimate import EnergyEstimate
from simulators.validation.case import Measured

ENERGIES = ("dynamic", "total", "active", "neurocores")
MORE = "the measured figure holds more than what is estimated (host, I/O, or terms without a count)"


def charged(measured: Measured, profile: Profile) -> Interval | str:
    """Constants times their published counts, or what is missing; a lower bound of a figure that holds more."""
    parts = []
    for name, count in measured.charges:
        constant = profile.get(name)
        if constant is None:
            return f"a figure for {name} in profile {profile.name}"
        parts.append(constant.value * count)
    return total(parts).lower_bound(MORE) if measured.holds_more else total(parts)


def alike(measured: Measured, estimate: EnergyEstimate, profile: Profile) -> Interval | str:
    """The estimate of the like kind (run minus idle against dynamic terms, run against all), or what is missing."""
    if measured.kind == "time":
        return estimate.seconds
    if measured.kind == "cores":
        return Interval.point(float(estimate.cores or 0))
    if measured.kind == "static_power":
        constant = profile.get("static_chip")
        return constant.value * (estimate.chips or 1) if constant else "a static power"
    if measured.kind not in ENERGIES:
        return f"an estimate of {measured.kind}"
    energy = _energy(measured.kind, estimate)
    if measured.holds_more and energy.known and measured.kind != "neurocores":
        return energy.lower_bound(MORE)
    return energy


def _energy(kind: str, estimate: EnergyEstimate) -> Interval:
    dynamic = total(part for term, part in estimate.breakdown.items() if term != "static" and part.known)
    if estimate.joules != estimate.priced:  # cut to its low side for a term without a price
        dynamic = dynamic.lower_bound(estimate.joules.reason)
    if kind in ("dynamic", "neurocores"):
        return dynamic
    static = estimate.apart.get("static", estimate.breakdown.get("static", Interval()))
    summed = dynamic + static
    return summed if static.known else replace(summed, nominal=None, high=None, reason="no static power")
