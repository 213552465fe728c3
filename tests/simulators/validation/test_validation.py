"""Verdicts on made-up cases and profiles, the shipped cases, and the page written from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw_profiles import Profile, load_profile, parse_profile
from simulators.described import described_network_of
from simulators.described.read import parse_description
from simulators.layers import EstimateError
from simulators.validation import judge, page, parse_case, shipped_cases, validate

SHIPPED = validate()
ROOT = Path(__file__).parents[3]
CASE = """
schema = 1
title = "t"
chip = "c"
profiles = ["chip"]
source = "s"
grade = "P"
condition = "none"
holds = "cores"
network = "made-up"
[[measured]]
what = "energy"
kind = "dynamic"
unit = "nJ"
value = 1.0
"""
NETWORK = """
schema = 1
name = "n"
source = "s"
grade = "P"
steps = 10
input = 4
output_rate = 0
[[layers]]
name = "fc"
kind = "dense"
outputs = 5
input_rate = 0.5
"""  # 10 * 0.5 * 20 = 100 events


def chip(sides: str) -> Profile:
    """A chip of one figure per event and one core."""
    figure = 'unit = "pJ"\nkind = "marginal"\ngrade = "P"\ncondition = "c"\nsource = "s"\ncovers = ["neuron"]'
    cores = '[capacity.cores]\nvalue = 1\nunit = "count"\ngrade = "P"\ncondition = "c"\nsource = "s"'
    head = 'schema = 1\nname = "chip"\ntitle = "t"\nmodel = "spiking"\noperating_point = "o"\nnote = "n"'
    kinds = 'attention = "none"\nsynapse_format = "sparse"'
    return parse_profile(f"{head}\n{kinds}\n[constants.synaptic_event]\n{sides}\n{figure}\n{cores}", "chip")


def verdict(sides: str, case: str = CASE, network: str = NETWORK) -> str:
    described = described_network_of(parse_description(network, "n"))
    return judge(parse_case(case, "case"), {"chip": chip(sides)}, described)[0].verdict


def test_each_verdict() -> None:
    """100 events at 9 to 11 pJ are 0.9 to 1.1 nJ, against a measured 1 nJ."""
    assert verdict("low = 9\nnominal = 10\nhigh = 11") == "inside"
    assert verdict("low = 10.5\nnominal = 10.8\nhigh = 11") == "outside"
    assert verdict('low = 9\nreason = "a minimum"') == "consistent with a bound"
    assert verdict('low = 11\nreason = "a minimum"') == "outside"
    assert verdict('high = 9\nreason = "a maximum"') == "outside"
    unknown = NETWORK.replace("output_rate = 0", "output_rate = 0\nrates_published = false")
    assert verdict("low = 9\nnominal = 10\nhigh = 11", network=unknown) == "consistent with a bound"
    supplied = CASE.replace("[[measured]]", '[supplied]\nchip = "its figure"\n[[measured]]')
    assert verdict("value = 99", supplied) == "supplied the profile"
    bare = CASE.replace('network = "made-up"', 'no_network = "sizes unknown"\nmissing = ["rates"]')
    result = judge(parse_case(bare, "case"), {"chip": chip("value = 10")})[0]
    assert result.verdict == "not priceable: rates missing" and not result.counts


def test_what_the_measurement_holds_beyond_the_estimate_leaves_a_lower_bound() -> None:
    more = CASE.replace('holds = "cores"', 'holds = "cores and x86"\nholds_more = true')
    assert verdict("value = 5", more) == "consistent with a bound"
    assert verdict("value = 11", more) == "outside"


def test_odin_by_hand() -> None:
    """27.3 uW + 1.78 uW/MHz * f + 8.43 pJ * rate is 476.9 and 35.1 uW where 477 and 35 are printed."""
    case = next(case for case in shipped_cases() if case.name == "odin")
    profile = load_profile("odin")
    results = judge(case, {"odin": profile})
    if profile.get("static_clock") is None:
        assert all("static_clock" in result.verdict for result in results)
        return
    by_hand = [27.3 + 1.78 * 75 + 8.43 * 37.5, 27.3 + 1.78 * 1.3 + 8.43 * 0.65]
    assert [result.estimate[1] for result in results] == pytest.approx(by_hand)
    assert [result.verdict for result in results] == ["inside", "inside"]
    assert by_hand == pytest.approx([477, 35], rel=0.01)


def test_sddpg_by_hand() -> None:
    """Without a spike, 770 neurons updated idle in 5 steps: 52 pJ each on loihi1."""
    results = [v for v in SHIPPED if v.case == "loihi1-sddpg" and v.profile == "loihi1"]
    assert results[0].estimate[0] == pytest.approx(770 * 5 * 52e-6)
    assert results[0].verdict == "consistent with a bound"


def test_shipped_cases_have_sources_and_nothing_that_can_be_priced_lies_outside() -> None:
    cases = shipped_cases()
    assert len(cases) >= 20 and all(case.source and case.grade in "PQSC" for case in cases)
    assert [v.what for v in SHIPPED if v.verdict == "outside"] == []


@pytest.mark.parametrize(
    ("old", "new"), [('source = "s"\n', ""), ('unit = "nJ"\n', ""), ('grade = "P"', 'grade = "M"'), ("value", "values")]
)
def test_refused(old: str, new: str) -> None:
    with pytest.raises(EstimateError, match="case made-up"):
        parse_case(CASE.replace(old, new), "made-up")


def test_the_page_is_what_the_cases_give() -> None:
    written = (ROOT / "docs/energy-validation.md").read_text(encoding="utf-8")
    assert written == page(SHIPPED), "run python -m simulators.validation"
