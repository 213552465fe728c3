"""Joules of one inference on a spiking chip, from activity, placement and a profile.

E = events * e_synapse + updates * e_neuron + spikes * e_spike + messages * (e_message + hops)
    + (static per chip * chips + static per core * cores) * seconds

Active and idle updates are one quantity at two levels: low prices all updates idle, high all active,
nominal the counted split. A profile whose per-operation figure is all-in is never added to static
power, which is then reported apart. Terms without a price are listed; where one of them belongs to
the total, the total is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw_profiles import Constant, Interval, Profile
from hw_profiles.interval import total
from simulators.activity import Activity
from simulators.energy.estimate import TERMS, EnergyEstimate, UnpricedTerm, grade_of
from simulators.energy.latency import latency, valid, with_error
from simulators.energy.workload import Workload, workload_of
from simulators.layers import EstimateError
from simulators.placement import Placement

DYNAMIC = ("synapse", "neuron", "routing")


@dataclass(frozen=True)
class _Priced:
    terms: dict[str, Interval]
    used: list[Constant]
    covered: set[str]


def estimate(
    activity: Activity,
    placement: Placement,
    profile: Profile,
    *,
    step_seconds: float | Interval | None = None,
    fill_steps: int = 0,
) -> EnergyEstimate:
    """Energy, time and capacity of one inference on a spiking chip.

    Args:
        activity: counts of a run.
        placement: of the same activity on the same profile.
        profile: a spiking chip.
        step_seconds: real wall time of a step where it is known (1 ms on a throttled system); without
            it static power meets only the lower bound of the profile's time model.
        fill_steps: steps beyond T until the last layer has seen the last step (the depth in delays).

    Raises:
        EstimateError: not a spiking chip, a placement of another profile, a time or depth below 0.
    """
    _check(placement, profile, step_seconds, fill_steps)
    counts = workload_of(activity, placement, fill_steps)
    time = latency(activity, placement, profile, fill_steps)
    seconds = time.seconds if step_seconds is None else _wall_time(step_seconds) * counts.steps
    priced = _dynamic(counts, placement, profile)
    static, static_used = _static(placement, profile, seconds)
    all_in = profile.basis == "all_in"
    used = [*priced.used, *static_used, *(time.used if step_seconds is None else ())]
    parts = list(priced.terms.values()) + ([static] if static_used and not all_in else [])
    unpriced, missing = _unpriced(counts, profile, priced)
    summed = total(parts)
    joules = summed.lower_bound(f"lower bound: no public price for {', '.join(missing)}") if missing else summed
    return EnergyEstimate(
        profile=profile.name,
        kind="chip",
        basis=_basis(profile, joules),
        joules=joules,
        seconds=seconds,
        cores=placement.cores,
        chips=placement.chips,
        fits=placement.fits,
        breakdown=_breakdown(priced, static, all_in),
        unpriced=unpriced,
        spikes_per_inference=counts.spikes,
        synops_per_inference=counts.synops,
        grade=grade_of(used),
        note=_note(profile, placement, counts),
        dense_synops_per_inference=counts.walked,
        priced=summed,
        apart={"static": static} if all_in and static_used else {},
        placement={
            "binding": placement.binding,
            "utilisation": placement.utilisation,
            "unplaced": [{"layer": name, "reason": reason} for name, reason in placement.unplaced],
            "advice": placement.advice,
        },
    )


def _check(placement: Placement, profile: Profile, step_seconds: float | Interval | None, fill_steps: int) -> None:
    if profile.model != "spiking":
        raise EstimateError(f"profile {profile.name}: no spiking chip; use the functions of simulators.baselines")
    if placement.profile != profile.name:
        raise EstimateError(f"placement on {placement.profile}: profile is {profile.name}; place the activity on it")
    if isinstance(step_seconds, float | int) and not step_seconds > 0:
        raise EstimateError(f"step_seconds {step_seconds}: must be above 0; give the wall time of a step in seconds")
    if fill_steps < 0:
        raise EstimateError(f"fill_steps {fill_steps}: must be at least 0; give the depth in delays")


def _wall_time(step_seconds: float | Interval) -> Interval:
    return step_seconds if isinstance(step_seconds, Interval) else Interval.point(float(step_seconds))


def _dynamic(counts: Workload, placement: Placement, profile: Profile) -> _Priced:
    """Terms of the operations, each with the claimed error of the model where there is one."""
    chips = placement.chips
    found: dict[str, list[tuple[Constant, Interval]]] = {term: [] for term in DYNAMIC}
    if event := profile.get("synaptic_event"):
        walked = counts.walked if profile.synapse_format == "dense" else counts.synops
        found["synapse"].append((event, valid(event, chips) * walked))
    found["neuron"] += _updates(counts, profile)
    if spike := profile.get("neuron_spike"):
        found["neuron"].append((spike, valid(spike, chips) * counts.neuron_spikes))
    if message := profile.get("message"):
        found["routing"] += [(message, valid(message, chips).times(counts.messages)), *_hops(counts, profile)]
    error = profile.get("energy_error")
    terms = {term: total(value for _, value in pairs) for term, pairs in found.items() if pairs}
    used = [constant for pairs in found.values() for constant, _ in pairs]
    if error is not None:
        terms, used = {term: with_error(value, error) for term, value in terms.items()}, [*used, error]
    covered = {term for constant in used for term in constant.covers}
    return _Priced(terms, used, covered)


def _updates(counts: Workload, profile: Profile) -> list[tuple[Constant, Interval]]:
    active, idle = profile.get("neuron_update_active"), profile.get("neuron_update_idle")
    if active is None or idle is None:
        return []
    updates = counts.updates_active + counts.updates_idle
    split = active.value * counts.updates_active + idle.value * counts.updates_idle
    low, high = idle.value * updates, active.value * updates
    return [(active, Interval(low.low, split.nominal, high.high, split.reason)), (idle, Interval.point(0.0))]


def _hops(counts: Workload, profile: Profile) -> list[tuple[Constant, Interval]]:
    """Hops on a mesh of a columns by b rows: none at least, corner to corner at most.

    Nominal is the mean distance of two tiles drawn at random, (n^2 - 1) / (3 n) per axis.
    """
    pairs = []
    for name, axis in (("hop_horizontal", "mesh_columns"), ("hop_vertical", "mesh_rows")):
        constant, tiles = profile.get(name), profile.limit(axis)
        if constant and tiles:
            distance = Interval(0.0, (tiles**2 - 1) / (3 * tiles), tiles - 1)
            pairs.append((constant, constant.value.times(distance).times(counts.messages)))
    return pairs


def _static(placement: Placement, profile: Profile, seconds: Interval) -> tuple[Interval, list[Constant]]:
    """(base per chip * chips + rate per core * cores) * time, over every chip powered."""
    chip, core = profile.get("static_chip"), profile.get("static_core")
    parts = [(chip, placement.chips), (core, placement.cores)]
    used = [(constant, number) for constant, number in parts if constant is not None]
    if not used:
        return Interval(reason="no public static power"), []
    power = total(constant.value * number for constant, number in used)
    value = power.times(seconds)
    reason = "; ".join(dict.fromkeys(text for text in (power.reason, seconds.reason) if text))
    return Interval.of(value.sides, reason), [constant for constant, _ in used]


def _unpriced(counts: Workload, profile: Profile, priced: _Priced) -> tuple[tuple[UnpricedTerm, ...], list[str]]:
    """All terms without a price that occur, and the names of those that the total should contain."""
    found, missing = [], []
    for entry in profile.unpriced:
        count = counts.named[entry.count]
        if count:
            found.append(UnpricedTerm(entry.term, count, entry.reason))
            missing += [entry.term] if entry.scope == "core" else []
    for term, count in (("synapse", counts.synops), ("neuron", counts.updates_active + counts.updates_idle)):
        if count and term not in priced.terms and term not in priced.covered:
            found.append(UnpricedTerm(term, count, "no figure in the profile"))
            missing.append(term)
    if counts.readouts:
        reason = f"accumulators of {', '.join(counts.readouts)} feed no neuron and are not counted"
        found.append(UnpricedTerm("readout accumulators", None, reason))
    return tuple(found), missing


def _breakdown(priced: _Priced, static: Interval, all_in: bool) -> dict[str, Interval]:
    breakdown = {}
    for term in TERMS:
        if term in priced.terms:
            breakdown[term] = priced.terms[term]
        elif term in priced.covered:
            breakdown[term] = Interval(reason="contained in the figure per synaptic event")
        elif term == "static":
            apart = "beside an all-in figure it is not added; see apart"
            breakdown[term] = Interval(reason=apart) if all_in else static
        else:
            breakdown[term] = Interval(reason="no public price")
    return breakdown


def _basis(profile: Profile, joules: Interval) -> str:
    event = profile.get("synaptic_event")
    words = ["all_in (dynamic)" if profile.basis == "all_in" else profile.basis]
    words += ["inferred"] if event is not None and event.inferred else []
    words += ["lower bound"] if joules.nominal is None and joules.high is None else []
    return ", ".join(words)


def _note(profile: Profile, placement: Placement, counts: Workload) -> str:
    parts = [f"{profile.operating_point}. {profile.note}"]
    if placement.unplaced:
        names = ", ".join(name for name, _ in placement.unplaced)
        parts.append(f"Not on the chip: {names}, for a product of two activations has no synaptic operation.")
    parts.append(f"Counted over {counts.steps} steps; placement: {placement.advice}.")
    return " ".join(parts)
