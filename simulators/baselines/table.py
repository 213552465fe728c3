"""What the same task costs elsewhere: an ANN on a GPU, at 45 nm, and the literature's formula.

The figures are computed from shapes and from the run's counts with the sourced constants of a
profile; none is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence

from hw_profiles import Profile, load_profile
from simulators.activity import Activity
from simulators.baselines.convention import ann_at_45nm, spiking_literature
from simulators.baselines.gpu import ann_on_gpu, spiking_on_gpu
from simulators.baselines.shape import AnnShape, Precision
from simulators.energy import EnergyEstimate, estimate
from simulators.placement import place

CHIPS = ("loihi1", "loihi1-sanafe", "loihi2")


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
    profiles = [_loaded(chip) for chip in chips]
    results = [
        estimate(activity, place(activity, p), p, step_seconds=step_seconds, fill_steps=fill_steps) for p in profiles
    ]
    anns: list[tuple[AnnShape, Precision]] = [(s, p) for s in (teacher, student) for p in ("fp32", "int8")]
    results += [ann_on_gpu(shape, precision, gpu) for shape, precision in anns]
    results.append(spiking_on_gpu(activity, student, profile=gpu))
    results += [ann_at_45nm(shape, precision) for shape, precision in anns]
    return [*results, spiking_literature(activity)]


def _loaded(profile: Profile | str) -> Profile:
    return load_profile(profile) if isinstance(profile, str) else profile
