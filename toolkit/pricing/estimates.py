"""One model's run on any profiles: its spiking form on chips, the dense ANNs of its shape on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw_profiles import Profile
from simulators.activity import Activity
from simulators.baselines import (
    AnnShape,
    Crossover,
    Curve,
    ann_at_45nm,
    compare_profiles,
    crossover,
    energy_curve,
    spiking_on_profiles,
)
from simulators.energy import EnergyEstimate, estimate_on
from simulators.layers import EstimateError
from toolkit.demo.cost import dense_shape, teacher_shape
from toolkit.pricing.model import Model


@dataclass(frozen=True)
class Assumed:
    """What an estimate takes for granted.

    Attributes:
        step_seconds: wall time of a step on a throttled chip; None where the time model decides.
        clock_hz: of clocked chips that run at another frequency than their profile's.
        batches: inferences run together on a device, a row for each.
    """

    step_seconds: float | None = None
    clock_hz: float | None = None
    batches: tuple[int, ...] = (1,)

    def price(self, activity: Activity, profile: Profile) -> EnergyEstimate:
        """On one spiking chip."""
        return estimate_on(activity, profile, step_seconds=self.step_seconds, clock_hz=self.clock_hz)


def estimates(model: Model, profiles: Sequence[Profile], assumed: Assumed) -> list[EnergyEstimate]:
    """Every row of the table, chips before devices before conventions.

    A chip that cannot be placed or priced has a row without joules that says why. A model without its
    configuration (a run folder alone) has no rows of ANNs.

    Raises:
        SpikeportError: the teacher's shape is not recorded.
    """
    shapes = shapes_of(model)
    if shapes is None:
        return spiking_on_profiles(model.activity, profiles, assumed.price)
    teacher, student = shapes
    return compare_profiles(model.activity, student, teacher, profiles, batches=assumed.batches, spiking=assumed.price)


def shapes_of(model: Model) -> tuple[AnnShape, AnnShape] | None:
    """The teacher's and the student's; None where the configuration is not known."""
    if model.config is None:
        return None
    tokens = model.activity.tokens
    return teacher_shape(model.facts, tokens, model.config.labels), dense_shape(model.config, tokens)


def curves(
    model: Model, profiles: Sequence[Profile], rows: Sequence[EnergyEstimate], assumed: Assumed
) -> list[tuple[Curve, list[Crossover]]]:
    """Energy over the firing rate on each chip that has joules, and where it meets the dense network of its shape.

    Held against the student's own shape on the devices of ``rows`` and at 45 nm, each at its lowest precision there.
    """
    shapes = shapes_of(model)
    if shapes is None:
        return []
    dense = [row for row in rows if row.kind == "device" and shapes[1].name in row.profile and row.joules.known]
    dense += [ann_at_45nm(shapes[1], precision) for precision in ("fp32", "int8")]
    found = []
    for profile in profiles:
        if profile.model != "spiking":
            continue
        try:
            curve = energy_curve(model.activity, lambda run, chip=profile: assumed.price(run, chip))  # type: ignore[misc]
        except EstimateError:
            continue
        if any(value.known for value in curve.joules):
            found.append((curve, [crossover(curve, row, profile.name) for row in dense]))
    return found
