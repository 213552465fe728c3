"""What an estimate says beside its joules: which constant moves it, as what attention runs, what would fit."""

from __future__ import annotations

import copy
import re
from html import unescape
from typing import Any

import pytest

from toolkit.errors import SpikeportError
from toolkit.reporting import render_html, validate


@pytest.fixture
def told(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the fields on its first chip."""
    chip = report["energy"][0]
    joules = {"low": 7.5e-5, "nominal": None, "high": None, "reason": "published as a minimum"}
    known = {"low": 5.2e-7, "nominal": 6.1e-7, "high": 8.1e-7, "reason": ""}
    chip["sensitivity"] = [
        {"constant": "synaptic_event", "term": "synapse", "joules": joules, "moves": None, "share": 0.99},
        {"constant": "neuron_update_active", "term": "neuron", "joules": known, "moves": 2.9e-7, "share": 0.01},
    ]
    chip["attention"] = "runs on 24,576 more neurons: threshold gates"
    chip["fits"] = False
    change = "one chip holds 18 tokens, 14 fewer; 2 chips hold it"
    chip["placement"] = {"advice": f"216 cores for 32 tokens, 128 a chip; {change}", "change": change}
    return report


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_page_shows_them(told: dict[str, Any]) -> None:
    text = words(render_html(told))
    assert "Attention on this chip: runs on 24,576 more neurons: threshold gates." in text
    assert "Smallest change that fits: one chip holds 18 tokens, 14 fewer; 2 chips hold it." in text
    table = text[text.index("Which constant moves the total of loihi1 most") :]
    assert table.index("synaptic event") < table.index("neuron update active")
    assert "one side is not public" in table and "290 nJ" in table


def test_the_answer_at_the_top_stays_short(told: dict[str, Any]) -> None:
    """The limit that binds belongs there; the list of what would fit stands in the section on cost."""
    text = words(render_html(told))
    top = text[: text.index("Smallest change")]
    assert "DOES NOT FIT: 216 cores for 32 tokens, 128 a chip" in top
    assert top.count("one chip holds 18 tokens") <= 1  # the section's own table of sizes


def test_they_may_be_absent_and_are_checked_where_present(told: dict[str, Any]) -> None:
    validate(told)
    for field in ("sensitivity", "attention", "placement"):
        without = copy.deepcopy(told)
        del without["energy"][0][field]
        validate(without)
    for field, wrong in (("sensitivity", "synapse"), ("attention", 3), ("placement", [])):
        spoilt = copy.deepcopy(told)
        spoilt["energy"][0][field] = wrong
        with pytest.raises(SpikeportError, match=rf"energy\[0\]\.{field}"):
            validate(spoilt)
    spoilt = copy.deepcopy(told)
    spoilt["energy"][0]["sensitivity"][1]["share"] = -1.0
    with pytest.raises(SpikeportError, match=r"sensitivity\[1\]\.share"):
        validate(spoilt)
