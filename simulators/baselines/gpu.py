"""Networks on a GPU: E = idle power * time + energy per FLOP * FLOP + energy per byte * bytes."""

from __future__ import annotations

from hw_profiles import Constant, Interval, Profile, load_profile
from simulators.activity import Activity
from simulators.baselines.shape import BYTES, AnnShape, Precision
from simulators.energy.estimate import EnergyEstimate, UnpricedTerm, grade_of
from simulators.layers import EstimateError


def ann_on_gpu(shape: AnnShape, precision: Precision, profile: Profile | str = "h200") -> EnergyEstimate:
    """An ANN at batch 1 on a GPU: E = P_idle * t + e_flop * FLOP + e_byte * bytes."""
    size = BYTES[precision]
    what = f"{shape.name}, {precision.upper()}, dense"
    return _gpu(profile, precision, what, shape.flops, shape.weights * size, shape.activations * size, shape.layers)


def spiking_on_gpu(
    activity: Activity, shape: AnnShape, precision: Precision = "fp32", profile: Profile | str = "h200"
) -> EnergyEstimate:
    """The spiking network at batch 1 on a GPU: every product dense, T times.

    All T steps of a layer go in one product, so its weights are read once and its floor is paid once.
    """
    size = BYTES[precision]
    what = f"spiking network, {precision.upper()}, dense, T={activity.steps}"
    moved = shape.activations * size * activity.steps
    flops = 2 * activity.per_inference("dense_macs")
    return _gpu(profile, precision, what, flops, shape.weights * size, moved, shape.layers)


def _gpu(
    profile: Profile | str,
    precision: Precision,
    what: str,
    flops: float,
    weight_bytes: float,
    activation_bytes: float,
    layers: int,
) -> EnergyEstimate:
    chip = load_profile(profile) if isinstance(profile, str) else profile
    if chip.model != "gpu":
        raise EstimateError(f"profile {chip.name}: model {chip.model}, needed gpu; choose a GPU profile")
    flop = chip.get("flop_fp32") if precision == "fp32" else None
    flop = flop or chip.require("flop")
    seconds, timing = _gpu_seconds(chip, weight_bytes + activation_bytes, layers)
    weight, moved, idle = (chip.require(n) for n in ("byte_weight", "byte_activation", "idle_device"))
    breakdown = {
        "static": idle.value.times(seconds),
        "arithmetic": flop.value * flops,
        "memory": weight.value * weight_bytes + moved.value * activation_bytes,
    }
    joules = breakdown["static"] + breakdown["arithmetic"] + breakdown["memory"]
    host = UnpricedTerm("host", None, "processor and transfers of the host are not in it")
    return EnergyEstimate(
        profile=f"{chip.name}: {what}",
        kind="device",
        basis="device, idle power + marginal, batch 1",
        joules=joules,
        seconds=seconds,
        cores=None,
        chips=1,
        fits=True,
        breakdown=breakdown,
        unpriced=(host,),
        spikes_per_inference=None,
        synops_per_inference=None,
        grade=grade_of([flop, weight, moved, idle, *timing]),
        note=f"{flops:.4g} FLOP, {weight_bytes + activation_bytes:.4g} bytes. {chip.note}",
        priced=joules,
    )


def _gpu_seconds(chip: Profile, moved_bytes: float, layers: int) -> tuple[Interval, list[Constant]]:
    """t0 + layers * max(floor, bytes per layer / (share * peak bandwidth))."""
    names = ("launch_time", "layer_time", "bandwidth", "bandwidth_share")
    launch, floor, peak, share = (chip.require(name) for name in names)
    reached = (peak.value.nominal or 0.0) * (share.value.nominal or 0.0)
    if not reached:
        raise EstimateError(f"profile {chip.name}: bandwidth has no nominal side; GPU time needs one, add it")
    streamed = moved_bytes / layers / reached
    sides = (None if side is None else max(side, streamed) for side in floor.value.sides)
    per_layer = Interval.of(sides, floor.value.reason)
    return launch.value + per_layer * layers, [launch, floor, peak, share]
