"""The four verdict lines: statuses follow the figures, and caution wins over a good look."""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binomtest

from toolkit.reporting import summarise
from toolkit.reporting.summary import group_of, grouped, provenance, wilson


def verdicts(report: Any) -> list[tuple[str, str]]:
    return [(verdict.status, verdict.text) for verdict in summarise(report)]


@pytest.mark.parametrize(("hits", "examples"), [(0, 10), (10, 10), (714, 872), (52, 64), (1, 3)])
def test_wilson_is_scipys(hits: int, examples: int) -> None:
    expected = binomtest(hits, examples).proportion_ci(0.95, method="wilson")
    assert wilson(hits / examples, examples) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_function_counts_every_run(report: dict[str, Any]) -> None:
    status, text = verdicts(report)[0]
    assert status == "holds"
    assert text == "4 runs equal: 0 mismatches of 29,360,128 spikes compared, 0 logits differ."


@pytest.mark.parametrize("field", ["spike_mismatches", "logit_mismatches"])
def test_one_difference_fails_and_names_the_backend(report: dict[str, Any], field: str) -> None:
    report["equivalence"][3][field] = 1
    status, text = verdicts(report)[0]
    assert status == "fails"
    assert text.startswith("1 of 4 runs differ (lava)")


def test_nothing_compared_is_not_a_pass(report: dict[str, Any]) -> None:
    for entry in report["equivalence"]:
        entry["samples"] = 0
    assert verdicts(report)[0][0] == "not tested"
    report["equivalence"][0] |= {"samples": 4, "spikes_compared": 0, "layers": []}
    assert verdicts(report)[0][0] == "caution"


@pytest.mark.parametrize(
    ("accuracy", "baseline", "status"),
    [(0.90, 0.79, "holds"), (0.8188, 0.7936, "caution"), (0.78, 0.7936, "fails")],
)
def test_accuracy_is_held_against_the_best_baseline(
    report: dict[str, Any], accuracy: float, baseline: float, status: str
) -> None:
    report["task"]["accuracy"]["integer"] = accuracy
    report["task"]["baselines"]["naive_bayes"] = baseline
    assert verdicts(report)[1][0] == status


def test_cost_keeps_bounds_and_leaves_conventions_out(report: dict[str, Any]) -> None:
    status, text = verdicts(report)[2]
    lines = text.split("\n")
    assert status == "estimate"
    assert lines[0] == "loihi1: at least 76 µJ; at most 4.1 ms; 44 cores; 2 terms without a price."
    assert "speck: no public figure; DOES NOT FIT: 16 cores of 9, bound by cores." in lines
    assert "45 nm" not in text and "H200" not in text


def test_groups_follow_kind_and_basis_and_keep_the_given_order(report: dict[str, Any]) -> None:
    groups = {group: [entry["profile"] for entry in entries] for group, entries in grouped(report["energy"])}
    assert groups["marginal"] == ["loihi1", "loihi1-sanafe", "speck"]
    assert groups["all_in"] == ["loihi2"]
    assert [len(groups[name]) for name in ("device", "literature")] == [1, 2]
    assert group_of(report["energy"][0] | {"kind": "literature"}) == "literature"


def test_demo_key_never_proves(report: dict[str, Any]) -> None:
    status, text = verdicts(report)[3]
    assert status == "caution"
    assert text.startswith("Demo key, proves nothing.")
    report["watermark"]["backends"][0]["verdict"] = "not proven (demo key, proves nothing)"
    status, text = verdicts(report)[3]
    assert status == "fails"
    assert text.startswith("Demo key, proves nothing. The test passes on 1 of 2 backends")


def real_key(report: dict[str, Any]) -> list[dict[str, Any]]:
    mark = report["watermark"]
    for result in mark["backends"]:
        result["verdict"] = "proven"
    for result in mark["controls"]:
        result["verdict"] = "not proven"
    return [*mark["backends"], *mark["controls"]]


def test_ownership_holds_with_a_real_key(report: dict[str, Any]) -> None:
    real_key(report)
    assert verdicts(report)[3][0] == "holds"


def test_ownership_fails_if_a_clean_model_is_claimed(report: dict[str, Any]) -> None:
    real_key(report)[-1]["verdict"] = "proven"
    status, text = verdicts(report)[3]
    assert status == "fails"
    assert "1 of 1 clean" in text


def test_ownership_needs_both_figures_and_every_backend(report: dict[str, Any]) -> None:
    results = real_key(report)
    results[0]["key_level"] = None
    assert verdicts(report)[3][0] == "caution"
    results[1]["verdict"] = "not proven"
    assert verdicts(report)[3][0] == "fails"
    report["watermark"] = None
    assert verdicts(report)[3][0] == "not tested"


def test_provenance_says_what_ran_on_hardware(report: dict[str, Any]) -> None:
    assert dict(provenance(report))["Run on hardware"] == "Nothing"  # type: ignore[arg-type]
    report["equivalence"][3]["mode"] = "hardware"
    facts = dict(provenance(report))  # type: ignore[arg-type]
    assert "lava 0.10.0" in facts["Run on hardware"]
    assert "lava" not in facts["Simulated"]
