"""Joules of one inference on a spiking chip, from activity, placement and a profile.

The sum of the charges of `simulators.energy.charges`. Active and idle updates are one quantity at two levels: low
prices all updates idle, high all active, nominal the counted split. A profile whose per-operation figure is all-in is
never added to static power, which is then reported apart. Terms without a price are listed; where one of them belongs
to the total, the total is a lower bound.
"""

from __future__ import annotations

from dataclasses import replace

from hw_profiles import Constant, Interval, Profile
from hw_profiles.interval import total
from simulators.activity import Activity
from simulators.deployment import deployed, described
from simulators.energy.charges import WHOLE, Charge, covered, dynamic, static
from simulators.energy.estimate import TERMS, EnergyEstimate, grade_of
from simulators.energy.latency import latency, with_error
from simulators.energy.sensitivity import influences
from simulators.energy.unpriced import unpriced_terms
from simulators.energy.workload import Workload, workload_of
from simulators.layers import EstimateError
from simulators.placement import Placement, place


def estimate_on(
    activity: Activity,
    profile: Profile,
    *,
    step_seconds: float | Interval | None = None,
    fill_steps: int = 0,
    clock_hz: float | None = None,
) -> EnergyEstimate:
    """Energy, time and capacity of a run on a chip: attention as the chip runs it, placed, priced.

    Args as for :func:`estimate`, which takes an activity and a placement that are ready.

    Raises:
        EstimateError: not a spiking chip, one without cores, a time, depth or clock below 0.
    """
    ready = deployed(activity, profile)
    placement = place(ready, profile)
    found = estimate(ready, placement, profile, step_seconds=step_seconds, fill_steps=fill_steps, clock_hz=clock_hz)
    return replace(found, attention=described(activity, ready, profile))


def estimate(
    activity: Activity,
    placement: Placement,
    profile: Profile,
    *,
    step_seconds: float | Interval | None = None,
    fill_steps: int = 0,
    clock_hz: float | None = None,
) -> EnergyEstimate:
    """Energy, time and capacity of one inference on a spiking chip.

    Args:
        activity: counts of a run, attention as the chip runs it (`simulators.deployment`).
        placement: of the same activity on the same profile.
        profile: a spiking chip.
        step_seconds: real wall time of a step where it is known (1 ms on a throttled system); without
            it static power meets only the lower bound of the profile's time model.
        fill_steps: steps beyond T until the last layer has seen the last step (the depth in delays).
        clock_hz: of a clocked chip, where it does not run at the profile's frequency.

    Raises:
        EstimateError: not a spiking chip, a placement of another profile, a time, depth or clock below 0.
    """
    _check(placement, profile, step_seconds, fill_steps, clock_hz)
    counts = workload_of(activity, placement, profile, fill_steps)
    time = latency(activity, placement, profile, fill_steps, clock_hz)
    seconds = time.seconds if step_seconds is None else _wall_time(step_seconds) * counts.steps
    operations, standing = dynamic(counts, placement, profile), static(placement, profile, seconds, clock_hz)
    apart = profile.basis == "all_in" and not profile.get("running_chip")
    charges = operations + ([] if apart else standing)
    error = profile.get("energy_error")
    terms = _terms(operations, error) | ({} if apart or not standing else {"static": _sum(standing, seconds)})
    unpriced, missing = unpriced_terms(counts, profile, charges)
    summed = total(terms.values()) if terms else Interval(reason="no figure of energy in the profile")
    joules = _claimed(summed, missing, charges, placement)
    used = [constant for item in [*operations, *standing] for constant in item.constants]
    used += [*(time.used if step_seconds is None else ()), *([error] if error else [])]
    return EnergyEstimate(
        profile=profile.name,
        kind="chip",
        basis=_basis(profile, joules),
        joules=joules,
        seconds=seconds,
        cores=placement.cores,
        chips=placement.chips,
        fits=placement.fits,
        breakdown=_breakdown(terms, charges, apart and bool(standing)),
        unpriced=unpriced,
        spikes_per_inference=counts.spikes,
        synops_per_inference=counts.synops,
        grade=grade_of(used),
        note=_note(profile, placement, counts),
        dense_synops_per_inference=counts.walked,
        priced=summed,
        apart={"static": _sum(standing, seconds)} if apart and standing else {},
        placed=placement,
        sensitivity=influences(charges, error),
    )


def _claimed(summed: Interval, missing: list[str], charges: list[Charge], placement: Placement) -> Interval:
    """What of the priced sum may be claimed as the total."""
    if placement.violations and any(constant.name in WHOLE for item in charges for constant in item.constants):
        return Interval(reason=f"a figure of the whole chip, which cannot hold this network: {placement.binding}")
    if missing and summed.known:
        return summed.lower_bound(f"lower bound: no public price for {', '.join(missing)}")
    return summed


def _check(
    placement: Placement,
    profile: Profile,
    step_seconds: float | Interval | None,
    fill_steps: int,
    clock_hz: float | None,
) -> None:
    if profile.model != "spiking":
        raise EstimateError(f"profile {profile.name}: no spiking chip; use the functions of simulators.baselines")
    if placement.profile != profile.name:
        raise EstimateError(f"placement on {placement.profile}: profile is {profile.name}; place the activity on it")
    if isinstance(step_seconds, float | int) and not step_seconds > 0:
        raise EstimateError(f"step_seconds {step_seconds}: must be above 0; give the wall time of a step in seconds")
    if fill_steps < 0:
        raise EstimateError(f"fill_steps {fill_steps}: must be at least 0; give the depth in delays")
    if clock_hz is not None and not clock_hz > 0:
        raise EstimateError(f"clock_hz {clock_hz}: must be above 0; give the clock in hertz")


def _wall_time(step_seconds: float | Interval) -> Interval:
    return step_seconds if isinstance(step_seconds, Interval) else Interval.point(float(step_seconds))


def _terms(charges: list[Charge], error: Constant | None) -> dict[str, Interval]:
    """Sums by term, moved out by the claimed error of the model where there is one."""
    names = dict.fromkeys(charge.term for charge in charges)
    sums = {term: total(charge.joules for charge in charges if charge.term == term) for term in names}
    return sums if error is None else {term: with_error(value, error) for term, value in sums.items()}


def _sum(standing: list[Charge], seconds: Interval) -> Interval:
    """Static energy; where a side is missing, for the reasons of power and time."""
    summed = total(charge.joules for charge in standing)
    power = [constant.value.reason for charge in standing for constant in charge.constants]
    reasons = dict.fromkeys(text for text in (*power, seconds.reason) if text)
    return Interval.of(summed.sides, "; ".join(reasons))


def _breakdown(terms: dict[str, Interval], charges: list[Charge], apart: bool) -> dict[str, Interval]:
    within, breakdown = covered(charges), {}
    for term in TERMS:
        if term in terms:
            breakdown[term] = terms[term]
        elif term in within:
            breakdown[term] = Interval(reason="contained in another figure, see covers in the profile")
        elif term == "static" and apart:
            breakdown[term] = Interval(reason="beside an all-in figure it is not added; see apart")
        else:
            breakdown[term] = Interval(reason="no public static power" if term == "static" else "no public price")
    return breakdown


def _basis(profile: Profile, joules: Interval) -> str:
    per_event = profile.get("synaptic_event") or profile.get("network_step")
    words = [_accounting(profile)]
    words += ["inferred"] if per_event is not None and per_event.inferred else []
    words += ["lower bound"] if joules.low is not None and joules.nominal is None and joules.high is None else []
    return ", ".join(words)


def _accounting(profile: Profile) -> str:
    if profile.basis != "all_in":
        return profile.basis
    covers_static = any("static" in constant.covers for constant in profile.constants.values())
    return "all_in" if profile.get("running_chip") or covers_static else "all_in (dynamic)"


def _note(profile: Profile, placement: Placement, counts: Workload) -> str:
    parts = [f"{profile.operating_point}. {profile.note}"]
    reasons: dict[str, list[str]] = {}
    for name, reason in placement.unplaced:
        reasons.setdefault(reason, []).append(name)
    parts += [f"Not on the chip: {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    parts.append(f"Counted over {counts.steps} steps.")
    return " ".join(parts)
