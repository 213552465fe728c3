"""Raster plots: which neuron fires in which step, a panel for each layer, one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulators.errors import RecordError
from simulators.record import Spikes, recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 8  # panels above each other before a further column
PANEL = (4.0, 1.6)  # inches
MANY = 1000  # points above which a vector file holds them as an image
POINTS_PER_INCH = 72


def raster(spikes: Mapping[str, Spikes], sample: int = 0, layers: Sequence[str] | None = None) -> Figure:
    """Draw one sample of a recorded run.

    A panel's horizontal axis is the time step, from 0; its vertical one the neuron, token by token upwards:
    token * C + channel, so that padded tokens leave a blank band on top. Each title gives the share of
    neurons and steps in which there is a spike.

    Args:
        spikes: bool (S, T, C, N) by layer (``SimulationResult.spikes``).
        sample: which of the S.
        layers: which layers, in this order; all of them by default.

    Raises:
        RecordError: no such sample or layer.
        ModuleNotFoundError: matplotlib is not installed; the message names the command.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "raster: matplotlib is missing; pip install 'spikeport[plot]'", name="matplotlib"
        ) from None
    chosen = _chosen(recorded(spikes), sample, layers)
    rows = min(len(chosen), ROWS)
    columns = -(-len(chosen) // ROWS)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).T.ravel()
    for axes, (name, x) in zip(panels, chosen.items(), strict=False):
        _panel(axes, name, x)
    for axes in panels[len(chosen) :]:
        axes.remove()
    figure.supxlabel("time step")
    figure.supylabel("neuron, token by token")
    return figure


def save_raster(path: Path, spikes: Mapping[str, Spikes], sample: int = 0, layers: Sequence[str] | None = None) -> None:
    """Draw :func:`raster` into a file; its ending says the format (png, pdf, svg).

    Raises:
        RecordError: no such sample or layer, or a format that cannot be written.
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure = raster(spikes, sample, layers)
    known = figure.canvas.get_supported_filetypes()
    if (ending := path.suffix[1:].lower()) not in known:
        raise RecordError(f"{path}: format {ending!r} cannot be written; choose one of {', '.join(sorted(known))}")
    figure.savefig(path)


def _chosen(
    spikes: Mapping[str, NDArray[np.bool_]], sample: int, layers: Sequence[str] | None
) -> dict[str, NDArray[np.bool_]]:
    """One sample of the layers asked for, (T, C, N)."""
    if missing := [name for name in layers or () if name not in spikes]:
        raise RecordError(f"layer {missing[0]}: not recorded; choose from {', '.join(spikes)}")
    if layers is not None and not layers:
        raise RecordError("layers: 0 are named, at least 1 is needed; leave the option out for all")
    chosen = {name: spikes[name] for name in (spikes if layers is None else layers)}
    for name, x in chosen.items():
        if not 0 <= sample < len(x):
            raise RecordError(f"sample {sample}: layer {name} has {len(x)}, counted from 0; choose a smaller one")
    return {name: x[sample] for name, x in chosen.items()}


def _panel(axes: Axes, name: str, x: NDArray[np.bool_]) -> None:
    from matplotlib.ticker import MaxNLocator

    steps, channels, tokens = x.shape
    neurons = channels * tokens
    step, token, channel = np.nonzero(x.transpose(0, 2, 1))
    width, height = (POINTS_PER_INCH * side for side in PANEL)
    axes.plot(
        step,
        token * channels + channel,
        linestyle="none",
        marker="_",  # a dash: neurons are many and steps few
        markersize=min(max(width / (2 * steps), 1.0), 40.0),
        markeredgewidth=min(max(height / neurons, 0.03), 4.0),  # thinner than a pixel is grey: a density
        color="black",
        rasterized=len(step) > MANY,
    )
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_ylim(-0.5, neurons - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{name}: {x.mean():.1%}", fontsize="small", loc="left")
