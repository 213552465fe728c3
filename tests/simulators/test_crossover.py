"""Break-even rates against closed forms."""

from __future__ import annotations

import pytest

from hw_profiles import Interval, load_profile
from simulators.activity import Activity, NodeActivity
from simulators.baselines import AnnShape, ann_at_45nm, crossover, energy_curve, spiking_literature
from simulators.baselines.crossover import RATES
from simulators.baselines.rates import input_rate, scaled
from simulators.energy import EnergyEstimate, estimate
from simulators.layers import EstimateError
from simulators.placement import place

STEPS = 4
SHAPE = AnnShape(layers=6, width=256, ffn=1024, tokens=32, labels=2, heads=4, pooler=False)
MACS = SHAPE.macs
SPIKING = Activity(
    1,
    STEPS,
    1,
    (
        NodeActivity(
            "a.weight", "synapse", weights=MACS, synapses=MACS, synops=MACS * STEPS // 4, dense_macs=MACS * STEPS
        ),
    ),
)
FAN_IN, OUT, RUNS = 100, 50, 1000


def on_loihi(chip: str, activity: Activity) -> EnergyEstimate:
    profile = load_profile(chip)
    return estimate(activity, place(activity, profile), profile, step_seconds=1e-3)


def chip_activity(rate: float) -> Activity:
    """100 inputs at a rate onto 50 neurons over 1000 steps; every weight non-zero."""
    weight = NodeActivity(
        "a.weight",
        "synapse",
        weights=FAN_IN * OUT,
        synapses=FAN_IN * OUT,
        synops=round(rate * FAN_IN * OUT * RUNS),
        dense_macs=FAN_IN * OUT * RUNS,
    )
    return Activity(1, RUNS, 1, (weight, NodeActivity("a", "neuron", OUT, updates_idle=OUT * RUNS)))


def test_closed_forms_at_45_nm() -> None:
    """0.9 f T = 4.6 gives f = 1.278 at T = 4; 0.9 f T = 0.23 gives 6.39 %, in the 5.7 to 6.4 % of Yan 2024."""
    curve = energy_curve(SPIKING, spiking_literature)
    assert curve.measured == pytest.approx(0.25)
    fp32 = crossover(curve, ann_at_45nm(SHAPE, "fp32"))
    assert fp32.rate.nominal == pytest.approx(4.6 / (0.9 * STEPS), rel=1e-6)
    assert (fp32.verdict, fp32.pays_as_measured) == ("always pays", True)
    int8 = crossover(curve, ann_at_45nm(SHAPE, "int8"))
    assert int8.rate.nominal == pytest.approx(0.23 / (0.9 * STEPS), rel=1e-6)
    assert 0.057 < (int8.rate.nominal or 0) < 0.064
    assert (int8.verdict, int8.pays_as_measured) == ("pays below the rate", False)


@pytest.mark.parametrize("joules", [1e-6, 1e-5])
def test_a_chip_whose_updates_and_static_power_stay(joules: float) -> None:
    """E(f) of SANA-FE's figures solved by hand, one core: events and messages scale, updates and static do not."""
    baseline = _baseline(Interval.point(joules))
    found = crossover(energy_curve(chip_activity(0.2), lambda a: on_loihi("loihi1-sanafe", a)), baseline)
    updates = OUT * RUNS * 51.2e-12
    hops = 3.0 * (8**2 - 1) / 24 + 4.2 * (4**2 - 1) / 12
    per_rate = RUNS * (FAN_IN * OUT * 35.5e-12 + FAN_IN * (111 + hops) * 1e-12)
    seconds = RUNS * 1e-3
    static = (29.6e-3 + 0.58e-3) * seconds
    expected = max(0.0, (joules - updates - static) / per_rate)
    assert expected == 0.0 and found.rate.nominal == 0.0
    assert found.verdict == "never pays" and found.pays_as_measured is False
    higher = crossover(
        energy_curve(chip_activity(0.2), lambda a: on_loihi("loihi1-sanafe", a)),
        _baseline(Interval.point(static + updates + 0.3 * per_rate)),
    )
    assert higher.rate.nominal == pytest.approx(0.3, rel=1e-5)


def test_an_interval_of_joules_gives_an_interval_of_rates() -> None:
    """E = [1, 2, 4] f against [1, 1, 2]: the worst case crosses at 1 / 4, the nominal at 1 / 2, the best at 2."""

    def price(activity: Activity) -> EnergyEstimate:
        rate = activity.nodes[0].synops / activity.nodes[0].dense_macs
        return _baseline(Interval(rate, 2 * rate, 4 * rate))

    found = crossover(energy_curve(SPIKING, price), _baseline(Interval(1.0, 1.0, 2.0)))
    assert found.rate.sides == pytest.approx((0.25, 0.5, 2.0), rel=1e-6)
    assert found.verdict == "undecided" and found.pays_as_measured is None


def test_a_kinked_curve_is_refined_between_samples() -> None:
    """E = max(1, 3 f + f^2): reaches 1.5 where f^2 + 3 f = 1.5, f = (-3 + sqrt(15)) / 2."""

    def price(activity: Activity) -> EnergyEstimate:
        rate = activity.nodes[0].synops / activity.nodes[0].dense_macs
        return _baseline(Interval.point(max(1.0, 3 * rate + rate**2)))

    found = crossover(energy_curve(SPIKING, price), _baseline(Interval.point(1.5)))
    assert found.rate.nominal == pytest.approx((15**0.5 - 3) / 2, rel=1e-6)


def test_one_sided_figures_stay_one_sided() -> None:
    """Loihi 1 has a minimum per event only: only the best case can be computed, and it decides nothing."""
    curve = energy_curve(chip_activity(0.2), lambda a: on_loihi("loihi1", a))
    assert curve.joules[0].high is None or curve.joules[-1].high is None
    found = crossover(curve, _baseline(Interval.point(1.0)))
    assert (found.rate.low, found.rate.nominal) == (None, None)
    assert (found.rate.high or 0) > 1 and found.verdict == "undecided" and found.rate.reason
    bound = crossover(energy_curve(SPIKING, spiking_literature), _baseline(Interval(low=1e-9, reason="TDP over peak")))
    assert bound.rate.high is None and (bound.rate.low or 0) > 0


def test_what_scales_and_what_stays() -> None:
    activity = Activity(
        2,
        4,
        1,
        (
            NodeActivity(
                "a.weight", "synapse", weights=50, synapses=50, synops=100, dense_macs=400, messages=20, bytes=100
            ),
            NodeActivity("a", "neuron", 10, spikes=30, updates_active=20, updates_idle=60, messages=30, bytes=960),
        ),
        host_lookups=7,
        input_spikes=40,
    )
    assert input_rate(activity) == pytest.approx(100 / 400)
    half = scaled(activity, 0.5)
    weight, neuron = half.nodes
    assert (weight.synops, weight.messages, weight.bytes, neuron.spikes, half.input_spikes) == (50, 10, 50, 15, 20)
    assert (neuron.updates_active, neuron.updates_idle, neuron.bytes, half.host_lookups) == (20, 60, 960, 7)
    assert (weight.dense_macs, weight.synapses) == (400, 50)


def test_curve_for_a_plot_and_refusals() -> None:
    entry = energy_curve(SPIKING, spiking_literature).to_dict()
    joules = entry["joules"]
    assert entry["rates"] == list(RATES) and isinstance(joules, dict)
    assert joules["nominal"] == pytest.approx([0.9e-12 * rate * STEPS * MACS for rate in RATES], rel=1e-6)
    with pytest.raises(EstimateError, match="ascend from 0"):
        energy_curve(SPIKING, spiking_literature, (0.1, 0.2))
    with pytest.raises(EstimateError, match="a sample that spikes"):
        energy_curve(scaled(SPIKING, 0.0), spiking_literature)


def _baseline(joules: Interval) -> EnergyEstimate:
    return EnergyEstimate("x", "device", "", joules, Interval(), None, None, None, {}, (), None, None, None, "")
