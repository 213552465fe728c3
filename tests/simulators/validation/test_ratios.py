"""High over low of estimates, where a chip has figures on both sides and the rates of the network are exact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hw_profiles import load_profile
from hw_profiles.interval import total
from simulators.described import DescribedNetwork, described_network_of, estimate_described
from simulators.described.read import parse_description

HEAD = """
schema = 1
name = "n"
source = "made up"
grade = "P"
steps = 4
output_rate = 0.1
"""
DENSE = """
input = 64
layers = [
  { name = "a", kind = "dense", outputs = 64, input_rate = 0.2 },
  { name = "b", kind = "dense", outputs = 10, input_rate = 0.15 },
]
"""
CONVOLUTION = """
input = [2, 16, 16]
layers = [
  { name = "a", kind = "conv", channels = 8, kernel = 3, input_rate = 0.2 },
  { name = "b", kind = "dense", outputs = 10, input_rate = 0.15 },
]
"""
PROFILES = ["spinnaker1", "spinnaker2", "odin", "darwin3", "loihi1-sanafe"]
MOST = 4


def network(text: str) -> DescribedNetwork:
    found = described_network_of(parse_description(HEAD + text, "n"))
    assert found.exact
    return found


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("text", [DENSE, CONVOLUTION], ids=["dense", "convolution"])
def test_operations(name: str, text: str) -> None:
    """Without static power, over the terms that have a price."""
    estimate = estimate_described(network(text), load_profile(name))
    operations = total(part for term, part in estimate.breakdown.items() if term != "static" and part.known)
    assert operations.low and operations.high and operations.high <= MOST * operations.low


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("text", [DENSE, CONVOLUTION], ids=["dense", "convolution"])
def test_with_static_power_over_a_known_time(name: str, text: str) -> None:
    estimate = estimate_described(network(text), load_profile(name), step_seconds=1e-3)
    assert estimate.priced.low and estimate.priced.high and estimate.priced.high <= MOST * estimate.priced.low
    if "static_chip" in load_profile(name).constants:
        assert estimate.breakdown["static"].low


@pytest.mark.parametrize("text", [DENSE, CONVOLUTION])
def test_with_static_power_over_the_modelled_time(text: str) -> None:
    """The only one of these profiles whose time model has two sides."""
    joules = estimate_described(network(text), load_profile("loihi1-sanafe")).joules
    assert joules.low and joules.high and joules.high <= MOST * joules.low


def test_the_ratio_is_not_one_by_construction() -> None:
    """Twice the high side of one figure shows."""
    profile = load_profile("spinnaker2")
    event = profile.constants["synaptic_event"]
    wide = replace(event, value=replace(event.value, high=9 * (event.value.high or 0.0)))
    changed = replace(profile, constants=dict(profile.constants) | {"synaptic_event": wide})
    priced = estimate_described(network(DENSE), changed).priced
    assert priced.low and priced.high and priced.high > MOST * priced.low
