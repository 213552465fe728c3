"""The terminal report: fits 80 and 100 columns, words carry every status, foreign text stays text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from toolkit.errors import SpikeportError
from toolkit.reporting import print_report


def printed(report: dict[str, Any], width: int = 100, *, colour: bool = False) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width, no_color=not colour, force_terminal=colour))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_fits_the_terminal(report: dict[str, Any], width: int) -> None:
    assert max(cell_len(line) for line in printed(report, width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 100])
def test_figures_are_never_broken_across_lines(report: dict[str, Any], width: int) -> None:
    text = printed(report, width)
    for whole in (
        "0 mismatches",
        "of 7,340,032",
        "[98 µJ – 130 µJ]",
        "3.1 × 10⁻³⁷",
        "12 min 34 s",
        "no public figure",
    ):
        assert whole in text


def test_words_carry_the_status_without_colour(report: dict[str, Any]) -> None:
    text = printed(report)
    assert "\x1b" not in text
    for words in (
        "OK",
        "CAUTION",
        "ESTIMATE",
        "Run on hardware: Nothing",
        "demo key, proves nothing",
        "≥ 76 µJ",
        "barrier (× 132)",
        "Energy and latency: Speck publishes no energy per operation",
    ):
        assert words in text
    report["equivalence"][3]["logit_mismatches"] = 2
    assert "FAIL" in printed(report)
    assert "DIFFERS" in printed(report)


def test_differences_are_located(report: dict[str, Any]) -> None:
    entry = report["equivalence"][3]
    entry["spike_mismatches"] = entry["layers"][4]["mismatches"] = 7
    entry["first_difference"] = {"layer": "block0.attention", "step": 2}
    text = printed(report)
    assert "lava block0.attention: 7 mismatches of 1,048,576" in text
    assert "lava first difference: layer block0.attention, step 2" in text


def test_foreign_text_is_neither_markup_nor_escape_code(report: dict[str, Any]) -> None:
    report["sentences"][0]["text"] = "[bold]x[/bold] [/] \x1b[2Jy"
    text = printed(report)
    assert "[bold]x[/bold] [/] \ufffd[2Jy" in text
    assert "\x1b[2J" not in printed(report, colour=True)


def test_an_empty_report_prints_and_a_wrong_one_is_refused(report: dict[str, Any]) -> None:
    for name in ("equivalence", "energy", "left_out", "sentences", "activity"):
        report[name] = []
    report["watermark"] = None
    assert printed(report).count("NOT TESTED") == 3
    del report["environment"]["device"]
    with pytest.raises(SpikeportError, match=r"environment\.device"):
        printed(report)
