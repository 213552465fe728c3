"""The literature's formula on the published counts, against the published totals and arithmetic by hand."""

from __future__ import annotations

import json
import tomllib
from importlib import resources

import numpy as np
import pytest

from simulators.activity import Activity, NodeActivity
from simulators.baselines import published_cases, published_table, spiking_literature
from simulators.baselines.bert_count import bert_base, fitting_tokens
from simulators.baselines.published import PublishedCase

CASES = {(case.name, case.task.split(",")[0]): case for case in published_cases()}


def case(name: str, task: str) -> PublishedCase:
    return CASES[name, task]


def test_spikingformer_8_512_golden_case() -> None:
    """0.347329512 GMAC + 6.517540941 GAC = 7.463503 mJ; the rates are printed to six digits."""
    found = case("Spikingformer-8-512", "ImageNet")
    assert found.macs == 347_329_512
    assert found.accumulates == pytest.approx(6.517540941e9, rel=1e-6)
    assert found.joules == pytest.approx(7.463503e-3, rel=1e-6)
    assert abs(found.unexplained) < 1e-8


def test_spikingformer_accumulates_by_numpy() -> None:
    """The same sum as one dot product of a layer table: T * MAC + bias, times the rate."""
    text = resources.files("simulators.baselines").joinpath("published.toml").read_text(encoding="utf-8")
    entry = tomllib.loads(text)["rates"][0]
    blocks = np.array(entry["blocks"]) / 100
    n, d, f, t = 196, 512, 2048, 4
    linear = t * n * np.array([3 * d * d, d * d + d, d * f + f, f * d + d])
    attention = t * 8 * n * 64**2 * (np.minimum(blocks[:, 5], blocks[:, 6]) + blocks[:, 4])
    conv = t * 9 * np.array([64 * 128 * 112**2, 128 * 256 * 56**2, 256 * 512 * 28**2, 512 * 512 * 14**2])
    total = (blocks[:, :4] @ linear).sum() + attention.sum() + conv @ [0.258313, 0.153364, 0.131065, 0.129557]
    assert case("Spikingformer-8-512", "ImageNet").accumulates == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("task", "computed", "published", "unexplained", "gmac"),
    [
        ("MR", 24.246, 28.03, 3.784, 0.8226),
        ("SST-2", 24.714, 28.54, 3.826, 0.8317),
        ("ChnSenti", 25.623, 30.51, 4.887, 1.0624),
    ],
)
def test_spikebert(task: str, computed: float, published: float, unexplained: float, gmac: float) -> None:
    """26.94, 27.46 and 28.47 GSOP at 0.9 pJ by hand; the rest as multiply-accumulates at 4.6 pJ."""
    found = case("SpikeBERT", task)
    assert found.joules * 1e3 == pytest.approx(computed, abs=1e-9)
    assert found.published * 1e3 == pytest.approx(published)
    assert found.unexplained * 1e3 == pytest.approx(unexplained, abs=1e-9)
    assert found.unexplained_macs / 1e9 == pytest.approx(gmac, abs=1e-4)


def test_grades_of_unchecked_rows_are_shown() -> None:
    assert case("SpikeBERT", "MR").grade == "S"
    assert case("SpikeBERT", "SST-2").grade == case("SpikeBERT", "ChnSenti").grade == "M"
    assert "not checked" in case("SpikeBERT", "SST-2").source


def test_bert_is_priced_twice_its_multiply_accumulates() -> None:
    """12 layers of 4 N D^2 + 2 N D F + 2 N^2 D at N = 128: 11.17 GMAC, 51.4 mJ at 4.6 pJ; published 102.24."""
    found = case("BERT base", "MR")
    assert found.joules == pytest.approx(102.24e-3, rel=5e-4)
    macs = 12 * (4 * 128 * 768**2 + 2 * 128 * 768 * 3072 + 2 * 128**2 * 768) + 768**2 + 768 * 2
    assert bert_base(128).macs == macs
    assert 2 * macs == pytest.approx(22.23e9, rel=0.006)
    assert fitting_tokens(22.23e9, 2) in (127, 128)
    assert fitting_tokens(22.23e9, 1) > 200
    for words in ("11.17 GMAC", "51.4 mJ", "two per MAC"):
        assert words in found.note


def test_table_and_json_show_what_is_left_out() -> None:
    table = published_table()
    for words in ("28.03 mJ", "3.78 mJ", "0.82", "102.24 mJ", "7.463503 mJ", "leakage", "data movement", "host"):
        assert words in table
    entries = json.loads(json.dumps([found.to_dict() for found in published_cases()]))
    assert len(entries) == 6
    assert all(entry["left_out"] and entry["source"] and entry["grade"] for entry in entries)


def test_the_formula_on_a_run_names_what_it_leaves_out_with_counts() -> None:
    """SpikeBERT's 26.94 GSOP as a run's count give the same figure; the omissions carry the run's counts."""
    weight = NodeActivity("all.weight", "synapse", synops=26_940_000_000, bytes=7)
    neuron = NodeActivity("all", "neuron", 10, updates_active=5, updates_idle=35, bytes=480)
    result = spiking_literature(Activity(1, 4, 128, (weight, neuron), host_lookups=9))
    assert result.joules.nominal == pytest.approx(24.246e-3)
    left = {term.term: term.count for term in result.unpriced}
    assert left["memory"] == 487 and left["neuron updates"] == 40 and left["host"] == 9
    assert {"leakage", "normalisation", "residual adds", "data movement"} <= set(left)
