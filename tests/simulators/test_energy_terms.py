"""Charges of clocks, whole chips, links and hosts, and which constant moves the total, worked out by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hw_profiles import Profile, load_profile, parse_profile
from simulators import Activity, NodeActivity
from simulators.energy import EnergyEstimate, estimate_on
from simulators.layers import EstimateError

HEAD = """
schema = 1
name = "test"
title = "a chip"
model = "spiking"
operating_point = "0.8 V"
note = "for tests"
attention = "none"
synapse_format = "sparse"
"""
EVIDENCE = 'grade = "P"\ncondition = "0.8 V"\nsource = "Table 2"\n'
CAPACITY = {"cores": ("count", 4), "neurons_per_core": ("count", 100)}


def chip(**constants: tuple[str, str, str]) -> Profile:
    """A profile of ``name=(figures, unit, kind)`` on four cores of 100 neurons."""
    text = HEAD
    for name, (figures, unit, kind) in constants.items():
        text += f'[constants.{name}]\n{figures}\nunit = "{unit}"\nkind = "{kind}"\n{EVIDENCE}'
        text += 'reason = "a bound"\n' if "value" not in figures else ""
        numbers = [float(word) for word in re.findall(r"[\d.]+", figures)]
        unusual = f'least = {min(numbers) / 10}, most = {max(numbers) * 10}, reason = "for tests"'
        text += f"unusual = {{ {unusual} }}\n"
    for name, (unit, value) in CAPACITY.items():
        text += f'[capacity.{name}]\nvalue = {value}\nunit = "{unit}"\n{EVIDENCE}'
    return parse_profile(text, "test")


def layer(name: str, neurons: int, events: int, **series: tuple[int, ...]) -> tuple[NodeActivity, NodeActivity]:
    """One population with as many synapses as neurons; ``series`` of the synapse node over the steps."""
    weight = NodeActivity(
        f"{name}.weight", "synapse", synops=events, weights=neurons, synapses=neurons, per_step=series
    )
    return weight, NodeActivity(name, "neuron", neurons, updates_idle=neurons)


EVENT = ("value = 10", "pJ", "marginal")


def test_a_clock_costs_by_its_frequency_and_stretches_the_times() -> None:
    """50 uW + 2 uW/MHz; at half the clock half of the second part, and events take twice as long."""
    profile = chip(
        synaptic_event=EVENT,
        static_chip=("value = 50", "uW", "static"),
        static_clock=("value = 2", "uW/MHz", "static"),
        clock=("value = 100", "MHz", "timing"),
        synaptic_event_time=("value = 20", "ns", "timing"),
    )
    activity = Activity(1, 1, 1, layer("a", 10, 1000))
    whole = estimate_on(activity, profile, step_seconds=1.0)
    half = estimate_on(activity, profile, step_seconds=1.0, clock_hz=50e6)
    assert whole.breakdown["static"].nominal == pytest.approx(250e-6)
    assert half.breakdown["static"].nominal == pytest.approx(150e-6)
    assert estimate_on(activity, profile).seconds.low == pytest.approx(1000 * 20e-9)
    assert estimate_on(activity, profile, clock_hz=50e6).seconds.low == pytest.approx(1000 * 40e-9)


def test_each_step_has_its_own_busiest_core() -> None:
    """Two layers that are busy in different steps: 800 + 900 events, not the mean's 1000."""
    profile = chip(synaptic_event=EVENT, synaptic_event_time=("value = 1", "ns", "timing"))
    first, second = layer("a", 10, 1000, synops=(800, 200)), layer("b", 10, 1000, synops=(100, 900))
    bare = [replace(node, per_step={}) for node in (*first, *second)]
    assert estimate_on(Activity(1, 2, 1, (*first, *second)), profile).seconds.low == pytest.approx(1700e-9)
    assert estimate_on(Activity(1, 2, 1, tuple(bare)), profile).seconds.low == pytest.approx(1000e-9)


def test_the_power_of_a_running_chip_is_the_whole_total() -> None:
    profile = chip(running_chip=("low = 0.5\nhigh = 0.7", "mW", "all_in"), inference_time=("value = 3", "us", "timing"))
    found = estimate_on(Activity(1, 1, 1, layer("a", 10, 5)), profile)
    assert (found.joules.low, found.joules.high) == pytest.approx((1.5e-9, 2.1e-9))
    assert not found.apart and found.basis.startswith("all_in") and "dynamic" not in found.basis


def test_a_network_step_stands_for_all_operations() -> None:
    profile = chip(network_step=("value = 93", "nJ", "all_in"), static_chip=("value = 219", "uW", "static"))
    found = estimate_on(Activity(2, 5, 1, layer("a", 10, 500)), profile, step_seconds=1e-3)
    assert found.breakdown["synapse"].nominal == pytest.approx(5 * 93e-9)
    assert found.apart["static"].nominal == pytest.approx(219e-6 * 5e-3)
    assert found.joules.nominal == pytest.approx(5 * 93e-9)


def test_spikes_of_the_host_and_between_chips() -> None:
    profile = chip(
        synaptic_event=EVENT,
        host_spike=("value = 7", "pJ", "marginal"),
        link_message=("value = 832", "pJ", "marginal"),
    )
    nodes = layer("a", 1000, 0)
    weight = replace(nodes[0], synops=300, messages=30, weights=1000, dense_macs=10_000)
    found = estimate_on(Activity(1, 1, 1, (weight, nodes[1]), input_spikes=30), profile)
    assert found.chips == 3  # ten cores of 100 neurons on chips of four
    assert found.breakdown["host_io"].nominal == pytest.approx(30 * 7e-12)
    assert found.breakdown["routing"].high == pytest.approx(30 * 10 * 832e-12)  # each spike to ten cores
    small = estimate_on(Activity(1, 1, 1, layer("a", 10, 300), input_spikes=30), profile)
    assert "routing" not in [i.term for i in small.sensitivity] and small.chips == 1


def test_deadlines_hold_or_are_missed() -> None:
    constants = {"synaptic_event": EVENT, "synaptic_event_time": ("value = 1", "us", "timing")}
    profile = chip(**constants, step_deadline=("value = 1", "ms", "timing"))  # type: ignore[arg-type]
    fine, late = (estimate_on(Activity(1, 2, 1, layer("a", 10, n)), profile) for n in (100, 5000))
    assert fine.seconds.nominal == pytest.approx(2e-3)
    assert late.seconds.low == pytest.approx(5e-3) and late.seconds.nominal is None
    assert "deadline" in late.seconds.reason


def test_the_constant_that_moves_the_total_most_stands_first() -> None:
    """Events 100 x 5..20 pJ move 1.5 nJ, spikes 10 x 1..2 pJ 10 pJ; a bound without another side comes before both."""
    profile = chip(
        synaptic_event=("low = 5\nnominal = 10\nhigh = 20", "pJ", "marginal"),
        neuron_spike=("low = 1\nnominal = 1.5\nhigh = 2", "pJ", "marginal"),
    )
    weight, neuron = layer("a", 10, 100)
    activity = Activity(1, 1, 1, (weight, replace(neuron, spikes=10)))
    found = estimate_on(activity, profile).sensitivity
    assert [i.constant for i in found] == ["synaptic_event", "neuron_spike"]
    assert [i.moves for i in found] == pytest.approx([1.5e-9, 10e-12])
    assert found[0].share == pytest.approx(1000 / 1015)
    bounded = chip(synaptic_event=EVENT, neuron_spike=("low = 1", "pJ", "marginal"))
    found = estimate_on(activity, bounded).sensitivity
    assert found[0].constant == "neuron_spike" and found[0].moves is None


def test_the_sides_of_the_sensitivity_add_up_to_the_total() -> None:
    found = total_of("loihi1-sanafe")
    plain = [i for i in found.sensitivity if i.constant != "energy_error"]
    assert sum(i.joules.nominal or 0 for i in plain) == pytest.approx(found.priced.nominal)
    assert sum(i.share for i in plain) == pytest.approx(1.0)
    (error,) = [i for i in found.sensitivity if i.constant == "energy_error"]
    of_operations = sum(i.joules.nominal or 0 for i in plain if i.term != "static")
    assert error.moves == pytest.approx(2 * 0.117 * 2.4565 * of_operations, rel=1e-4)


def total_of(name: str) -> EnergyEstimate:
    weight, neuron = layer("a", 10, 100)
    spiking = replace(neuron, spikes=4, updates_active=3, updates_idle=7)
    return estimate_on(
        Activity(1, 1, 1, (replace(weight, messages=10), spiking)), load_profile(name), step_seconds=1e-3
    )


def test_a_clock_of_nothing_is_refused() -> None:
    activity = Activity(1, 1, 1, layer("a", 10, 1))
    with pytest.raises(EstimateError, match="clock_hz 0"):
        estimate_on(activity, chip(synaptic_event=EVENT), clock_hz=0.0)


def test_without_figures_there_is_no_energy_and_no_time() -> None:
    found = estimate_on(Activity(1, 1, 1, layer("a", 10, 5)), chip(step_deadline=("value = 1", "ms", "timing")))
    assert not found.joules.known and "no figure" in found.joules.reason
    untimed = estimate_on(Activity(1, 1, 1, layer("a", 10, 5)), chip(synaptic_event=EVENT))
    assert not untimed.seconds.known and untimed.joules.low == pytest.approx(50e-12)


def test_a_figure_of_the_whole_chip_prices_no_network_that_it_cannot_hold() -> None:
    profile = chip(running_chip=("value = 1", "mW", "all_in"), inference_time=("value = 3", "us", "timing"))
    nodes = layer("a", 10, 5)
    assert estimate_on(Activity(1, 1, 1, nodes), profile).joules.nominal == pytest.approx(3e-9)
    product = NodeActivity("b", "attention", synops=4, dense_macs=8)
    refused = estimate_on(Activity(1, 1, 1, (*nodes, product)), profile)
    assert not refused.joules.known and "cannot hold" in refused.joules.reason


def test_an_all_in_figure_holds_at_its_load_only() -> None:
    """Per event 10 to 20 pJ, from 100 events a step on and up to one update for two events."""
    plain = chip(synaptic_event=("low = 10\nhigh = 20", "pJ", "all_in"))
    holds = {"least_events_per_step": 100.0, "most_updates_per_event": 0.5}
    event = replace(plain.constants["synaptic_event"], covers=("neuron",), holds=holds)
    profile = replace(plain, constants={"synaptic_event": event})

    def priced(neurons: int, events: int) -> EnergyEstimate:
        return estimate_on(Activity(1, 2, 1, layer("a", neurons, events)), profile)

    fine, few, busy = priced(10, 400), priced(10, 199), priced(201, 400)
    assert (fine.joules.low, fine.joules.high) == pytest.approx((4e-9, 8e-9))
    assert few.joules.low == pytest.approx(1.99e-9) and few.joules.high is None
    assert "99.5 events a step" in few.joules.reason and "updates" not in few.joules.reason
    assert priced(200, 400).joules.high == pytest.approx(8e-9)
    assert busy.joules.high is None and "updates an event" in busy.joules.reason


@pytest.mark.parametrize("active", [0, 3, 7, 10**9 // 3, 10**9])
def test_sides_stay_in_order_whatever_the_rounding(active: int) -> None:
    """All updates active or all idle: the counted split meets a bound."""
    updates = ("neuron_update_active", ("value = 81.3", "pJ", "marginal")), (
        "neuron_update_idle", ("value = 51.7", "pJ", "marginal")
    )  # fmt: skip
    weight, neuron = layer("a", 10, 5)
    spiking = replace(neuron, updates_active=active, updates_idle=10**9 - active)
    found = estimate_on(Activity(7, 1, 1, (weight, spiking)), chip(synaptic_event=EVENT, **dict(updates))).joules
    assert found.low is not None and found.nominal is not None and found.high is not None
    assert found.low <= found.nominal <= found.high
