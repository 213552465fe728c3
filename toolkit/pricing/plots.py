"""Figures of a record: breakdown, energy against latency, energy against firing rate.

Colours are Okabe and Ito's, which the colour-blind tell apart; what is unknown is an arrow, not an end.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from toolkit.errors import MissingComponentError
from toolkit.pricing.schema import EnergyRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
NAMES = ("breakdown", "latency", "rate")
FILES = tuple(f"{name}.{ending}" for name in NAMES for ending in FORMATS)
DPI = 130


def require_matplotlib() -> None:
    """Raise MissingComponentError, with the command that installs it, where matplotlib is not there."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingComponentError(
            "plots: matplotlib is missing; pip install 'spikeport[plot]', or leave them out with --no-plots"
        ) from None


def plot_files(record: EnergyRecord) -> dict[str, bytes]:
    """Every plot of a record that has something to show, in both formats, by file name."""
    from toolkit.pricing.plot_breakdown import breakdown_figure
    from toolkit.pricing.plot_latency import latency_figure
    from toolkit.pricing.plot_rate import rate_figure

    require_matplotlib()
    draw: Mapping[str, Callable[[], Figure | None]] = {
        "breakdown": lambda: breakdown_figure(record["energy"]),
        "latency": lambda: latency_figure(record["energy"]),
        "rate": lambda: rate_figure(record.get("rate_curves", []), record["energy"]),
    }
    figures = {name: figure for name, make in draw.items() if (figure := make()) is not None}
    return {f"{name}.{ending}": _saved(figure, ending) for name, figure in figures.items() for ending in FORMATS}


def _saved(figure: Figure, ending: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=DPI, metadata={"Date": None} if ending == "svg" else None)
    return buffer.getvalue()
