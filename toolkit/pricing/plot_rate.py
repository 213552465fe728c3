"""Energy against the mean firing rate, with the rate at which a dense network would cost as little."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.pricing.schema import Baseline, RateCurve
from toolkit.reporting.schema import Energy, Interval
from toolkit.reporting.summary import group_of
from toolkit.reporting.units import clean, compact, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SIDES = ("low", "nominal", "high")
FEW = 4  # panels that are all drawn; of more, only those with a crossing
CAPTION = (
    "Dashed curve with arrows: a lower bound, so that a crossing lies at that rate at most. Dense networks that are "
    "lower bounds themselves are not drawn where others have both sides. Grey: from low to high. Marks: where the "
    "curve meets a dense network; a bar between marks: anywhere between, by figures that are not known better."
)


def rate_figure(curves: Sequence[RateCurve], energy: Sequence[Energy] = ()) -> Figure | None:
    """Panels of two a row; of more than four profiles those with a crossing between 0 and 1. None without any.

    Args:
        energy: the entries of the same profiles, for what kind of figure each is.
    """
    from matplotlib.figure import Figure

    drawn = [curve for curve in curves if any(value for side in curve["joules"].values() for value in side)]
    shown = [curve for curve in drawn if any(map(crosses, curve["baselines"]))] if len(drawn) > FEW else drawn
    if not shown:
        return None
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(6.2 * columns + 0.6, 3.1 * lines + 2.4), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    groups = {entry["profile"]: group_of(entry) for entry in energy}
    for axes, curve in zip(panels, shown, strict=False):
        _panel(axes, curve, groups.get(curve["profile"]) == "all_in")
    for axes in panels[len(shown) :]:
        axes.axis("off")
    left_out = [clean(curve["profile"]) for curve in drawn if curve not in shown]
    _legend(figure, shown[0], left_out, 95 * columns)
    figure.suptitle("Estimated energy of one inference against the mean firing rate of the inputs", fontsize=11)
    return figure


def crosses(baseline: Baseline) -> bool:
    """Whether some side of the crossing lies within the axis."""
    return any(value is not None and 0 < value <= 1 for value in _sides(baseline["rate"]))


def crossing_words(rate: Interval) -> str:
    """A crossing as far as it is known: ``4 %``, ``2 % to 4 %``, ``at most 4 %``, ``at least 2 %``, never, always.

    Low is the worst case for the chip and high the best, so that a lone high side bounds it from above.
    """
    low, nominal, high = _sides(rate)
    if high == 0:
        return "never pays: silent, it costs more"
    if low is not None and low >= 1:
        return "pays at any rate"
    if nominal is not None:
        return _at(nominal)
    if low is not None and high is not None:
        return f"between {_at(low)} and {_at(high)}"
    if high is not None and high <= 1:
        return f"at most {_at(high)}"
    return "not known: one side alone is public" if low is None else f"at least {_at(low)}"


def _at(rate: float) -> str:
    return percent(rate) if rate <= 1 else "beyond 100 %"


def _sides(rate: Interval) -> tuple[float | None, float | None, float | None]:
    return rate["low"], rate["nominal"], rate["high"]


def _panel(axes: Axes, curve: RateCurve, all_in: bool) -> None:
    rates = np.array(curve["rates"])
    low, nominal, high = (_array(curve["joules"].get(side), len(rates)) for side in SIDES)
    bound = bool(np.isnan(nominal).all())
    main = low if bound else nominal
    if np.isfinite(high).any():
        axes.fill_between(rates, low, high, color="#bbbbbb", alpha=0.5, linewidth=0)
    axes.plot(rates, main, color="black", linestyle="--" if bound else "-", linewidth=1.4)
    if np.isnan(high).all():
        _arrows(axes, rates, main)
    axes.axvline(curve["measured_rate"], color="black", linestyle=":", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlim(0, rates[-1])
    for colour, baseline in zip(COLOURS, curve["baselines"], strict=False):
        _baseline(axes, colour, baseline)
    axes.set_xlabel("spikes per neuron and step", fontsize=8)
    axes.set_ylabel("J", fontsize=8)
    axes.tick_params(labelsize=7)
    kind = "\nan all-in figure: holds near its own operating point, see the profile" if all_in else ""
    axes.set_title(f"{clean(curve['profile'])}{kind}", loc="left", fontsize=8, fontweight="bold")
    axes.legend(fontsize=7, loc="lower right", title="crossing, of each colour", title_fontsize=7, framealpha=0.85)


def _array(values: Sequence[float | None] | None, size: int) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values or [None] * size], float)


def _arrows(axes: Axes, rates: NDArray[np.float64], main: NDArray[np.float64]) -> None:
    """Upwards from a lower bound: the high side is not known."""
    for i in range(3, len(rates), 2):
        if main[i] > 0:
            axes.annotate("", (rates[i], main[i] * 2), (rates[i], main[i]), arrowprops={"arrowstyle": "->"})


def _baseline(axes: Axes, colour: str, baseline: Baseline) -> None:
    """A line at the joules of a dense network, marks at the known sides of the crossing."""
    joules = baseline["joules"]
    level = joules["nominal"] or joules["low"] or joules["high"]
    if not level:
        return
    if joules["low"] and joules["high"]:
        axes.axhspan(joules["low"], joules["high"], color=colour, alpha=0.12, linewidth=0)
    axes.axhline(level, color=colour, linewidth=1.2)
    low, nominal, high = _sides(baseline["rate"])
    places = [rate for rate in ([nominal] if nominal is not None else [low, high]) if rate is not None]
    within = [min(rate, 1.0) for rate in places] if crosses(baseline) else []
    words = crossing_words(baseline["rate"])
    axes.plot(within, [level] * len(within), marker="o", markersize=6, color=colour, linewidth=3, zorder=4, label=words)


def _legend(figure: Figure, curve: RateCurve, left_out: Sequence[str], width: int) -> None:
    """What is the same in all panels: colours, lines, what is left out."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colour, label=f"{clean(one['profile'])}: {compact(one['joules'], 'J')}")
        for colour, one in zip(COLOURS, curve["baselines"], strict=False)
    ]
    lines.append(Line2D([], [], color="black", linestyle=":", label=f"this run: {percent(curve['measured_rate'])}"))
    words = CAPTION + (f" Not drawn, no crossing between 0 and 100 %: {', '.join(left_out)}." if left_out else "")
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=2 if width > 100 else 1,
        fontsize=8,
        frameon=False,
        title=fill(words, width),
        title_fontsize=8,
    )
