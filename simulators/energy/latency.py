"""Time of one inference on a mesh of cores.

Per step: the busiest core's synaptic events, neuron updates, spikes and arriving messages, one after
the other, then the barrier. A lower bound: spike injection, routing congestion, host and throttling
are missing, and the load is spread evenly over the cores of a layer. Where the activity has its series over
the steps, each step has its own busiest core.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from hw_profiles import Constant, Interval, Profile
from simulators.activity import Activity
from simulators.energy.loads import Loads, Table, loads_of
from simulators.energy.spread import ENCODED, encoding_of, spread_of
from simulators.placement import LayerPlacement, Placement

NO_TIME = "no figure of time in the profile"
MISSING = "lower bound: spike injection, congestion, host and throttling are not in it"
WITHIN_95 = 1.96 * sqrt(pi / 2)  # mean absolute errors
FIELDS = {"neuron_update_active": "active", "neuron_update_idle": "idle", "neuron_spike": "spikes"}


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
    barrier, deadline = profile.get("barrier_time"), profile.get("step_deadline")
    if not (used or barrier or deadline):
        return Latency(Interval(reason=NO_TIME), Interval(reason=NO_TIME), ())
    if barrier:
        core, used = core + _barrier(barrier, placement) * steps, (*used, barrier)
    if deadline:
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
    """Low and high moved out to where 95 % of a fitted model's errors lie.

    What models claim is a mean absolute error, beyond which every other case or so lies. Errors that are normal around
    zero have it at sigma sqrt(2 / pi), and 95 % of them within 1.96 sigma.
    """
    share = min(WITHIN_95 * (error.value.nominal or 0.0), 1.0)
    low = None if value.low is None else value.low * (1 - share)
    return Interval(low, value.nominal, None if value.high is None else value.high * (1 + share), value.reason)


def _barrier(barrier: Constant, placement: Placement) -> Interval:
    """Of the tiles in use, where it is stated so and one chip is enough."""
    if placement.chips > 1 or not barrier.by_tiles:
        return valid(barrier, placement.chips)
    return barrier.at(-(-placement.cores // placement.plan.chip.tile))


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
    loads = loads_of(activity)
    placed = {layer.name: layer for layer in placement.layers}
    own = [placed.get(layer.name) if layer.attention is None else None for layer in loads.layers]
    cores = np.array([placed.cores if placed else 0 for placed in own])
    asked = _asked(loads, own, profile)
    if not asked or not cores.any():
        return Interval.point(0.0), ()
    share = np.divide(1.0, cores * activity.samples, out=np.zeros(len(cores)), where=cores > 0)[:, None]
    sides = []
    for side in range(3):
        per_step = sum(_cost(constant, load, side) for constant, load in asked) * share
        sides.append(per_step.max(axis=0).sum() + fill_steps * _idle(profile, loads, cores, side))
    used = tuple(constant for constant, _ in asked)
    reason = next((c.value.reason for c in used if not c.value.complete), "")
    return Interval.of((None if np.isnan(side) else float(side) for side in sides), reason), used


def _asked(loads: Loads, own: list[LayerPlacement | None], profile: Profile) -> list[tuple[Constant, Table]]:
    """Each constant of time with what it is charged for, (L, T)."""
    found = {f"{name}_time": getattr(loads, field) for name, field in FIELDS.items()}
    encodings = np.array([encoding_of(layer, o, profile) for layer, o in zip(loads.layers, own, strict=True)])
    for encoding in dict.fromkeys(encodings.tolist()):
        name = f"{ENCODED[encoding]}_time"
        name = name if profile.get(name) else "synaptic_event_time"
        events = np.where((encodings == encoding)[:, None], loads.walked if encoding == "dense" else loads.events, 0.0)
        found[name] = found.get(name, 0.0) + events
    found["message_time"] = sum(spread_of(loads, own, window) * table for window, table in loads.messages.items())
    return [(constant, table) for name, table in found.items() if (constant := profile.get(name))]


def _cost(constant: Constant, load: Table, side: int) -> Table:
    """Seconds; a low side that is not public adds nothing, another one makes what needs it unknown."""
    known = constant.value.sides[side]
    if known is None:
        return np.where(load > 0, 0.0 if side == 0 else np.nan, 0.0)
    return known * load


def _idle(profile: Profile, loads: Loads, cores: NDArray[np.int64], side: int) -> float:
    """Seconds of a step in which nothing arrives."""
    constant = profile.get("neuron_update_idle_time")
    known = constant.value.sides[side] if constant else 0.0
    neurons = np.array([layer.neurons for layer in loads.layers])
    busiest = np.divide(neurons, cores, out=np.zeros(len(cores)), where=cores > 0).max()
    return float("nan") if known is None else float(known * busiest)
