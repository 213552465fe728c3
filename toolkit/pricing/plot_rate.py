"""Energy against the mean firing rate, with the rate at which a dense network would cost as little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.pricing.schema import Baseline, RateCurve
from toolkit.reporting.units import clean, percent, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SIDES = ("low", "nominal", "high")


def rate_figure(curves: Sequence[RateCurve]) -> Figure | None:
    """A panel for each profile; None without curves."""
    from matplotlib.figure import Figure

    shown = [curve for curve in curves if any(value for side in curve["joules"].values() for value in side)]
    if not shown:
        return None
    figure = Figure(figsize=(10, 3.6 * len(shown) + 0.6), layout="constrained")
    for axes, curve in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        _panel(axes, curve)
    figure.suptitle("Estimated energy against mean firing rate", fontsize=11)
    return figure


def crossing(rates: Sequence[float], joules: Sequence[float | None], target: float) -> float | None:
    """The first rate at which a piecewise linear curve reaches a target; None where it does not, or is unknown.

    0 where the curve starts at or above it.
    """
    if any(value is None or np.isnan(value) for value in joules):
        return None
    known = np.array(joules, float)
    if known[0] >= target:
        return 0.0
    above = np.flatnonzero(known >= target)
    if not above.size:
        return None
    i = int(above[0])
    return float(rates[i - 1] + (target - known[i - 1]) * (rates[i] - rates[i - 1]) / (known[i] - known[i - 1]))


def _panel(axes: Axes, curve: RateCurve) -> None:
    rates = np.array(curve["rates"])
    low, nominal, high = (_array(curve["joules"].get(side), len(rates)) for side in SIDES)
    main = low if np.isnan(nominal).all() else nominal
    axes.fill_between(rates, low, high, color="#bbbbbb", alpha=0.5, label="low to high")
    name = "lower bound (no nominal, no high)" if main is low else "nominal"
    axes.plot(rates, main, color="black", linestyle="--" if main is low else "-", label=f"spiking, {name}")
    if np.isnan(high).all():
        _arrows(axes, rates, main)
    for colour, baseline in zip(COLOURS, curve["baselines"], strict=False):
        _baseline(axes, curve, colour, baseline, main)
    measured = curve["measured_rate"]
    axes.axvline(measured, color="black", linestyle=":", linewidth=1, label=f"this run's rate, {percent(measured)}")
    axes.set_yscale("log")
    axes.set_xlim(0, rates[-1])
    axes.set_xlabel("mean firing rate of the inputs (spikes per neuron and step)")
    axes.set_ylabel("energy of one inference (J)")
    axes.set_title(clean(curve["profile"]), loc="left", fontsize=9, fontweight="bold")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _array(values: Sequence[float | None] | None, size: int) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values or [None] * size], float)


def _arrows(axes: Axes, rates: NDArray[np.float64], main: NDArray[np.float64]) -> None:
    """Upwards from a lower bound: the high side is not known."""
    for i in range(1, len(rates), 2):
        if main[i] > 0:
            axes.annotate("", (rates[i], main[i] * 2), (rates[i], main[i]), arrowprops={"arrowstyle": "->"})


def _baseline(axes: Axes, curve: RateCurve, colour: str, baseline: Baseline, main: NDArray[np.float64]) -> None:
    joules = baseline["joules"]
    level = joules["nominal"] or joules["low"] or joules["high"]
    if not level:
        return
    if joules["low"] and joules["high"]:
        axes.axhspan(joules["low"], joules["high"], color=colour, alpha=0.12)
    at = crossing(curve["rates"], list(main), level)
    words = f"; crossing at {percent(at)}" if at is not None else "; no crossing"
    axes.axhline(level, color=colour, linewidth=1.4, label=f"{clean(baseline['profile'])}, {si(level, 'J')}{words}")
    if at is not None:
        axes.plot([at], [level if at else main[0]], marker="o", markersize=7, color=colour, zorder=4)
