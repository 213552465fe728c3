"""The shipped profiles against the figures their sources print."""

from __future__ import annotations

import pytest

from hw_profiles import describe, list_profiles, load_profile, worst_grade


def test_every_shipped_profile_loads_and_describes_itself() -> None:
    assert {"loihi1", "loihi1-sanafe", "loihi2", "h200", "cmos45-fp32", "cmos45-int8"} <= set(list_profiles())
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
        ("loihi1", "static_chip", 29.4e-3, 29.6e-3, 29.8e-3),
        ("loihi1-sanafe", "neuron_update_active", 72.8e-12, 72.8e-12, 72.8e-12),
        ("loihi2", "synaptic_event", 31e-12, None, 60e-12),
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
