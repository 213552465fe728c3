"""Raster plots, read back from matplotlib's own objects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators.errors import RecordError
from simulators.raster import raster, save_raster

pytest.importorskip("matplotlib", reason="needs the extra plot")


def spikes(count: int = 3, seed: int = 0) -> dict[str, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    return {f"layer{i}": rng.random((2, 4, 3 + i, 5)) < 0.3 for i in range(count)}


def drawn(figure: object) -> dict[str, set[tuple[float, float]]]:
    """Points of each panel, by the name in its title."""
    panels = {}
    for axes in figure.axes:  # type: ignore[attr-defined]
        (line,) = axes.lines
        points = [tuple(map(float, point)) for point in line.get_xydata()]
        assert len(points) == len(set(points))
        panels[axes.get_title(loc="left").split(":")[0]] = set(points)
    return panels


def expected(x: NDArray[np.bool_]) -> set[tuple[float, float]]:
    """(step, token * C + channel) of every spike of (T, C, N), one by one."""
    found = set()
    for t, c, n in np.ndindex(x.shape):
        if x[t, c, n]:
            found.add((float(t), float(n * x.shape[1] + c)))
    return found


@pytest.mark.parametrize("sample", [0, 1])
def test_the_points_are_the_spikes(sample: int) -> None:
    record = spikes(11)  # more than one column of panels
    record["layer2"][:] = False
    panels = drawn(raster(record, sample))
    assert panels == {name: expected(x[sample]) for name, x in record.items()}


def test_every_neuron_and_step_lies_within_its_panel() -> None:
    for axes, x in zip(raster(spikes()).axes, spikes().values(), strict=True):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < 0 and x.shape[1] - 1 < right < x.shape[1]
        assert bottom < 0 and x[0, 0].size - 1 < top < x[0, 0].size
        assert axes.get_title(loc="left").endswith(f"{100 * x[0].sum() / x[0].size:.1f}%")


def test_layers_are_those_asked_for_in_that_order() -> None:
    assert list(drawn(raster(spikes(), layers=["layer2", "layer0"]))) == ["layer2", "layer0"]


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_it_is_saved_in_the_format_of_its_ending(tmp_path: Path, ending: str, start: bytes) -> None:
    save_raster(tmp_path / f"r.{ending}", spikes())
    assert (tmp_path / f"r.{ending}").read_bytes().startswith(start)


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    for sample in (2, -1):
        with pytest.raises(RecordError, match=f"sample {sample}: layer layer0 has 2"):
            raster(spikes(), sample)
    with pytest.raises(RecordError, match="layer q: not recorded"):
        raster(spikes(), layers=["q"])
    with pytest.raises(RecordError, match="0 are named"):
        raster(spikes(), layers=[])
    with pytest.raises(RecordError, match="record=True"):
        raster({})
    with pytest.raises(RecordError, match="format 'doc' cannot be written"):
        save_raster(tmp_path / "r.doc", spikes())
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'spikeport\[plot\]'") as caught:
        raster(spikes())
    assert caught.value.name == "matplotlib"


def test_importing_it_loads_no_matplotlib() -> None:
    code = "import sys, simulators.raster; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
