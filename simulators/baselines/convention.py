"""Networks by an operation-count convention: multiply-accumulates and additions of one process.

A profile that also states energy per byte of on-chip or off-chip memory (``sram_byte``, ``dram_byte``) makes
the count memory-inclusive; the literature's own formula has neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw_profiles import Constant, Interval, Profile, list_profiles, load_profile
from hw_profiles.interval import total
from simulators.activity import Activity
from simulators.baselines.formula import LEFT_OUT
from simulators.baselines.shape import BYTES, PRECISIONS, AnnShape, Precision
from simulators.energy.estimate import EnergyEstimate, UnpricedTerm, grade_of
from simulators.layers import EstimateError, layers_of

REASON = "counts as zero in the convention"


@dataclass(frozen=True)
class _Work:
    """What one inference does, in the units of a convention; bytes by where they lie when the profile has both."""

    what: str
    macs: float
    accumulates: float
    far_bytes: float
    near_bytes: float


def shipped_precisions() -> list[Precision]:
    """Precisions that a shipped 45 nm profile prices."""
    return [precision for precision in PRECISIONS if f"cmos45-{precision}" in list_profiles()]


def ann_at_45nm(shape: AnnShape, precision: Precision, profile: Profile | None = None) -> EnergyEstimate:
    """An ANN by an operation-count convention, by default 45 nm: 4.6 pJ (FP32) or 0.23 pJ (INT8) per MAC.

    With ``sram_byte`` or ``dram_byte`` in the profile, weights are read once from the off-chip memory and
    activations move in the on-chip one; a profile with one of the two has everything there.
    """
    size = BYTES[precision]
    what = f"{shape.name}, {precision.upper()}"
    work = _Work(what, shape.macs, 0.0, shape.weights * size, shape.activations * size)
    return _convention(profile or load_profile(f"cmos45-{precision}"), work, None)


def spiking_literature(activity: Activity, analog_macs: float = 0.0, profile: Profile | None = None) -> EnergyEstimate:
    """The spiking network by the literature's formula, 0.9 pJ per SOP and 4.6 pJ per MAC.

    Args:
        activity: counts of a run; attention's operations are SOPs here, as in the literature.
        analog_macs: multiply-accumulates per inference of layers whose input is not spikes. The
            deployable student has none on the chip; its encoder is table look-ups on the host.
        profile: a convention; one with ``sram_byte`` prices the weights fetched and the state moved too.
    """
    near = activity.per_inference("bytes")
    work = _Work("spiking network", analog_macs, activity.per_inference("synops"), 0.0, near)
    return _convention(profile or load_profile("cmos45-fp32"), work, activity)


def _convention(profile: Profile, work: _Work, activity: Activity | None) -> EnergyEstimate:
    if profile.model != "literature":
        raise EstimateError(f"profile {profile.name}: model {profile.model}, needed literature; choose a convention")
    terms, used, missing = _terms(profile, work)
    summed = total(terms.values()) if terms else Interval(reason="no figure per operation in the profile")
    names = ", ".join(term.term for term in missing)
    joules = summed.lower_bound(f"lower bound: no figure for {names}") if names else summed
    events = _events(activity) if activity else (None, None)
    return EnergyEstimate(
        profile=f"{profile.name}: {work.what}",
        kind="literature",
        basis="literature, memory included" if "memory" in terms else "literature",
        joules=joules,
        seconds=Interval(reason="an operation count has no time"),
        cores=None,
        chips=None,
        fits=None,
        breakdown=terms,
        unpriced=(*missing, *left_out(activity, "memory" in terms)),
        spikes_per_inference=activity.spikes_per_inference if activity else None,
        synops_per_inference=events[0],
        grade=grade_of(used),
        note=f"{work.macs:.4g} MAC, {work.accumulates:.4g} AC. {profile.note}",
        dense_synops_per_inference=events[1],
        priced=joules,
    )


def _terms(profile: Profile, work: _Work) -> tuple[dict[str, Interval], list[Constant], list[UnpricedTerm]]:
    terms: dict[str, Interval] = {}
    used: list[Constant] = []
    missing: list[UnpricedTerm] = []
    for name, count in (("mac", work.macs), ("accumulate", work.accumulates)):
        constant = profile.get(name)
        if constant:
            terms[name] = constant.value * count
            used += [constant] if count else []
        elif count:
            missing.append(UnpricedTerm(name, count, "no figure in the profile"))
    near, far = profile.get("sram_byte"), profile.get("dram_byte")
    places = [(near or far, work.near_bytes), (far or near, work.far_bytes)]
    moved = [(constant, count) for constant, count in places if constant and count]
    if moved:
        terms["memory"] = total(constant.value * count for constant, count in moved)
        used += [constant for constant, _ in moved]
    return terms, used, missing


def left_out(activity: Activity | None, memory: bool = False) -> tuple[UnpricedTerm, ...]:
    """What a convention counts as zero, each with its count per inference where the run has one."""
    counts: dict[str, float] = {}
    if activity:
        counts = {
            "memory": activity.per_inference("bytes"),
            "data movement": activity.per_inference("messages"),
            "neuron updates": activity.per_inference("updates_active") + activity.per_inference("updates_idle"),
            "host": activity.host_lookups / activity.samples,
        }
    names = [name for name in LEFT_OUT if not (memory and name == "memory")]
    return tuple(UnpricedTerm(name, counts.get(name), REASON) for name in names)


def _events(activity: Activity) -> tuple[float, float]:
    """Synaptic events per inference without attention: over non-zero weights, and over all."""
    pairs = [(node.synops, layer.walked(node)) for layer in layers_of(activity) for node in layer.synapses]
    return sum(a for a, _ in pairs) / activity.samples, sum(b for _, b in pairs) / activity.samples
