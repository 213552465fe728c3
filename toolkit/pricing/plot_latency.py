"""Energy against latency, both logarithmic: a cross for each profile that has figures of both."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

from toolkit.pricing.plot_labels import place_labels
from toolkit.reporting.schema import Energy, Interval
from toolkit.reporting.summary import GROUP_TITLES, Group, group_of
from toolkit.reporting.units import clean, sides

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS: dict[Group, tuple[str, str]] = {
    "marginal": ("#0072B2", "o"),
    "all_in": ("#D55E00", "s"),
    "device": ("#009E73", "^"),
    "literature": ("#999999", "x"),
}
NEAR = 0.04  # decades within which points share a label
REACH = 1.7  # how far an arrow runs where a side is not known: a factor


def latency_figure(energy: Sequence[Energy]) -> Figure | None:
    """Intervals as crosses, numbered; None where no profile has both figures.

    A point is the nominal value, or the known side where there is none; an arrow says that a side is unknown.
    """
    from matplotlib.figure import Figure

    shown = [e for e in energy if _point(e["joules"]) and _point(e["seconds"])]
    if not shown:
        return None
    figure = Figure(figsize=(12, max(5.5, 0.19 * len(shown) + 1.6)), layout="constrained")
    axes, key = figure.subplots(1, 2, width_ratios=(1.6, 1))
    axes.set_xscale("log")
    axes.set_yscale("log")
    for entry in shown:
        _cross(axes, entry)
    axes.set_xlabel("latency of one inference (s)")
    axes.set_ylabel("energy of one inference (J)")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_title("Estimated energy against latency", loc="left", fontsize=11)
    axes.margins(0.06)
    _key(key, shown, sum(1 for e in energy if e not in shown))
    figure.draw_without_rendering()  # labels are placed in the final layout
    figure.set_layout_engine("none")
    _number(axes, shown)
    return figure


def _point(interval: Interval) -> float | None:
    """Nominal, else the known side; None, and no place on a logarithmic axis, for 0."""
    low, nominal, high = sides(interval)
    return nominal or low or high or None


def _cross(axes: Axes, entry: Energy) -> None:
    colour, marker = LOOKS[group_of(entry)]
    x, y = _point(entry["seconds"]) or 1.0, _point(entry["joules"]) or 1.0
    for interval, at, across in ((entry["seconds"], x, False), (entry["joules"], y, True)):
        for side in (interval["low"], interval["high"]):
            _arm(axes, (x, y), across, at, side, side is interval["low"], colour)
    axes.plot([x], [y], marker=marker, color=colour, markersize=7, zorder=3)


def _number(axes: Axes, shown: Sequence[Energy]) -> None:
    """The numbers of the key; points on top of each other share a label."""
    places: dict[tuple[float, float], list[int]] = {}
    for number, entry in enumerate(shown, start=1):
        x, y = _point(entry["seconds"]) or 1.0, _point(entry["joules"]) or 1.0
        near = (at for at in places if abs(log10(at[0] / x)) < NEAR and abs(log10(at[1] / y)) < NEAR)
        places.setdefault(next(near, (x, y)), []).append(number)
    place_labels(axes, list(places), [_runs(numbers) for numbers in places.values()])


def _runs(numbers: Sequence[int]) -> str:
    """``6-8, 11``: neighbours as a range."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(g[0]) if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups)


def _arm(
    axes: Axes, point: tuple[float, float], across: bool, at: float, side: float | None, lower: bool, colour: str
) -> None:
    """A line to a known side, an arrow outwards where it is not known."""
    end = side or (at / REACH if lower else at * REACH)
    tip = (point[0], end) if across else (end, point[1])
    look = {"arrowstyle": "-" if side else "->", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, point, arrowprops=look | ({} if side else {"linestyle": "--"}))
    axes.plot(*([value] for value in tip), marker="none")  # so that the axis reaches it


def _key(axes: Axes, shown: Sequence[Energy], missing: int) -> None:
    from matplotlib.lines import Line2D

    axes.axis("off")
    groups = list(dict.fromkeys(group_of(entry) for entry in shown))
    marks = [Line2D([], [], linestyle="none", color=LOOKS[g][0], marker=LOOKS[g][1], label=_title(g)) for g in groups]
    axes.legend(handles=marks, loc="lower left", fontsize=8, frameon=False, bbox_to_anchor=(-0.05, -0.02))
    lines = [f"{number}  {clean(entry['profile'])}" for number, entry in enumerate(shown, start=1)]
    lines += ["", "dashed arrow: that side is not public", "groups are not to be ranked against each other"]
    if missing:
        lines.append(f"not drawn, no latency or energy: {missing} rows")
    axes.text(-0.05, 1, "\n".join(lines), va="top", fontsize=8, transform=axes.transAxes)


def _title(group: Group) -> str:
    return GROUP_TITLES[group].partition(" (from")[0]
