"""Plots: the numbers that they are given stand on their axes, and what is unknown is said to be."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import pytest

from simulators.activity import Activity, NodeActivity
from simulators.baselines import crossover, energy_curve, rates
from toolkit.errors import MissingComponentError
from toolkit.pricing import plots
from toolkit.pricing.plot_breakdown import MOST, breakdown_figure
from toolkit.pricing.plot_labels import FONT, overlap, place_labels
from toolkit.pricing.plot_latency import latency_figure
from toolkit.pricing.plot_rate import crossing_words, rate_figure

matplotlib = pytest.importorskip("matplotlib")
UNKNOWN = (None, None, None)
Sides = tuple[float | None, float | None, float | None]


def interval(sides: Sides) -> Any:
    return dict(zip(("low", "nominal", "high"), sides, strict=True)) | {
        "reason": "" if None not in sides else "unknown"
    }


def entry(profile: str, joules: Sides, seconds: Sides = UNKNOWN, basis: str = "marginal", **terms: Sides) -> Any:
    return {
        "profile": profile,
        "basis": basis,
        "joules": interval(joules),
        "seconds": interval(seconds),
        "breakdown": {name: interval(sides) for name, sides in (terms or {"synapse": joules}).items()},
        "unpriced": [],
        "cores": 1,
        "chips": 1,
        "fits": True,
        "grade": "P",
    }


def curve(profile: str, level: float, rate: Sides, low_only: bool = False) -> Any:
    """Joules 1 + 9 r, so that a level of 5.5 is met at a rate of 0.5."""
    at = [0.0, 0.25, 0.5, 1.0]
    line = [1 + 9 * r for r in at]
    upper = [None] * 4 if low_only else line
    baseline = {"profile": "gpu: dense", "joules": interval((level, level, level)), "rate": interval(rate)}
    joules = {"low": line, "nominal": upper, "high": upper}
    return {"profile": profile, "rates": at, "joules": joules, "measured_rate": 0.1, "baselines": [baseline]}


def test_the_rate_plot_marks_the_crossing_where_the_lines_meet() -> None:
    figure = rate_figure([curve("a", 5.5, (0.5, 0.5, 0.5))])
    assert figure is not None
    (axes,) = (a for a in figure.axes if a.axison)
    (mark,) = (line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()))
    ((x,), (y,)) = mark.get_data()
    assert (x, y) == (0.5, 5.5) and 1 + 9 * x == y
    spiking = axes.lines[0]
    assert list(spiking.get_xdata()) == [0, 0.25, 0.5, 1] and list(spiking.get_ydata()) == [1, 3.25, 5.5, 10]
    assert mark.get_label() == "50.0 %"


def test_many_profiles_keep_those_that_cross_and_name_the_others() -> None:
    crossing = [curve(f"c{i}", 5.5, (None, None, 0.5), low_only=True) for i in range(5)]
    figure = rate_figure([*crossing, curve("beyond", 19.0, (None, None, 2.0), low_only=True)])
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == [f"c{i}" for i in range(5)]
    assert "0 and 100 %: beyond" in figure.legends[0].get_title().get_text().replace("\n", " ")
    labels = [text.get_text() for axes in figure.axes if axes.axison for text in axes.get_legend().get_texts()]
    assert labels == ["at most 50.0 %"] * 5


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ((0.2, 0.3, 0.4), "30.0 %"),
        ((0.02, None, 0.04), "between 2.0 % and 4.0 %"),
        ((None, None, 0.04), "at most 4.0 %"),
        ((0.02, None, None), "at least 2.0 %"),
        ((None, None, 7.0), "not known: one side alone is public"),
        (UNKNOWN, "not known: one side alone is public"),
        ((None, None, 0.0), "never pays: silent, it costs more"),
        ((1.5, None, 3.0), "pays at any rate"),
        ((0.5, None, 3.0), "between 50.0 % and beyond 100 %"),
    ],
)
def test_a_crossing_in_words(sides: Sides, words: str) -> None:
    assert crossing_words(interval(sides)) == words


def test_a_crossing_by_hand() -> None:
    """2 J + 3 J a spike: 40 of 100 products happen at a rate of 0.4, and 62 J are met at 20 spikes, a rate of 0.2."""
    weight = NodeActivity("w", "synapse", weights=100, synapses=100, synops=40, dense_macs=100, messages=40)
    run = Activity(1, 1, 1, (weight, NodeActivity("n", "neuron", neurons=1)))

    def price(counts: Activity) -> Any:
        from hw_profiles import Interval

        joules = Interval.point(2.0 + 3.0 * counts.nodes[0].synops)
        return type("Estimate", (), {"joules": joules, "profile": "dense"})()

    class Dense:
        profile = "dense"
        joules = price(rates.scaled(run, 0.5)).joules

    found = crossover(energy_curve(run, price), Dense())  # type: ignore[arg-type]
    assert Dense.joules.nominal == 62
    assert found.rate.nominal == pytest.approx(0.2) and found.measured == pytest.approx(0.4)


def test_the_breakdown_holds_shares_and_bounds() -> None:
    known = entry("chip", (2.0, 4.0, 6.0), synapse=(1.0, 3.0, 4.0), neuron=(1.0, 1.0, 2.0))
    bound = entry("bound", (2.0, None, None))
    figure = breakdown_figure([known, bound])
    assert figure is not None
    bars = [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]
    assert bars == [(0.0, 0.75), (0.75, 0.25), (0.0, 1.0)]
    first, *_ = figure.axes[0].lines
    assert list(first.get_xdata()) == [0.5, 1.5] and figure.axes[0].get_xlim() == (0, MOST)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "4 J [2 J – 6 J]" in texts and "≥ 2 J" in texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["synapse", "neuron"]


def test_of_many_bars_those_of_a_single_term_are_left_out_and_counted() -> None:
    single = [entry(f"one{i}", (1.0, 1.0, 1.0), basis="device") for i in range(12)]
    double = entry("two", (2.0, 2.0, 2.0), basis="device", static=(1.0, 1.0, 1.0), memory=(1.0, 1.0, 1.0))
    figure = breakdown_figure([*single, double])
    assert figure is not None and "12 of a single term left out" in figure.axes[0].get_title(loc="left")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["two"]


def test_the_latency_plot_has_a_point_for_each_pair_of_figures() -> None:
    entries = [
        entry("a", (1e-6, 2e-6, 4e-6), (1e-3, 1e-3, 2e-3)),
        entry("b", (3e-6, None, None), (5e-3, None, None)),
        entry("no time", (3e-6, None, None)),
    ]
    figure = latency_figure(entries)
    assert figure is not None
    points = [line.get_data() for line in figure.axes[0].lines if line.get_marker() not in ("none", "None")]
    assert [(x[0], y[0]) for x, y in points] == [(1e-3, 2e-6), (5e-3, 3e-6)]
    key = figure.axes[1].texts[0].get_text()
    assert "1  a" in key and "2  b" in key and "no latency or energy: 1 rows" in key


def test_labels_of_crowded_points_do_not_overlap() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=72)
    axes = figure.subplots()
    points = [(0.5 + 0.03 * i, 0.5 + 0.02 * (i % 2)) for i in range(5)]
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    place_labels(axes, points, [str(i) for i in range(5)])
    boxes = []
    for text, point in zip(axes.texts, points, strict=True):
        x, y = axes.transData.transform(point) + text.xyann
        boxes.append((x, y, x + 0.5 * FONT, y + 0.7 * FONT))
    assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))


def test_a_label_at_the_border_stays_inside_the_axes() -> None:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6, 4), dpi=72).subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    place_labels(axes, [(1.0, 1.0), (0.0, 0.0)], ["36, 38, 40", "1-9"])
    room = axes.get_window_extent()
    for text in axes.texts:
        x, y = axes.transData.transform(text.xy) + text.xyann
        assert room.x0 <= x <= x + 0.5 * FONT * len(text.get_text()) <= room.x1
        assert room.y0 <= y <= y + 0.7 * FONT <= room.y1


def test_files_are_written_in_both_formats_and_need_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    record: Any = {"energy": [entry("a", (1.0, 2.0, 3.0), (1.0, 1.0, 1.0))], "rate_curves": []}
    files = plots.plot_files(record)
    assert sorted(files) == ["breakdown.png", "breakdown.svg", "latency.png", "latency.svg"]
    assert files["latency.png"].startswith(b"\x89PNG") and b"<svg" in files["breakdown.svg"]
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingComponentError, match="pip install") as refused:
        plots.require_matplotlib()
    assert refused.value.exit_status == 3
