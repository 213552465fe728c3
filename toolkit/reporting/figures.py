"""Figures as inline SVG, drawn by hand: they follow the page's colours, print sharp and need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolkit.reporting.markup import Markup, el
from toolkit.reporting.schema import Interval
from toolkit.reporting.units import NO_FIGURE, clean, compact, si, sides

WIDTH = 720
LEFT = 206  # room for names
RIGHT = 178  # room for figures
PLOT = WIDTH - LEFT - RIGHT
ROW = 30
BAR = 14
AXIS = 26
MARK = 22  # room for the name of a reference line

_Scale = Callable[[float], float]


@dataclass(frozen=True)
class Bar:
    """One horizontal bar: ``value`` in axis units, ``text`` beside it, ``whisker`` an interval."""

    name: str
    value: float
    text: str
    kind: str = ""
    whisker: tuple[float, float] | None = None
    mark: float | None = None


@dataclass(frozen=True)
class IntervalRow:
    """One row of the logarithmic chart; a side that is None is open."""

    name: str
    interval: Interval


@dataclass(frozen=True)
class Panel:
    """Rows that may be read against each other; a ``convention`` panel is set apart visibly."""

    title: str
    rows: Sequence[IntervalRow]
    convention: bool = False


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    maximum: float,
    ticks: Sequence[tuple[float, str]],
    lines: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Horizontal bars from zero to ``maximum``, with named reference lines across all of them."""
    top = 6 + MARK * len(lines)
    bottom = top + ROW * len(bars)

    def x(value: float) -> float:
        return LEFT + PLOT * value / maximum

    parts = [_tick(x(value), top, bottom, text) for value, text in ticks]
    parts += [_bar(bar, top + ROW * i, x) for i, bar in enumerate(bars)]
    parts += [_reference(x(value), 6 + MARK * i, bottom, text) for i, (value, text) in enumerate(lines)]
    described = "; ".join([f"{bar.name}: {bar.text}" for bar in bars] + [text for _, text in lines])
    return _svg(title, described, bottom + AXIS, parts)


def interval_chart(title: str, panels: Sequence[Panel], unit: str) -> Markup:
    """Low to high on a logarithmic axis, nominal marked; a missing side is an open arrow, not an end."""
    rows = [row for panel in panels for row in panel.rows]
    values = [value for row in rows for value in sides(row.interval) if value]
    first = math.floor(math.log10(min(values, default=1e-6)))
    last = max(first + 1, math.ceil(math.log10(max(values, default=1.0)) + 0.15))

    def x(value: float) -> float:
        decade = math.log10(value) if value > 0 else first
        return LEFT + PLOT * (decade - first) / (last - first)

    height = sum(30 + ROW * len(panel.rows) + 10 for panel in panels)
    step = max(1, math.ceil((last - first) / 6))
    parts = [_tick(x(10.0**k), 4, height, si(10.0**k, unit)) for k in range(first, last + 1, step)]
    y = 0
    for panel in panels:
        parts.append(_panel(panel, y, x, unit))
        y += 30 + ROW * len(panel.rows) + 10
    described = "; ".join(f"{row.name}: {compact(row.interval, unit)}" for row in rows)
    return _svg(title, described, height + AXIS, parts)


def nice_maximum(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten at or above ``value``: an axis with readable ticks."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-12))


def _svg(title: str, described: str, height: float, parts: Sequence[Markup]) -> Markup:
    return el(
        "svg",
        el("title", title),
        el("desc", described),
        parts,
        class_="figure",
        viewBox=f"0 0 {WIDTH} {height:g}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=title,
    )


def _text(x: float, y: float, text: str, class_: str, anchor: str = "start") -> Markup:
    return el("text", text, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def _tick(x: float, top: float, bottom: float, text: str) -> Markup:
    line = el("line", class_="grid", x1=x, x2=x, y1=top, y2=bottom)
    return el("g", line, _text(x, bottom + 17, text, "tick", "middle"))


def _name(name: str, y: float) -> Markup:
    """A row's name; ``device: network`` takes two lines. The full text is in the tooltip."""
    head, _, tail = clean(name).partition(": ")
    middle = y + ROW / 2
    first = _text(LEFT - 10, middle + (-1.5 if tail else 4.5), _short(head, 26), "name", "end")
    second = _text(LEFT - 10, middle + 10.5, _short(tail, 32), "detail", "end") if tail else None
    return el("g", el("title", name), first, second)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit // 2 - 1) :]}"


def _bar(bar: Bar, y: float, x: _Scale) -> Markup:
    middle = y + ROW / 2
    parts = [
        _name(bar.name, y),
        el(
            "rect",
            el("title", f"{clean(bar.name)}: {bar.text}"),
            class_=f"bar {bar.kind}".strip(),
            x=LEFT,
            y=middle - BAR / 2,
            width=x(bar.value) - LEFT,
            height=BAR,
            data_name=bar.name,
        ),
    ]
    if bar.whisker is not None:
        low, high = (x(value) for value in bar.whisker)
        path = f"M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8"
        parts.append(el("path", class_="whisker", d=path))
    if bar.mark is not None:
        at = x(bar.mark)
        parts.append(el("line", class_="limit", x1=at, x2=at, y1=middle - 10, y2=middle + 10))
    parts.append(_text(WIDTH - RIGHT + 12, middle + 4.5, bar.text, "value"))
    return el("g", parts)


def _reference(x: float, y: float, bottom: float, text: str) -> Markup:
    side, anchor = (-6, "end") if x > LEFT + PLOT / 2 else (6, "start")
    line = el("line", class_="reference", x1=x, x2=x, y1=y + 4, y2=bottom)
    return el("g", line, _text(x + side, y + 13, text, "reference-name", anchor))


def _panel(panel: Panel, y: float, x: _Scale, unit: str) -> Markup:
    parts = []
    if panel.convention:
        high = 30 + ROW * len(panel.rows) + 4
        parts.append(el("rect", class_="convention", x=1, y=y + 4, width=WIDTH - 2, height=high, rx=6))
    parts.append(_text(10, y + 22, panel.title, "panel"))
    for i, row in enumerate(panel.rows):
        parts.append(_interval(row, y + 30 + ROW * i, x, unit))
    return el("g", parts, class_="outside" if panel.convention else None)


def _interval(row: IntervalRow, y: float, x: _Scale, unit: str) -> Markup:
    low, nominal, high = sides(row.interval)
    known = [x(value) for value in (low, nominal, high) if value is not None]
    middle = y + ROW / 2
    parts = [_name(row.name, y)]
    if not known:
        parts.append(_text(LEFT + PLOT / 2, middle + 4.5, NO_FIGURE, "none", "middle"))
        return el("g", parts)
    left, right = min(known), max(known)
    span = el("rect", class_="span", x=left, y=middle - 4, width=right - left, height=8, data_name=row.name)
    parts.append(span)
    parts.append(_end(right, middle, 1, open_=high is None))
    parts.append(_end(left, middle, -1, open_=low is None))
    if nominal is not None:
        parts.append(el("circle", class_="nominal", cx=x(nominal), cy=middle, r=5))
    parts.append(_text(WIDTH - RIGHT + 12, middle + 4.5, compact(row.interval, unit), "value"))
    return el("g", parts)


def _end(x: float, y: float, direction: int, *, open_: bool) -> Markup:
    """A closed end is a stroke; an open one runs on as a dashed arrow: nobody knows how far."""
    if not open_:
        return el("line", class_="end", x1=x, x2=x, y1=y - 7, y2=y + 7)
    tip = min(x + 46, LEFT + PLOT) if direction > 0 else max(x - 46, LEFT)
    back = tip - 7 * direction
    shaft = el("line", class_="open", x1=x, x2=back, y1=y, y2=y)
    head = el("path", class_="arrow", d=f"M{back:.1f} {y - 5}L{tip:.1f} {y}L{back:.1f} {y + 5}z")
    return el("g", shaft, head)
