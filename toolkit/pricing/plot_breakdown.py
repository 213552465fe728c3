"""What an inference's joules are made of, a bar for each profile, on a common axis of shares."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from toolkit.reporting.schema import Energy
from toolkit.reporting.summary import GROUP_TITLES, grouped
from toolkit.reporting.units import clean, compact, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "synapse": "#0072B2",
    "neuron": "#E69F00",
    "routing": "#009E73",
    "static": "#999999",
    "host_io": "#CC79A7",
    "memory": "#56B4E9",
    "arithmetic": "#D55E00",
    "mac": "#882255",
    "accumulate": "#F0E442",
}
OTHER = "#444444"
ROW, WIDTH, MOST = 0.42, 11.5, 2.5  # inches, inches, multiples of the bar that the axis shows
NAME = 40  # characters of a line of a profile's name
MANY = 12  # bars of a panel; of more, those of a single term are left out: the table has their figure


def breakdown_figure(energy: Sequence[Energy]) -> Figure | None:
    """A panel for each group; None where no profile has a figure.

    A bar is the nominal total, or the low sides of its terms where there is no nominal (hatched). Error bars
    run from low to high in multiples of it; an arrow stands where a side is not known or leaves the axis.
    """
    from matplotlib.figure import Figure

    known = [(group, [e for e in entries if _bar(e)]) for group, entries in grouped(list(energy))]
    panels = [(group, shown, len(bars) - len(shown)) for group, bars in known if (shown := _worth_a_bar(bars))]
    if not panels:
        return None
    sizes = [len(entries) + 0.9 for _, entries, _ in panels]
    figure = Figure(figsize=(WIDTH, ROW * sum(sizes) + 1.9), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=sizes)[:, 0]
    for panel, (group, entries, left_out) in zip(axes, panels, strict=True):
        _panel(panel, entries)
        more = f"; {left_out} of a single term left out, see energy.csv" if left_out else ""
        panel.set_title(f"{GROUP_TITLES[group]}{more}", loc="left", fontsize=9, fontweight="bold")
    axes[-1].set_xlabel(
        "share of the bar, which is the nominal total; hatched: a sum of low sides, a lower bound. Bars are not to be\n"
        "compared in length: the figure beside each is its size. Dashed arrow: no public bound; solid: beyond the axis"
    )
    _legend(figure, [entry for _, entries, _ in panels for entry in entries])
    figure.suptitle("Estimated energy of one inference: what it is made of", fontsize=11)
    return figure


def _worth_a_bar(bars: list[Energy]) -> list[Energy]:
    """All of them while they are few, else those of two terms or more; all again where none has two."""
    return [e for e in bars if len(bars) <= MANY or len(_bar(e)) > 1] or bars


def _bar(entry: Energy) -> dict[str, float]:
    """Joules by term: nominal where the total has one, else low."""
    side = "low" if entry["joules"]["nominal"] is None else "nominal"
    found = {term: interval[side] for term, interval in entry["breakdown"].items()}  # type: ignore[literal-required]
    return {term: value for term, value in found.items() if value}


def _panel(axes: Axes, entries: Sequence[Energy]) -> None:
    for y, entry in enumerate(entries):
        _stack(axes, y, entry)
        _error(axes, y, entry)
        axes.text(MOST * 1.03, y, compact(entry["joules"], "J"), va="center", fontsize=8)
    names = ["\n".join(wrap(clean(entry["profile"]), NAME)) for entry in entries]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.set_xlim(0, MOST)
    axes.spines[["top", "right"]].set_visible(False)


def _stack(axes: Axes, y: int, entry: Energy) -> None:
    parts = _bar(entry)
    whole, left = sum(parts.values()), 0.0
    hatch = "////" if entry["joules"]["nominal"] is None else None
    for term, value in parts.items():
        colour = COLOURS.get(term, OTHER)
        axes.barh(y, value / whole, left=left, height=0.62, color=colour, edgecolor="white", linewidth=0.4, hatch=hatch)
        left += value / whole


def _error(axes: Axes, y: int, entry: Energy) -> None:
    whole = sum(_bar(entry).values())
    sides = entry["joules"]["low"], entry["joules"]["high"]
    low, high = (None if value is None else value / whole for value in sides)
    start, end = 1.0 if low is None else low, min(1.0 if high is None else high, MOST * 0.97)
    axes.plot([start, end], [y, y], color="black", linewidth=1.2, zorder=3)
    if low is not None:
        axes.plot([low], [y], marker="|", color="black", markersize=9, zorder=3)
    if high is None or high > MOST:
        tip = end if high is not None else min(end + 0.35, MOST * 0.97)
        axes.annotate(
            "",
            (tip, y),
            (start, y),
            arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.2, "ls": "--" if high is None else "-"},
        )
    else:
        axes.plot([high], [y], marker="|", color="black", markersize=9, zorder=3)


def _legend(figure: Figure, energy: Sequence[Energy]) -> None:
    from matplotlib.patches import Patch

    terms = dict.fromkeys(term for entry in energy for term in _bar(entry))
    patches = [Patch(color=COLOURS.get(term, OTHER), label=label(term)) for term in terms]
    figure.legend(handles=patches, loc="outside lower center", ncols=max(len(patches), 1), fontsize=8, frameon=False)
