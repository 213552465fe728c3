"""Geometry of the SVG figures, worked out here from the values alone."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from toolkit.reporting.figures import Bar, IntervalRow, Panel, bar_chart, interval_chart, nice_maximum

Interval = Any


def interval(low: float | None, nominal: float | None = None, high: float | None = None) -> Interval:
    return {"low": low, "nominal": nominal, "high": high}


def of_class(svg: str, name: str) -> list[ET.Element]:
    return [e for e in ET.fromstring(svg).iter() if name in (e.get("class") or "").split()]


def number(element: ET.Element, attribute: str) -> float:
    return float(element.attrib[attribute])


def test_bar_lengths_are_proportional_from_zero() -> None:
    values = [0.9174, 0.8188, 0.25, 0.0]
    bars = [Bar(f"form {i}", value, "text") for i, value in enumerate(values)]
    ticks = [(0.0, "0 %"), (1.0, "100 %")]
    svg = bar_chart("Accuracy", bars, 1.0, ticks, [(0.7936, "naive Bayes 79.4 %")])
    drawn = of_class(svg, "bar")
    zero, full = (number(line, "x1") for line in of_class(svg, "grid"))
    assert [number(rect, "x") for rect in drawn] == [zero] * 4
    for rect, value in zip(drawn, values, strict=True):
        assert number(rect, "width") / (full - zero) == pytest.approx(value, abs=1e-4)
    (line,) = of_class(svg, "reference")
    assert (number(line, "x1") - zero) / (full - zero) == pytest.approx(0.7936, abs=1e-4)


def test_intervals_lie_on_a_logarithmic_axis() -> None:
    rows = [IntervalRow("a", interval(1e-6, 1e-5, 1e-3)), IntervalRow("b", interval(2e-6, None, 7e-6))]
    svg = interval_chart("Energy", [Panel("chips", rows)], "J")
    a, b = of_class(svg, "span")
    decade = number(a, "width") / 3
    assert number(b, "width") == pytest.approx(decade * math.log10(3.5), abs=0.02)
    assert number(b, "x") - number(a, "x") == pytest.approx(decade * math.log10(2), abs=0.02)
    (dot,) = of_class(svg, "nominal")
    assert number(dot, "cx") - number(a, "x") == pytest.approx(decade, abs=0.02)
    assert len(of_class(svg, "end")) == 4 and not of_class(svg, "arrow")


def test_unknown_sides_are_arrows_and_unknown_rows_say_so() -> None:
    rows = [
        IntervalRow("bound", interval(1e-6)),
        IntervalRow("most", interval(None, None, 1e-2)),
        IntervalRow("none", interval(None)),
    ]
    svg = interval_chart("Energy", [Panel("chips", rows)], "J")
    right, left = of_class(svg, "open")
    assert number(right, "x2") > number(right, "x1")
    assert number(left, "x2") < number(left, "x1")
    assert len(of_class(svg, "end")) == 2
    assert [element.text for element in of_class(svg, "none")] == ["no public figure"]
    assert "≥ 1 µJ" in [element.text for element in of_class(svg, "value")]


def test_everything_drawn_stays_inside_the_picture() -> None:
    rows = [IntervalRow(f"r{k}", interval(10.0**k, None, 3 * 10.0**k)) for k in range(-12, 1)]
    rows.append(IntervalRow("open", interval(9.0)))
    svg = interval_chart(
        "Energy", [Panel("chips", rows), Panel("zero", [IntervalRow("z", interval(0.0, 0.0, 1.0))])], "J"
    )
    root = ET.fromstring(svg)
    width, height = number(root, "width"), number(root, "height")
    for element in root.iter():
        for key in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(key, 0)) <= width
        for key in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(key, 0)) <= height


def test_conventions_stand_apart() -> None:
    row = [IntervalRow("45 nm", interval(1e-6, 1e-6, 1e-6))]
    assert not of_class(interval_chart("E", [Panel("chips", row)], "J"), "convention")
    svg = interval_chart("E", [Panel("chips", row), Panel("papers", row, convention=True)], "J")
    (box,) = of_class(svg, "convention")
    top, bottom = number(box, "y"), number(box, "y") + number(box, "height")
    assert [top < number(dot, "cy") < bottom for dot in of_class(svg, "nominal")] == [False, True]


def test_a_figure_describes_itself() -> None:
    root = ET.fromstring(bar_chart("Firing <rate>", [Bar("q & k", 0.5, "50 %")], 1.0, []))
    assert root.get("role") == "img"
    assert root.findtext("title") == "Firing <rate>"
    assert root.findtext("desc") == "q & k: 50 %"


@pytest.mark.parametrize(
    ("value", "top"), [(0.112, 0.2), (0.2, 0.2), (0.021, 0.025), (0.3, 0.5), (7.0, 10.0), (0.0, 1.0)]
)
def test_axis_ends_at_a_readable_number(value: float, top: float) -> None:
    assert nice_maximum(value) == pytest.approx(top)
