"""Time per inference of a dense network on a device, from a latency floor, the bandwidth and the peak rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hw_profiles import Constant, Interval, Profile

if TYPE_CHECKING:
    from simulators.baselines.device import Load

AT_BEST = "lower bound: at the peak rate and bandwidth, no launch and no waiting"


def device_seconds(load: Load, profile: Profile) -> tuple[Interval, list[Constant]]:
    """Seconds per inference, and the constants used.

    (t0 + layers * max(floor, bytes per layer / (share * peak bandwidth), operations per layer / peak rate)) / batch,
    the operations where the profile has a peak rate; where it lacks t0, floor or share, the roofline alone, as a
    lower bound. All sides None without either.
    """
    names = ("launch_time", "layer_time", "bandwidth", "bandwidth_share")
    found = [profile.get(name) for name in names]
    launch, floor, wide, share = found
    peak = profile.get(f"peak_{load.precision}")
    computing = _computing(load, peak)
    peaks = [peak] if peak and computing else []
    if launch and floor and wide and share and (reached := _middle(wide) * _middle(share)):
        streamed = load.bytes * load.batch / load.layers / reached
        least = max(streamed, computing * load.batch / load.layers)
        sides = (None if side is None else max(side, least) for side in floor.value.sides)
        whole = launch.value + Interval.of(sides, floor.value.reason) * load.layers
        return whole * (1 / load.batch), [launch, floor, wide, share, *peaks]
    streaming = load.bytes / _most(wide) if wide and _most(wide) else 0.0
    if not max(streaming, computing):
        return Interval(reason="neither a time model nor a peak rate in the profile"), []
    return Interval(low=max(streaming, computing), reason=AT_BEST), [*([wide] if wide else []), *peaks]


def _computing(load: Load, peak: Constant | None) -> float:
    """Seconds per inference of the operations at the peak rate; 0 without one."""
    rate = _most(peak) if peak else 0.0
    return load.flops / rate if rate else 0.0


def _middle(constant: Constant) -> float:
    value = constant.value
    return value.nominal or value.high or value.low or 0.0


def _most(constant: Constant) -> float:
    """The highest side known: what a lower bound of time divides by."""
    value = constant.value
    return value.high or value.nominal or value.low or 0.0
