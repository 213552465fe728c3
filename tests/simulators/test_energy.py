"""Energy on spiking chips against published figures and formulas worked out apart."""

from __future__ import annotations

from math import pi, sqrt

import pytest

from hw_profiles import load_profile
from simulators.activity import Activity, NodeActivity
from simulators.energy import estimate
from simulators.energy.estimate import EnergyEstimate
from simulators.layers import EstimateError
from simulators.placement import place


def priced(activity: Activity, chip: str, **options: float) -> EnergyEstimate:
    profile = load_profile(chip)
    return estimate(activity, place(activity, profile), profile, **options)  # type: ignore[arg-type]


def layer(
    name: str, inputs: int, outputs: int, spikes_in: int, runs: int, active: int, spikes: int = 0
) -> tuple[NodeActivity, NodeActivity]:
    size = inputs * outputs
    weight = NodeActivity(
        f"{name}.weight", "synapse", 0, size, size, synops=spikes_in * outputs, dense_macs=size * runs
    )
    idle = outputs * runs - active
    return weight, NodeActivity(name, "neuron", outputs, spikes=spikes, updates_active=active, updates_idle=idle)


SPIKINGFORMER = Activity(  # 8-512, T = 4: published operations and 14.05 M neurons
    samples=1,
    steps=4,
    tokens=1,
    nodes=(
        NodeActivity("all.weight", "synapse", weights=29_705_768, synapses=29_705_768, synops=6_517_540_941),
        NodeActivity("all", "neuron", 14_050_000, updates_active=14_050_000, updates_idle=3 * 14_050_000),
    ),
)


def test_spikingformer_on_loihi1() -> None:
    """23.6 pJ * 6.52 G = 154 mJ, and 2.9 to 4.6 mJ of neuron updates: one quantity at two levels."""
    result = priced(SPIKINGFORMER, "loihi1")
    assert result.breakdown["synapse"].low == pytest.approx(154e-3, rel=2e-3)
    neuron = result.breakdown["neuron"]
    assert neuron.low == pytest.approx(2.9e-3, rel=0.02)
    assert neuron.high == pytest.approx(4.6e-3, rel=0.02)
    assert neuron.nominal == pytest.approx(14.05e6 * (81 + 3 * 52) * 1e-12)
    assert (result.joules.nominal, result.joules.high) == (None, None)
    assert "lower bound" in result.basis and result.joules.reason


@pytest.mark.parametrize(("megahertz", "watts"), [(75.0, 476.9e-6), (1.3, 35.1e-6)], ids=["fast", "biological"])
def test_odin_at_its_two_published_points(megahertz: float, watts: float) -> None:
    """27.3 uW + 1.78 uW/MHz * f + 8.43 pJ * rate is 476.9 uW at 37.5 MSOP/s and 35.1 uW at 650 kSOP/s."""
    profile = load_profile("odin")
    events = round(megahertz * 1e6 / 2)  # one operation takes two cycles
    node = NodeActivity("a.weight", "synapse", weights=256, synapses=256, synops=events)
    activity = Activity(1, 1, 1, (node, NodeActivity("a", "neuron", 256, updates_active=256)))
    placement = place(activity, profile, weight_bits=4)
    result = estimate(activity, placement, profile, step_seconds=1.0, clock_hz=megahertz * 1e6)
    assert result.joules.nominal == pytest.approx(watts, rel=1e-3)
    assert result.basis == "marginal" and result.fits


def test_static_power_of_a_full_loihi1_chip() -> None:
    """128 powered cores for a second: the 104.4 mW of a fully powered chip (Frady et al. 2020)."""
    activity = Activity(1, 1, 1, (NodeActivity("a", "neuron", 128 * 1024, updates_idle=128 * 1024),))
    result = priced(activity, "loihi1", step_seconds=1.0)
    assert result.cores == 128 and result.chips == 1
    assert result.breakdown["static"].nominal == pytest.approx(104.4e-3, rel=0.01)
    assert result.breakdown["static"].low == pytest.approx(25.6e-3 + 128 * 0.45e-3)


def pilotnet() -> Activity:
    """PilotNet LIF from its published shapes (3x3 kernels) and mean input rates, T = 16."""
    rates, steps = (0.091, 0.100, 0.120, 0.108, 0.110), 16
    fan_in = (9 * 24, 9 * 36, 9 * 48, 9 * 64, 2560)
    outputs = (15 * 49 * 36, 24 * 7 * 48, 22 * 4 * 64, 20 * 2 * 64, 100)
    inside = (1.0, 1.0, 10 / 12, 1.0, 1.0)  # taps that fall on padding in the third layer
    nodes = []
    for i, rate in enumerate(rates):
        stored = round(fan_in[i] * outputs[i] * inside[i])
        events = round(stored * rate * steps)
        nodes.append(NodeActivity(f"l{i}.weight", "synapse", 0, stored, stored, synops=events))
        nodes.append(NodeActivity(f"l{i}", "neuron", outputs[i], updates_active=outputs[i] * steps))
    return Activity(samples=1, steps=steps, tokens=1, nodes=tuple(nodes))


def test_pilotnet_on_loihi2_lands_on_the_measured_energy() -> None:
    """Measured dynamic energy: 0.562, 1.071 and 1.094 mJ per frame in three recordings."""
    result = priced(pilotnet(), "loihi2")
    priced_range = result.breakdown["synapse"]
    assert priced_range.low == pytest.approx(0.562e-3, rel=0.1)
    assert priced_range.high == pytest.approx(1.094e-3, rel=0.1)
    assert result.joules.nominal is None


def test_all_in_is_never_added_to_static_power() -> None:
    result = priced(pilotnet(), "loihi2", step_seconds=150e-6)
    assert "all_in" in result.basis and "inferred" in result.basis
    assert result.breakdown["static"].known is False
    assert result.apart["static"].low == pytest.approx(0.090 * 16 * 150e-6)
    assert result.joules.low == pytest.approx(31e-12 * (result.synops_per_inference or 0))
    assert result.breakdown["neuron"].known is False  # contained in the all-in figure


def test_sanafe_profile_term_by_term() -> None:
    """One layer worked out by hand: 100 spikes in, fan-out 50, 30 spikes out, over 10 steps."""
    weight, neuron = layer("a", 200, 50, spikes_in=100, runs=10, active=120, spikes=30)
    activity = Activity(1, 10, 1, (weight, neuron))
    result = priced(activity, "loihi1-sanafe", step_seconds=1e-3)
    error = 0.117 * 1.96 * sqrt(pi / 2)  # a mean absolute error of 11.7 %: 95 % of normal errors lie within this
    synapse = 100 * 50 * 35.5e-12
    update = (120 * 72.8 + 380 * 51.2 + 30 * 69.3) * 1e-12
    hops = 3.0 * (8**2 - 1) / 24 + 4.2 * (4**2 - 1) / 12
    message = 100 * (111 + hops) * 1e-12
    static = (29.6e-3 + 0.58e-3) * 10e-3
    assert result.breakdown["synapse"].sides == pytest.approx((synapse * (1 - error), synapse, synapse * (1 + error)))
    assert result.breakdown["neuron"].nominal == pytest.approx(update)
    assert result.breakdown["routing"].nominal == pytest.approx(message)
    assert result.joules.nominal == pytest.approx(synapse + update + message + static)
    assert result.basis == "marginal" and result.grade == "C"


@pytest.mark.parametrize(("weights", "walked"), [(640, 2000), (128, 1000)], ids=["half full", "a tenth full"])
def test_zeros_are_walked_in_full_lists_only(weights: int, walked: int) -> None:
    """20 lists onto 64 neurons: full 9 words of 64 bits each; sparse, at 18 bits a weight, 10 where half are zero."""
    weight = NodeActivity("a.weight", "synapse", weights=weights, synapses=weights, synops=1000, dense_macs=1280)
    activity = Activity(1, 1, 1, (weight, NodeActivity("a", "neuron", 64, updates_active=64)))
    fitted, published = priced(activity, "loihi1-sanafe"), priced(activity, "loihi1")
    each = 35.5e-12 if walked == 2000 else 33.6e-12
    assert fitted.breakdown["synapse"].nominal == pytest.approx(walked * each)
    assert published.breakdown["synapse"].low == pytest.approx(walked * 23.6e-12)
    assert (fitted.synops_per_inference, fitted.dense_synops_per_inference) == (1000, 1000 * 1280 / weights)


def test_terms_without_a_price_are_listed_with_their_counts() -> None:
    weight, neuron = layer("b0.o", 8, 8, spikes_in=6, runs=8, active=9)
    attention = NodeActivity("b0.sums", "attention", synops=500, dense_macs=4000)
    code = NodeActivity("code", "neuron", 8, spikes=40, updates_idle=64)
    activity = Activity(2, 4, 4, (code, attention, weight, neuron), host_lookups=16, input_spikes=40)
    result = priced(activity, "loihi1-sanafe", step_seconds=1e-3)
    counts = {term.term: term.count for term in result.unpriced}
    assert counts["attention"] == 250 and counts["host input spikes"] == 20 and counts["host encoder"] == 8
    assert result.joules.nominal is None and "attention" in result.joules.reason
    assert result.priced.complete and not result.fits
    alone = priced(Activity(2, 4, 4, (code, weight, neuron)), "loihi1-sanafe", step_seconds=1e-3)
    assert "attention" not in {term.term for term in alone.unpriced} and alone.joules.complete


def test_latency_of_the_busiest_core() -> None:
    """Two layers on a core each; the second is busier. 4 steps, all figures per step."""
    first = layer("a", 100, 10, spikes_in=40, runs=4, active=40)
    second = layer("b", 10, 400, spikes_in=40, runs=4, active=1600, spikes=80)
    result = priced(Activity(1, 4, 1, (*first, *second)), "loihi1-sanafe")
    core = 10 * 400 * 3.8e-9 + 400 * 9.7e-9 + 20 * 35.1e-9 + 10 * 16e-9
    assert result.seconds.nominal == pytest.approx(4 * (core + 0.6e-6))  # two cores, one tile
    assert result.seconds.low == pytest.approx(4 * (core + 0.6e-6) * (1 - 0.243 * 1.96 * sqrt(pi / 2)))
    bound = priced(Activity(1, 4, 1, (*first, *second)), "loihi1")
    assert bound.seconds.low == pytest.approx(4 * (400 * 8.4e-9 + 113e-9))
    assert bound.seconds.nominal is None and "throttling" in bound.seconds.reason


def test_fill_steps_cost_time_and_idle_updates() -> None:
    activity = Activity(1, 4, 1, layer("a", 10, 100, spikes_in=4, runs=4, active=400))
    plain, filled = (priced(activity, "loihi1", step_seconds=1e-3, fill_steps=n) for n in (0, 6))
    assert filled.seconds.nominal == pytest.approx(10e-3)
    extra = (filled.breakdown["neuron"].nominal or 0) - (plain.breakdown["neuron"].nominal or 0)
    assert extra == pytest.approx(6 * 100 * 52e-12)


def test_counts_are_per_inference() -> None:
    one = Activity(1, 4, 1, layer("a", 10, 20, spikes_in=8, runs=4, active=40, spikes=12))
    many = Activity(5, 4, 1, layer("a", 10, 20, spikes_in=40, runs=20, active=200, spikes=60))
    a, b = (priced(activity, "loihi1-sanafe", step_seconds=1e-3) for activity in (one, many))
    assert a.joules.sides == pytest.approx(b.joules.sides)
    assert (a.spikes_per_inference, a.synops_per_inference) == (12, 160)
    assert a.seconds == b.seconds and a.cores == b.cores


def test_several_chips_have_no_barrier_figure() -> None:
    neurons = 200 * 1024
    activity = Activity(1, 1, 1, (NodeActivity("a", "neuron", neurons, updates_idle=neurons),))
    result = priced(activity, "loihi1-sanafe")
    assert result.chips == 2 and result.fits is False
    assert result.seconds.nominal is None and "1 chip" in result.seconds.reason


def test_refusals() -> None:
    activity = Activity(1, 1, 1, (NodeActivity("a", "neuron", 8, updates_idle=8),))
    loihi1 = load_profile("loihi1")
    placement = place(activity, loihi1)
    with pytest.raises(EstimateError, match="baselines"):
        estimate(activity, placement, load_profile("h200"))
    with pytest.raises(EstimateError, match="placement on loihi1"):
        estimate(activity, placement, load_profile("loihi2"))
    with pytest.raises(EstimateError, match="step_seconds 0"):
        estimate(activity, placement, loihi1, step_seconds=0.0)
    with pytest.raises(EstimateError, match="fill_steps -1"):
        estimate(activity, placement, loihi1, fill_steps=-1)
