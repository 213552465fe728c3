"""Time of one inference on a mesh of cores.

Per step: the busiest core's synaptic events, neuron updates, spikes and arriving messages, one after
the other, then the barrier. A lower bound: spike injection, routing congestion, host and throttling
are missing, and the load is spread evenly over the cores of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw_profiles import Constant, Interval, Profile
from hw_profiles.interval import total
from simulators.activity import Activity
from simulators.layers import Layer, layers_of
from simulators.placement import LayerPlacement, Placement, cores_per_spike

MISSING = "lower bound: spike injection, congestion, host and throttling are not in it"


@dataclass(frozen=True)
class Latency:
    """Seconds of one inference, of which the busiest core and the barrier; constants used."""

    seconds: Interval
    core_seconds: Interval
    used: tuple[Constant, ...]


def latency(activity: Activity, placement: Placement, profile: Profile, fill_steps: int = 0) -> Latency:
    """Seconds per inference of ``steps + fill_steps`` steps.

    A profile with ``step_time`` states the whole step; otherwise core time is added up, and nominal
    and high stay only where the profile brings the error of its time model (``latency_error``).
    """
    steps = activity.steps + fill_steps
    if whole := profile.get("step_time"):
        return Latency(valid(whole, placement.chips) * steps, Interval(reason="step time is stated whole"), (whole,))
    busiest, used = _busiest(activity, placement, profile)
    barrier = profile.get("barrier_time")
    step = busiest + valid(barrier, placement.chips) if barrier else busiest
    used += (barrier,) if barrier else ()
    core = step * steps
    error = profile.get("latency_error")
    if error is None or not core.complete:
        return Latency(core.lower_bound(_missing(core)), core, used)
    return Latency(with_error(core, error), core, (*used, error))


def valid(constant: Constant, chips: int) -> Interval:
    """A constant's value, cut to its low side where more chips are used than it holds for."""
    if constant.chips and chips > constant.chips:
        return constant.value.lower_bound(f"{constant.name} holds for {constant.chips} chip, {chips} are needed")
    return constant.value


def with_error(value: Interval, error: Constant) -> Interval:
    """Low and high moved out by the claimed error of a model."""
    share = error.value.nominal or 0.0
    low = None if value.low is None else value.low * (1 - share)
    return Interval(low, value.nominal, None if value.high is None else value.high * (1 + share), value.reason)


def _missing(core: Interval) -> str:
    return f"{MISSING}; {core.reason}" if core.reason else MISSING


def _busiest(activity: Activity, placement: Placement, profile: Profile) -> tuple[Interval, tuple[Constant, ...]]:
    names = [
        f"{n}_time" for n in ("synaptic_event", "neuron_update_active", "neuron_update_idle", "neuron_spike", "message")
    ]
    constants = {name.removesuffix("_time"): c for name in names if (c := profile.get(name))}
    placed = {layer.name: layer for layer in placement.layers}
    times = []
    for layer in layers_of(activity):
        if layer.name in placed and layer.attention is None and placed[layer.name].cores:
            own = placed[layer.name]
            loads = _loads(layer, profile, own)
            per_core = 1.0 / (layer.runs * own.cores)
            times.append(total(constants[n].value * (load * per_core) for n, load in loads.items() if n in constants))
    return _largest(times), tuple(constants.values())


def _loads(layer: Layer, profile: Profile, own: LayerPlacement) -> dict[str, float]:
    dense = profile.synapse_format == "dense"
    neuron = layer.neuron
    loads = {
        "synaptic_event": sum(layer.walked(n) if dense else n.synops for n in layer.synapses),
        "message": sum(
            (layer.spikes_in(n) or 0.0) * cores_per_spike(own, layer.tokens, n.window) for n in layer.synapses
        ),
    }
    if neuron:
        loads |= {"neuron_update_active": neuron.updates_active, "neuron_update_idle": neuron.updates_idle}
        loads["neuron_spike"] = neuron.spikes
    return loads


def _largest(times: list[Interval]) -> Interval:
    if not times:
        return Interval.point(0.0)
    sides = []
    for values in zip(*(t.sides for t in times), strict=True):
        known = [v for v in values if v is not None]
        sides.append(max(known) if len(known) == len(times) else None)
    lows = [t.low for t in times if t.low is not None]
    return Interval(max(lows, default=None), sides[1], sides[2], next((t.reason for t in times if t.reason), ""))
