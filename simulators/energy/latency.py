"""Time of one inference on a mesh of cores.

Per step: the busiest core's synaptic events, neuron updates, spikes and arriving messages, one after
the other, then the barrier. A lower bound: spike injection, routing congestion, host and throttling
are missing, and the load is spread evenly over the cores of a layer. Where the activity has its series over
the steps, each step has its own busiest core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw_profiles import Constant, Interval, Profile
from simulators.activity import Activity, NodeActivity
from simulators.layers import Layer, layers_of
from simulators.placement import LayerPlacement, Placement, cores_per_spike

MISSING = "lower bound: spike injection, congestion, host and throttling are not in it"
LOADS = ("synaptic_event", "neuron_update_active", "neuron_update_idle", "neuron_spike", "message")
ENCODED = {"dense": "synaptic_event", "sparse": "synaptic_event_sparse", "shared": "synaptic_event_shared"}
Series = NDArray[np.float64]  # (T,)


@dataclass(frozen=True)
class Latency:
    """Seconds of one inference, of which the busiest core and the barrier; constants used."""

    seconds: Interval
    core_seconds: Interval
    used: tuple[Constant, ...]


def latency(
    activity: Activity, placement: Placement, profile: Profile, fill_steps: int = 0, clock_hz: float | None = None
) -> Latency:
    """Seconds per inference of ``steps + fill_steps`` steps.

    A profile with ``inference_time`` or ``step_time`` states the whole; otherwise core time is added up, and nominal
    and high stay only where the profile brings the error of its time model (``latency_error``). With a
    ``step_deadline`` a step takes that long, and longer where a core needs it. Times of operations are stretched where
    a clocked chip runs slower than at the frequency of its profile.
    """
    steps = activity.steps + fill_steps
    if whole := profile.get("inference_time"):
        return Latency(valid(whole, placement.chips), Interval(reason="time is stated whole"), (whole,))
    if whole := profile.get("step_time"):
        return Latency(valid(whole, placement.chips) * steps, Interval(reason="step time is stated whole"), (whole,))
    busy, used = _busiest(activity, placement, profile, fill_steps)
    core = busy * _stretch(profile, clock_hz)
    if barrier := profile.get("barrier_time"):
        core, used = core + valid(barrier, placement.chips) * steps, (*used, barrier)
    if deadline := profile.get("step_deadline"):
        return Latency(_throttled(deadline.value * steps, core), core, (*used, deadline))
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


def _stretch(profile: Profile, clock_hz: float | None) -> float:
    clock = profile.get("clock")
    if clock_hz is None or clock is None:
        return 1.0
    return (clock.value.nominal or clock_hz) / clock_hz


def _throttled(deadline: Interval, core: Interval) -> Interval:
    if core.low is not None and deadline.nominal is not None and core.low > deadline.nominal:
        return core.lower_bound(
            f"a core needs at least {core.low:.3g} s where the deadlines leave {deadline.nominal:.3g}"
        )
    return deadline


def _missing(core: Interval) -> str:
    return f"{MISSING}; {core.reason}" if core.reason else MISSING


def _busiest(
    activity: Activity, placement: Placement, profile: Profile, fill_steps: int
) -> tuple[Interval, tuple[Constant, ...]]:
    """Of each step the busiest core, summed over the steps; a step that fills the pipe updates idle neurons only."""
    placed = {layer.name: layer for layer in placement.layers}
    used: dict[str, Constant] = {}
    steps, fills = [], []
    for layer in layers_of(activity):
        own = placed.get(layer.name)
        if own is None or layer.attention is not None or not own.cores:
            continue
        loads = _loads(layer, profile, own, activity.steps)
        costs = [(constant, load) for name, load in loads.items() if (constant := _time(profile, own, name))]
        used |= {constant.name: constant for constant, _ in costs}
        share = 1.0 / (activity.samples * own.cores)
        steps.append([_side(costs, side) * share for side in range(3)])
        idle = profile.get("neuron_update_idle_time")
        fills.append([_known(idle, side) * layer.neurons / own.cores for side in range(3)])
    if not steps:
        return Interval.point(0.0), ()
    per_step = np.array(steps)  # (layers, 3, T); a side that is not public is NaN
    total = _maximum(per_step).sum(axis=1) + _maximum(np.array(fills)) * fill_steps
    reason = next((c.value.reason for c in used.values() if not c.value.complete), "")
    return Interval.of((None if np.isnan(side) else float(side) for side in total), reason), tuple(used.values())


def _maximum(values: Series) -> Series:
    """Over the layers; the low side of those that have one, another side only where all have it."""
    low = np.nanmax(np.where(np.isnan(values[:, 0]), 0.0, values[:, 0]), axis=0)
    return np.stack([low, *(values[:, side].max(axis=0) for side in (1, 2))])


def _side(costs: list[tuple[Constant, Series]], side: int) -> Series:
    total = 0.0 * costs[0][1] if costs else np.zeros(1)
    for constant, load in costs:
        known = _known(constant, side)
        total = total + (
            np.zeros_like(load) if side == 0 and np.isnan(known) else np.where(load > 0, known * load, 0.0)
        )
    return total


def _known(constant: Constant | None, side: int) -> float:
    if constant is None:
        return 0.0
    value = constant.value.sides[side]
    return float("nan") if value is None else value


def _time(profile: Profile, own: LayerPlacement, load: str) -> Constant | None:
    if load == "synaptic_event":
        encoding = getattr(own, "encoding", "") or profile.synapse_format
        return profile.get(f"{ENCODED[encoding]}_time") or profile.get("synaptic_event_time")
    return profile.get(f"{load}_time")


def _loads(layer: Layer, profile: Profile, own: LayerPlacement, steps: int) -> dict[str, Series]:
    """What a layer asks of its cores, step by step, over all samples."""
    dense = (getattr(own, "encoding", "") or profile.synapse_format) == "dense"
    loads = {name: np.zeros(steps) for name in LOADS}
    for node in layer.synapses:
        walked = layer.walked(node) / node.synops if dense and node.synops else 1.0
        loads["synaptic_event"] += walked * _series(node, "synops", float(node.synops), steps)
        spread = cores_per_spike(own, layer.tokens, node.window)
        arriving = float(node.messages) if node.messages else layer.spikes_in(node) or 0.0
        loads["message"] += spread * _series(node, "messages", arriving, steps)
    if neuron := layer.neuron:
        loads["neuron_update_active"] += _series(neuron, "updates_active", float(neuron.updates_active), steps)
        loads["neuron_update_idle"] += _series(neuron, "updates_idle", float(neuron.updates_idle), steps)
        loads["neuron_spike"] += _series(neuron, "spikes", float(neuron.spikes), steps)
    return loads


def _series(node: NodeActivity, name: str, total: float, steps: int) -> Series:
    """A count over the steps; spread evenly where only its total is known."""
    known = node.per_step.get(name)
    return np.array(known, dtype=np.float64) if known and sum(known) == total else np.full(steps, total / steps)
