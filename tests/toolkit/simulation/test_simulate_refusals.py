"""What ``simulate`` refuses: one line, exit status 2, no folder begun; and the lines that it says meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.toolkit.conftest import Command, snapshot
from toolkit.errors import SpikeportError
from toolkit.simulation.progress import Progress
from toolkit.simulation.sizes import parse_size

GOOD = "text\tlabel\nfine\t1\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.tsv"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--memory-limit", "much"), "memory limit 'much'"),
        (("--memory-limit", "4 parsec"), "memory limit '4 parsec'"),
        (("--memory-limit", "0"), "at least 1"),
        (("--memory-limit", "12"), "memory_limit 12: one sample's signals take"),
        (("--engine", "steam"), "engine 'steam'"),
        (("--device", "abacus"), "device 'abacus'"),
        (("--raster", "x.png", "--sample", "1"), "--sample 1: 1 samples"),
        (("--raster", "x.abc"), "format 'abc'"),
    ],
)
def test_options(
    command: Command, light_bundle: Path, data: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "run"
    ended = command("simulate", data, "--bundle", light_bundle, "--out", out, *options)
    assert ended.status == 2 and said in ended.error and not out.exists()


def test_recording_needs_a_folder(command: Command, light_bundle: Path, data: Path) -> None:
    ended = command("simulate", data, "--bundle", light_bundle, "--record")
    assert ended.status == 2 and "--out" in ended.error


@pytest.mark.parametrize(
    "arrays",
    [
        {"spikes": np.zeros((2, 4, 17, 9), bool)},
        {"spikes": np.zeros((2, 3, 17, 8), bool)},
        {"spikes": np.zeros((0, 4, 17, 8), bool)},
        {"spikes": np.zeros((4, 17, 8), bool)},
        {"spikes": np.zeros((2, 4, 17, 8), np.uint8)},
        {"inputs": np.zeros((2, 4, 17, 8), bool)},
        None,
    ],
    ids=["tokens", "steps", "no sample", "three axes", "no bool", "another name", "no npz"],
)
def test_an_npz_that_holds_no_inputs_of_the_bundle(
    command: Command, light_bundle: Path, tmp_path: Path, arrays: dict[str, np.ndarray] | None
) -> None:
    path = tmp_path / "x.npz"
    if arrays is None:
        path.write_bytes(b"PK\x03\x04 of something else")
    else:
        np.savez(path, **arrays)
    ended = command("simulate", path, "--bundle", light_bundle, "--out", tmp_path / "run")
    assert ended.status == 2 and str(path) in ended.error
    assert "spikeport encode" in ended.error or "(samples, 4, 17, 8)" in ended.error
    assert not (tmp_path / "run").exists()


def test_an_npz_that_is_not_there(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    ended = command("simulate", tmp_path / "none.npz", "--bundle", light_bundle)
    assert ended.status == 2 and f"{tmp_path / 'none.npz'}: no such file" in ended.error


@pytest.mark.parametrize("content", [None, "{}", "[1]", "no JSON"])
def test_a_folder_of_something_else(
    command: Command, light_bundle: Path, data: Path, tmp_path: Path, content: str | None
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / ("letter.txt" if content is None else "run.json")).write_text(content or "mine")
    before = snapshot(out)
    ended = command("simulate", data, "--bundle", light_bundle, "--out", out)
    assert ended.status == 2 and str(out) in ended.error and "name a new folder" in ended.error
    assert snapshot(out) == before


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("1.5 kib", 1536), ("500MB", 500_000_000), ("7", 7), ("0.3kB", 300), ("2T", None),
     ("-1", None), ("", None), ("1e9", None), ("nan", None), ("0.1", None)],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(SpikeportError, match="memory limit"):
            parse_size(text)
    else:
        assert parse_size(text) == size


def test_progress_is_a_line_every_five_seconds_and_one_at_the_end() -> None:
    now, said = 0.0, []
    progress = Progress(110, said.append, lambda: now)
    progress.skip(10)
    for _ in range(100):
        now += 0.25
        progress.add(1)
    assert len(said) == 5
    assert said[0] == "30/110 samples, 4 a second" and said[-1] == "110/110 samples, 4 a second"


def test_a_raster_is_drawn_without_keeping_the_spikes(
    command: Command, light_bundle: Path, data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "x.png"
    ended = command("simulate", data, "--bundle", light_bundle, "--raster", path, "--device", "cpu", "--json")
    assert ended.status == 0 and ended.json["raster"] == str(path) and path.read_bytes().startswith(b"\x89PNG")
