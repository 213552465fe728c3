"""Tables in a terminal: nothing lost in folding, groups apart, no line wider than the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.toolkit.pricing.test_plots import UNKNOWN, entry
from toolkit.pricing.tables import tables_of
from toolkit.pricing.terminal import print_entries
from toolkit.reporting.gaps import gaps


def lacking(found: Any, *terms: tuple[str, float | None, str]) -> Any:
    return found | {"unpriced": [dict(zip(("term", "count", "reason"), term, strict=True)) for term in terms]}


def shown(energy: list[Any], width: int) -> str:
    stream = io.StringIO()
    print_entries(energy, Console(file=stream, width=width))
    return stream.getvalue()


def test_precisions_stand_side_by_side_and_what_has_no_figure_is_named() -> None:
    sizes = {"FP32": 4.0, "FP16": 2.0, "INT8": 1.0}
    energy = [entry(f"gpu: teacher (NAME's shape), {p}, dense", (j, j, j), basis="device") for p, j in sizes.items()]
    energy.append(entry("cpu: teacher (NAME's shape), FP32, dense", UNKNOWN, basis="device"))
    table, said = tables_of("device", energy)
    assert [list(column.cells) for column in table.columns[:4]] == [
        *([_text] for _text in map(_plain, ["gpu: teacher", "4 J", "2 J", "1 J"])),
    ]
    assert said == "No figure for this network: cpu"


def _plain(words: str) -> Any:
    from rich.text import Text

    return Text(words)


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_a_lower_bound_of_zero_is_no_figure(width: int) -> None:
    energy = [
        entry("a-chip-of-a-long-name-indeed", (0.0, None, None), (0.0, None, None)),
        entry("all-in", (1e-6, 2e-6, 3e-6), (1e-3, None, None), basis="all_in"),
        entry("cmos45-fp32: spiking network", (1e-6, 1e-6, 1e-6), basis="literature"),
    ]
    lines = shown(energy, width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "≥ 0" not in text and "not public" in text.replace("\n", " ")
    places = [text.index(word) for word in ("(marginal)", "all-in figure", "Literature convention")]
    assert places == sorted(places)


def test_a_gap_is_one_line_with_its_range_of_counts_and_its_group() -> None:
    term = ("weight load", None, "no figure")
    energy = [
        lacking(entry(name, (1.0, None, None)), (term[0], n, term[2]))
        for name, n in zip("abc", (1e3, 2e3, 4e3), strict=True)
    ]
    energy.append(entry("d", (1.0, 1.0, 1.0), basis="all_in"))
    (line,) = gaps(energy)
    assert line == "Not in the figures of all chips with per-operation prices: weight load (× 1 k to 4 k), no figure"
    (line,) = gaps([*energy, entry("e", (1.0, 1.0, 1.0))])
    assert "of a, b, c: weight load" in line
