"""Figures of the page: hits against what unmarked models answer, and what attacks leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.reporting.figures import Bar, bar_chart
from toolkit.reporting.markup import Markup, el
from toolkit.reporting.units import clean, percent

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 28, 46
COLOURS = {"words": "#0072B2", "combination": "#D55E00", "accuracy": "#009E73"}  # Okabe and Ito's
MARKS = {"words": "circle", "combination": "square", "accuracy": "diamond"}
TICKS = [(k / 4, f"{25 * k} %") for k in range(5)]


def hits_chart(entries: Sequence[dict[str, Any]]) -> Markup:
    """A bar for each test, and beneath it one for each unmarked model on the same queries; a stroke at p0."""
    bars = []
    for entry in entries:
        need = entry["hits_needed"]
        needed = "" if need is None else f", {need} needed"
        text = f"{entry['hits']} of {entry['queries']}{needed}"
        bars.append(Bar(f"{entry['backend']}: {entry['kind']}", entry["wesr"], text, "", mark=entry["p0"]))
    shown = {entry["kind"]: entry for entry in entries}
    for kind, entry in shown.items():
        for model in entry["clean_models"]:
            share, limit = model["hits"] / model["queries"], model["limit"]
            text = f"{model['hits']} of {model['queries']}, ≤ {percent(limit)}"
            bars.append(Bar(f"{model['name']}: {kind}", share, text, "other", mark=limit))
    return bar_chart("Answers with the key's label", bars, 1.0, TICKS)


def attack_chart(curve: dict[str, Any]) -> Markup:
    """WESR over all carriers for each kind of trigger, and accuracy, against the strength."""
    points = curve["points"]
    places = [LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / len(points) for i in range(len(points))]
    series: dict[str, list[float]] = {
        kind: [_share(point["kinds"][kind]) for point in points if kind in point["kinds"]]
        for kind in points[0]["kinds"]
    }
    series["accuracy"] = [point["accuracy"] for point in points]
    parts = [_grid(share, words) for share, words in TICKS]
    for place, point in zip(places, points, strict=True):
        parts.append(_text(place, HEIGHT - BOTTOM + 16, f"{point['strength']:g}", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, clean(curve["dial"]), "middle", 10))
    for name, values in series.items():
        parts += _line(name, places[: len(values)], values)
    parts += _key(list(series))
    title = f"{clean(curve['attack'])}: WESR and accuracy"
    return el(
        "svg", el("title", title), el("desc", _described(curve, series)), parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH, height=HEIGHT, role="img", class_="figure",
    )  # fmt: skip


def _share(left: dict[str, Any]) -> float:
    return float(left["all_hits"] / left["all_queries"]) if left["all_queries"] else 0.0


def _y(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _grid(share: float, words: str) -> Markup:
    line = el("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=_y(share), y2=_y(share))
    return el("g", line, _text(LEFT - 6, _y(share) + 4, words, "end", 10))


def _line(name: str, places: Sequence[float], values: Sequence[float]) -> list[Markup]:
    path = " ".join(f"{x:.1f},{_y(value):.1f}" for x, value in zip(places, values, strict=True))
    dash = "5 4" if name == "accuracy" else None
    parts = [el("polyline", points=path, fill="none", stroke=COLOURS[name], stroke_width=2, stroke_dasharray=dash)]
    return parts + [_mark(name, x, _y(v), f"{name} {percent(v)}") for x, v in zip(places, values, strict=True)]


def _mark(name: str, x: float, y: float, words: str) -> Markup:
    title, colour = el("title", words), COLOURS[name]
    if MARKS[name] == "circle":
        return el("circle", title, cx=x, cy=y, r=4, fill=colour)
    turn = f"rotate(45 {x:.1f} {y:.1f})" if MARKS[name] == "diamond" else None
    return el("rect", title, x=x - 4, y=y - 4, width=8, height=8, fill=colour, transform=turn)


def _key(names: Sequence[str]) -> list[Markup]:
    parts = []
    for i, name in enumerate(names):
        x = LEFT + i * 96.0
        parts += [_mark(name, x + 4, 12.0, name), _text(x + 13, 16, name, "start")]
    return parts


def _text(x: float, y: float, words: str, anchor: str, size: int = 11) -> Markup:
    return el("text", words, x=float(x), y=float(y), text_anchor=anchor, font_size=size, class_="tick")


def _described(curve: dict[str, Any], series: dict[str, list[float]]) -> str:
    strengths = ", ".join(f"{point['strength']:g}" for point in curve["points"])
    told = "; ".join(f"{name} {', '.join(percent(v) for v in values)}" for name, values in series.items())
    return f"Strength {strengths}. {told}."
