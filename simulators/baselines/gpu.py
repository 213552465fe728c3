"""The student and its ANNs as dense loads of a device, one inference at a time or batched."""

from __future__ import annotations

from hw_profiles import Profile, load_profile
from simulators.activity import Activity
from simulators.baselines.device import Load, batched, on_device
from simulators.baselines.shape import BYTES, AnnShape, Precision
from simulators.energy.estimate import EnergyEstimate


def ann_load(shape: AnnShape, precision: Precision) -> Load:
    """An ANN's operations and bytes at one precision."""
    size = BYTES[precision]
    what = f"{shape.name}, {precision.upper()}, dense"
    return Load(what, precision, shape.macs, shape.weights * size, shape.activations * size, shape.layers)


def spiking_load(activity: Activity, shape: AnnShape, precision: Precision = "fp32") -> Load:
    """The spiking network run densely: every product T times.

    All T steps of a layer go in one product, so its weights are read once and its floor is paid once.
    """
    size = BYTES[precision]
    what = f"spiking network, {precision.upper()}, dense, T={activity.steps}"
    moved = shape.activations * size * activity.steps
    return Load(what, precision, activity.per_inference("dense_macs"), shape.weights * size, moved, shape.layers)


def ann_on_gpu(
    shape: AnnShape, precision: Precision, profile: Profile | str = "h200", batch: int = 1
) -> EnergyEstimate:
    """An ANN on a GPU or CPU; see ``device`` for the model.

    Raises:
        EstimateError: a spiking chip, or a batch below 1.
    """
    return _run(ann_load(shape, precision), profile, batch)


def spiking_on_gpu(
    activity: Activity, shape: AnnShape, precision: Precision = "fp32", profile: Profile | str = "h200", batch: int = 1
) -> EnergyEstimate:
    """The spiking network on a GPU or CPU: every product dense, T times. Raises EstimateError likewise."""
    return _run(spiking_load(activity, shape, precision), profile, batch)


def _run(load: Load, profile: Profile | str, batch: int) -> EnergyEstimate:
    chip = load_profile(profile) if isinstance(profile, str) else profile
    return on_device(load if batch == 1 else batched(load, batch), chip)
