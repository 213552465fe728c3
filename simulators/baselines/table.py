"""What the same task costs elsewhere: an ANN on a GPU, at 45 nm, and the literature's formula.

The figures are computed from shapes and from the run's counts with the sourced constants of a
profile; none is quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hw_profiles import Interval, Profile, load_profile
from simulators.activity import Activity
from simulators.baselines.convention import ann_at_45nm, shipped_precisions, spiking_literature
from simulators.baselines.device import batched, on_device
from simulators.baselines.gpu import ann_load, spiking_load
from simulators.baselines.shape import PRECISIONS, AnnShape, Precision
from simulators.energy import EnergyEstimate, estimate_on
from simulators.energy.estimate import UnpricedTerm
from simulators.layers import EstimateError

CHIPS = ("loihi1", "loihi1-sanafe", "loihi2")
ORDER = ("chip", "device", "literature")
Spiking = Callable[[Activity, Profile], EnergyEstimate]


def compare_all(
    activity: Activity,
    student: AnnShape,
    teacher: AnnShape,
    *,
    chips: Sequence[Profile | str] = CHIPS,
    gpu: Profile | str = "h200",
    step_seconds: float | None = None,
    fill_steps: int = 0,
) -> list[EnergyEstimate]:
    """Every estimate of the table: chips first, then the GPU, then the 45 nm conventions.

    Args:
        activity: counts of the spiking student's run.
        student: the dense ANN of the student's own shape.
        teacher: the ANN that it was distilled from.
        chips, gpu: profiles by name or loaded.
        step_seconds, fill_steps: see ``estimate``.
    """

    def spiking(counts: Activity, profile: Profile) -> EnergyEstimate:
        return estimate_on(counts, profile, step_seconds=step_seconds, fill_steps=fill_steps)

    conventions = [f"cmos45-{precision}" for precision in shipped_precisions()]
    return compare_profiles(activity, student, teacher, [*chips, gpu, *conventions], spiking=spiking)


def compare_profiles(
    activity: Activity,
    student: AnnShape,
    teacher: AnnShape,
    profiles: Sequence[Profile | str],
    *,
    batches: Sequence[int] = (1,),
    spiking: Spiking | None = None,
) -> list[EnergyEstimate]:
    """The same over any list of profiles, whatever they hold; what one lacks is in its row as unpriced.

    Args:
        batches: inferences run together on a device, a row for each.
        spiking: prices the activity on one spiking chip; by default placed and estimated as it is. An
            EstimateError of it becomes a row without joules that says why.
    """
    results: list[EnergyEstimate] = []
    for item in profiles:
        profile = load_profile(item) if isinstance(item, str) else item
        if profile.model == "spiking":
            results.append(_on_chip(activity, profile, spiking or _as_it_is))
        elif profile.model == "literature":
            results += _by_convention(activity, student, teacher, profile)
        else:
            results += _on_device(activity, student, teacher, profile, batches)
    return sorted(results, key=lambda result: ORDER.index(result.kind))


def spiking_on_profiles(
    activity: Activity, profiles: Sequence[Profile], spiking: Spiking | None = None
) -> list[EnergyEstimate]:
    """The spiking network alone: on chips, and by the conventions that have the formula's FP32 figures."""
    chips = [_on_chip(activity, p, spiking or _as_it_is) for p in profiles if p.model == "spiking"]
    formula = [p for p in profiles if p.model == "literature" and precision_of(p) == "fp32"]
    return chips + [spiking_literature(activity, profile=profile) for profile in formula]


def _as_it_is(activity: Activity, profile: Profile) -> EnergyEstimate:
    return estimate_on(activity, profile)


def _on_chip(activity: Activity, profile: Profile, spiking: Spiking) -> EnergyEstimate:
    try:
        return spiking(activity, profile)
    except EstimateError as error:
        reason = str(error)
    return EnergyEstimate(
        profile=profile.name,
        kind="chip",
        basis=profile.basis,
        joules=Interval(reason=reason),
        seconds=Interval(reason=reason),
        cores=None,
        chips=None,
        fits=None,
        breakdown={},
        unpriced=(UnpricedTerm("everything", None, reason),),
        spikes_per_inference=activity.spikes_per_inference,
        synops_per_inference=None,
        grade=None,
        note=f"{profile.operating_point}. {profile.note}",
    )


def _on_device(
    activity: Activity, student: AnnShape, teacher: AnnShape, profile: Profile, batches: Sequence[int]
) -> list[EnergyEstimate]:
    loads = [ann_load(shape, precision) for shape in (teacher, student) for precision in PRECISIONS]
    loads.append(spiking_load(activity, student))
    return [on_device(load if n == 1 else batched(load, n), profile) for load in loads for n in batches]


def _by_convention(activity: Activity, student: AnnShape, teacher: AnnShape, profile: Profile) -> list[EnergyEstimate]:
    """Both ANNs, and the spiking network where the profile has the formula's own FP32 figures."""
    precision = precision_of(profile)
    rows = [ann_at_45nm(shape, precision, profile) for shape in (teacher, student)]
    return [*rows, spiking_literature(activity, profile=profile)] if precision == "fp32" else rows


def precision_of(profile: Profile) -> Precision:
    """The precision that a convention's name ends in; FP32 where it names none."""
    return next((precision for precision in PRECISIONS if profile.name.endswith(precision)), "fp32")
