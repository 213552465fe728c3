"""The shipped profiles against the figures their sources print."""

from __future__ import annotations

import numpy as np
import pytest

from hw_profiles import describe, list_profiles, load_profile, worst_grade

SHIPPED = {
    "akida", "brainscales2", "darwin3", "loihi1", "loihi1-sanafe", "loihi2", "odin", "speck", "spinnaker1",
    "spinnaker2", "truenorth", "truenorth-26pj", "truenorth-lower-bound", "xylo", "a100", "h100", "h200",
    "gtx-titan-black", "jetson-agx-orin", "jetson-orin-nano", "arm-cortex-a", "server-cpu", "cmos45-fp32",
    "cmos45-fp16", "cmos45-int8", "cmos45-memory", "cmos22", "cmos7-fp32",
}  # fmt: skip


def test_every_shipped_profile_loads_and_describes_itself() -> None:
    assert set(list_profiles()) >= SHIPPED
    for name in list_profiles():
        profile = load_profile(name)
        assert profile.name == name
        text = describe(profile)
        for constant in [*profile.constants.values(), *profile.capacity.values()]:
            assert constant.grade != "M"
            assert constant.source in text and constant.condition in text


@pytest.mark.parametrize(
    ("profile", "constant", "low", "nominal", "high"),
    [
        ("loihi1", "synaptic_event", 23.6e-12, None, None),  # Davies 2018, Table 2: a minimum
        ("loihi1", "synaptic_event_time", None, None, 3.5e-9),  # a maximum
        ("loihi1", "neuron_update_active", 81e-12, 81e-12, 81e-12),
        ("loihi1", "static_chip", 25.6e-3, 29.6e-3, 29.8e-3),
        ("loihi1-sanafe", "neuron_update_active", 72.8e-12, 72.8e-12, 72.8e-12),
        ("loihi2", "synaptic_event", 31e-12, None, 60e-12),
        ("loihi2", "static_chip", 0.09, 0.236, 0.622),
        ("loihi1-sanafe", "synaptic_event_sparse", 33.6e-12, 33.6e-12, 33.6e-12),
        ("loihi1-sanafe", "synaptic_event_shared_time", 3.1e-9, 3.1e-9, 3.1e-9),
        ("truenorth", "running_chip", 42e-3, None, 323e-3),
        ("truenorth-26pj", "synaptic_event", 26e-12, 26e-12, 26e-12),
        ("truenorth-lower-bound", "link_message", 832e-12, 832e-12, 832e-12),
        ("spinnaker1", "synaptic_event", 13.3e-9, 13.3e-9, 13.3e-9),
        ("spinnaker2", "neuron_update_idle", 2.19e-9, 2.19e-9, 2.19e-9),
        ("xylo", "network_step", None, 93e-9, None),
        ("xylo", "static_chip", None, 219e-6, None),
        ("speck", "running_chip", 0.42e-3, 0.7e-3, None),
        ("darwin3", "synaptic_event", 5.47e-12, 5.47e-12, 5.47e-12),
        ("server-cpu", "mac_device", 8.6e-9, 8.6e-9, 8.6e-9),
        ("arm-cortex-a", "mac_device", 0.9e-9, 0.9e-9, 0.9e-9),
        ("cmos45-fp16", "mac", 1.5e-12, 1.5e-12, 1.5e-12),
        ("cmos7-fp32", "mac", 1.69e-12, 1.69e-12, 1.69e-12),
        ("cmos22", "dram_byte", 8 * 20.3e-12, 8 * 20.3e-12, 8 * 20.3e-12),
        ("cmos45-memory", "sram_byte", 24.96e-12, 24.96e-12, 24.96e-12),
        ("h200", "byte_weight", 107e-12, 107e-12, 107e-12),
        ("cmos45-fp32", "mac", 4.6e-12, 4.6e-12, 4.6e-12),
        ("cmos45-int8", "accumulate", 0.03e-12, 0.03e-12, 0.03e-12),
    ],
)
def test_constants_in_si_units(
    profile: str, constant: str, low: float | None, nominal: float | None, high: float | None
) -> None:
    value = load_profile(profile).constants[constant].value
    assert value.sides == tuple(None if side is None else pytest.approx(side) for side in (low, nominal, high))
    assert value.complete or value.reason


def test_odin_at_both_published_points() -> None:
    odin = load_profile("odin").constants
    event, leak, clock = (odin[n].value.nominal or 0.0 for n in ("synaptic_event", "static_chip", "static_clock"))
    # Frenkel 2019: 477 uW at 75 MHz and 37.5 MSOP/s, 35 uW at 1.3 MHz and 650 kSOP/s.
    assert leak + clock * 75e6 + event * 37.5e6 == pytest.approx(477e-6, rel=0.01)
    assert leak + clock * 1.3e6 + event * 650e3 == pytest.approx(35e-6, rel=0.01)


def test_loihi2_static_is_a_prediction_interval() -> None:
    logs = np.log([0.168, 0.178, 0.232, 0.309, 0.342])
    reach = 2.776 * logs.std(ddof=1) * np.sqrt(1 + 1 / 5)
    expected = np.exp([logs.mean() - reach, logs.mean(), logs.mean() + reach])
    assert load_profile("loihi2").constants["static_chip"].value.sides == pytest.approx(tuple(expected), rel=0.01)


@pytest.mark.parametrize(
    ("name", "quantity", "picojoules"),  # hardware specifications: power limit / dense peak
    [
        ("a100", "flop", 400 / 312),
        ("a100", "flop_fp32", 400 / 19.5),
        ("a100", "flop_int8", 400 / 624),
        ("h100", "flop", 700 / 989.4),
        ("jetson-orin-nano", "flop_int8", 15 / 20),
        ("jetson-agx-orin", "flop_int8", 60 / 137.5),
    ],
)
def test_a_device_at_its_peak_is_one_sided_and_all_in(name: str, quantity: str, picojoules: float) -> None:
    constant = load_profile(name).constants[quantity]
    assert constant.kind == "all_in" and constant.value.sides[1:] == (None, None)
    assert constant.value.low == pytest.approx(picojoules * 1e-12, rel=1e-3)


def test_multiply_accumulate_is_horowitz_multiply_plus_add() -> None:
    for name, multiply, add in (("cmos45-fp32", 3.7e-12, 0.9e-12), ("cmos45-int8", 0.2e-12, 0.03e-12)):
        profile = load_profile(name)
        assert profile.constants["mac"].value.nominal == pytest.approx(multiply + add)
        assert profile.constants["accumulate"].value.nominal == pytest.approx(add)


def test_capacity_in_bits_and_counts() -> None:
    loihi1, loihi2 = load_profile("loihi1"), load_profile("loihi2")
    assert loihi1.limit("synapse_memory") == 16384 * 64
    assert (loihi1.limit("cores"), loihi1.limit("neurons_per_core")) == (128, 1024)
    assert (loihi2.limit("cores"), loihi2.limit("neurons_per_core")) == (128, 8192)
    assert loihi2.limit("synapse_memory") == 128 * 1024 * 8
    assert loihi2.limit("input_axons") is None


def test_marginal_and_all_in_are_kept_in_separate_profiles() -> None:
    assert {name: load_profile(name).basis for name in ("loihi1", "loihi2", "cmos45-fp32")} == {
        "loihi1": "marginal",
        "loihi2": "all_in",
        "cmos45-fp32": "literature",
    }


def test_worst_grade() -> None:
    assert worst_grade(["Q", "P", "C", "S"]) == "C"
    assert worst_grade(["P", "M", "C"]) == "M"
    assert worst_grade([]) is None


def test_a_barrier_by_tiles() -> None:
    """SANA-FE: 0.6, 1.0, 1.4, 1.8 us for 1, 2, 4, 29 tiles; three lie between two and four, on their line."""
    barrier = load_profile("loihi1-sanafe").constants["barrier_time"]
    assert [barrier.at(tiles).nominal for tiles in (1, 2, 4, 29)] == pytest.approx([0.6e-6, 1.0e-6, 1.4e-6, 1.8e-6])
    assert barrier.at(3).sides == pytest.approx((1.0e-6, 1.2e-6, 1.4e-6))
    assert barrier.at(32).sides == pytest.approx((1.8e-6, 1.8e-6, 1.8e-6 + 3 * 0.4e-6 / 25))
    published = load_profile("loihi1").constants["barrier_time"]
    assert published.at(7) == published.value  # a range over 1 to 32 tiles
