"""One model's run on any profiles: its spiking form on chips, the dense ANNs of its shape on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hw_profiles import Interval, Profile
from simulators.activity import Activity
from simulators.baselines import ann_at_45nm, ann_on_gpu, spiking_literature, spiking_on_gpu
from simulators.baselines.shape import AnnShape, Precision
from simulators.energy import EnergyEstimate, UnpricedTerm, estimate
from simulators.layers import EstimateError
from simulators.placement import place
from toolkit.demo.cost import dense_shape, teacher_shape
from toolkit.pricing.model import Model

ORDER = ("chip", "device", "literature")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


def estimates(model: Model, profiles: Sequence[Profile], step_seconds: float | None = None) -> list[EnergyEstimate]:
    """Every row of the table, chips before devices before conventions.

    A chip that cannot be placed or priced has a row without joules that says why. A model without its
    configuration (a run folder alone) has no rows of ANNs.

    Args:
        step_seconds: wall time of a step on a throttled chip.

    Raises:
        SpikeportError: the teacher's shape is not recorded.
    """
    shapes = _shapes(model)
    rows: list[EnergyEstimate] = []
    for profile in profiles:
        if profile.model == "spiking":
            rows.append(_on_chip(model.activity, profile, step_seconds))
        elif profile.model == "gpu":
            rows += _on_device(model.activity, shapes, profile)
        else:
            rows += _by_convention(model.activity, shapes, profile)
    return sorted(rows, key=lambda row: ORDER.index(row.kind))


def _shapes(model: Model) -> list[AnnShape]:
    """The teacher's, then the student's; none where the configuration is not known."""
    if model.config is None:
        return []
    tokens = model.activity.tokens
    return [teacher_shape(model.facts, tokens, model.config.labels), dense_shape(model.config, tokens)]


def _on_chip(activity: Activity, profile: Profile, step_seconds: float | None) -> EnergyEstimate:
    try:
        return estimate(activity, place(activity, profile), profile, step_seconds=step_seconds)
    except EstimateError as error:
        reason = str(error)
    nothing = Interval(reason=reason)
    return EnergyEstimate(
        profile=profile.name,
        kind="chip",
        basis=profile.basis,
        joules=nothing,
        seconds=nothing,
        cores=None,
        chips=None,
        fits=None,
        breakdown={},
        unpriced=(UnpricedTerm("everything", None, reason),),
        spikes_per_inference=activity.spikes_per_inference,
        synops_per_inference=None,
        grade=None,
        note=f"{profile.operating_point}. {profile.note}",
        priced=nothing,
    )


def _on_device(activity: Activity, shapes: list[AnnShape], profile: Profile) -> list[EnergyEstimate]:
    rows = [ann_on_gpu(shape, precision, profile) for shape in shapes for precision in PRECISIONS]
    return [*rows, spiking_on_gpu(activity, shapes[-1], profile=profile)] if shapes else []


def _by_convention(activity: Activity, shapes: list[AnnShape], profile: Profile) -> list[EnergyEstimate]:
    """Both ANNs, and the spiking network by the formula's own FP32 figures."""
    precision = next((p for p in PRECISIONS if profile.name.endswith(p)), None)
    if precision is None:
        return []
    rows = [ann_at_45nm(shape, precision) for shape in shapes]
    if precision == "fp32":
        rows.append(replace(spiking_literature(activity), profile=f"{profile.name}: spiking network"))
    return rows
