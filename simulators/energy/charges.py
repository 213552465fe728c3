"""What a run is charged for: one constant of the profile, how often it is met, and the joules that makes.

    synapse   events * e_synapse (by the encoding of each layer's synapses)
    neuron    updates * e_neuron + spikes * e_spike
    routing   messages * (e_message + hops) + messages between chips * e_link
    static    (per chip * chips + per core * cores + per clock * frequency * chips) * seconds
    host_io   spikes from the host * e_host

A profile that states the whole network's step (``network_step``) or the power of the running chip (``running_chip``)
is charged by that instead; both are all-in figures and stand under ``synapse`` and ``static`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hw_profiles import Constant, Interval, Profile
from simulators.energy.latency import valid
from simulators.energy.spread import ENCODED
from simulators.energy.workload import Workload
from simulators.placement import Placement

OPERATIONS = ("synapse", "neuron", "routing", "memory")
WHOLE = {"network_step": OPERATIONS, "running_chip": (*OPERATIONS, "static", "host_io")}


@dataclass(frozen=True)
class Charge:
    """One line of the bill.

    Attributes:
        term: group of the breakdown, see `simulators.energy.estimate.TERMS`.
        constants: what prices it, the one named first.
        joules: per inference.
        amount: how often, in the unit of the constant (events, watt seconds, ...).
    """

    term: str
    constants: tuple[Constant, ...]
    joules: Interval
    amount: Interval

    @property
    def name(self) -> str:
        """Of the constant, both where a quantity has two levels."""
        return " and ".join(constant.name for constant in self.constants)


def covered(charges: Iterable[Charge]) -> set[str]:
    """Terms that lie within the figures used: as their profile says, and by what the figure is."""
    constants = [constant for item in charges for constant in item.constants]
    return {term for c in constants for term in (*c.covers, *WHOLE.get(c.name, ()))}


def charge(term: str, constant: Constant, amount: Interval | float, chips: int = 1) -> Charge:
    """Constant times amount, side by side; only the low side where more chips are used than the figure holds for."""
    times = amount if isinstance(amount, Interval) else Interval.point(float(amount))
    return Charge(term, (constant,), valid(constant, chips).times(times), times)


def dynamic(counts: Workload, placement: Placement, profile: Profile) -> list[Charge]:
    """Charges of the operations."""
    if whole := profile.get("network_step"):
        return [charge("synapse", whole, float(counts.steps), placement.chips)]
    return [
        *_synapses(counts, placement, profile),
        *_neurons(counts, placement, profile),
        *_routing(counts, placement, profile),
        *_host(counts, profile),
    ]


def static(placement: Placement, profile: Profile, seconds: Interval, clock_hz: float | None) -> list[Charge]:
    """Charges of time, over every chip powered, used or not."""
    if running := profile.get("running_chip"):
        return [charge("static", running, seconds * placement.chips)]
    amounts = {"static_chip": seconds * placement.chips, "static_core": seconds * placement.cores}
    if profile.get("static_clock"):
        frequency = clock_of(profile, clock_hz)
        amounts["static_clock"] = (seconds * placement.chips).times(frequency)
    return [charge("static", constant, amount) for name, amount in amounts.items() if (constant := profile.get(name))]


def clock_of(profile: Profile, clock_hz: float | None) -> Interval:
    """The frequency of a clocked chip, Hz: as given, else that of the profile's operating point."""
    return profile.require("clock").value if clock_hz is None else Interval.point(clock_hz)


def _synapses(counts: Workload, placement: Placement, profile: Profile) -> list[Charge]:
    charges = []
    for encoding, events in counts.events.items():
        constant = profile.get(ENCODED[encoding]) or profile.get("synaptic_event")
        if constant and events:
            charges.append(charge("synapse", _held(constant, counts), events, placement.chips))
    return charges


def _held(constant: Constant, counts: Workload) -> Constant:
    """An all-in figure far from the load that it was measured at keeps its low side alone."""
    updates = counts.updates_active + counts.updates_idle
    events = counts.synops / counts.steps
    least, most = constant.holds.get("least_events_per_step"), constant.holds.get("most_updates_per_event")
    reasons = []
    if least is not None and events < least:
        reasons.append(f"{events:.3g} events a step, {constant.name} holds from {least:.3g}")
    if most is not None and updates > most * counts.synops:
        reasons.append(f"{updates / counts.synops:.3g} updates an event, {constant.name} holds up to {most:g}")
    return replace(constant, value=constant.value.lower_bound("; ".join(reasons))) if reasons else constant


def _neurons(counts: Workload, placement: Placement, profile: Profile) -> list[Charge]:
    charges = []
    active, idle = profile.get("neuron_update_active"), profile.get("neuron_update_idle")
    if active and idle:
        charges.append(_updates(counts, active, idle))
    if spike := profile.get("neuron_spike"):
        charges.append(charge("neuron", spike, counts.neuron_spikes, placement.chips))
    return charges


def _updates(counts: Workload, active: Constant, idle: Constant) -> Charge:
    """One quantity at two activity levels: all idle at the least, all active at the most, as counted in between."""
    updates = counts.updates_active + counts.updates_idle
    split = active.value * counts.updates_active + idle.value * counts.updates_idle
    low, high = (idle.value * updates).low, (active.value * updates).high
    joules = Interval(low, _between(low, split.nominal, high), high, active.value.reason or idle.value.reason)
    return Charge("neuron", (active, idle), joules, Interval.point(updates))


def _between(low: float | None, value: float | None, high: float | None) -> float | None:
    """The value, no further than its bounds: a sum of parts may miss the whole by a rounding."""
    if value is None:
        return None
    return min(max(value, value if low is None else low), value if high is None else high)


def _routing(counts: Workload, placement: Placement, profile: Profile) -> list[Charge]:
    amounts = {"message": counts.messages, "hop_horizontal": counts.hops[0], "hop_vertical": counts.hops[1]}
    if placement.chips > 1:
        amounts["link_message"] = counts.crossing
    return [
        charge("routing", constant, amount, placement.chips)
        for name, amount in amounts.items()
        if amount is not None and (constant := profile.get(name))
    ]


def _host(counts: Workload, profile: Profile) -> list[Charge]:
    spike = profile.get("host_spike")
    return [charge("host_io", spike, counts.named["injected_spikes"])] if spike else []
