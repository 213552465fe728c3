"""``spikeport export onnx``: the file it writes gives the bundle's golden logits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from exporters.onnx import to_bytes, write_model
from tests.toolkit.conftest import Command
from toolkit.bundle.reader import open_bundle


@pytest.mark.parametrize("options", [(), ("--unroll",), ("--step",)])
def test_the_file_gives_the_golden_logits(
    options: tuple[str, ...], command: Command, light_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.onnx"
    ended = command("export", "onnx", out, "--bundle", light_bundle, "--spikes", "--json", *options)
    assert ended.status == 0
    form = {(): "scan", ("--unroll",): "unrolled", ("--step",): "step"}[options]
    written, opened = ended.json, open_bundle(light_bundle)
    golden = opened.golden()
    assert written["form"] == form and written["bytes"] == out.stat().st_size
    assert written["layers"] == sorted(golden.spikes)
    assert written["steps"] == (4 if form == "unrolled" else None)
    if form != "step":
        running = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
        (logits,) = running.run(["logits"], {"spikes": golden.inputs})
        np.testing.assert_array_equal(logits, golden.logits)
    again = write_model(
        opened.graph,
        tmp_path / "again.onnx",
        unroll=4 if form == "unrolled" else None,
        step=form == "step",
        spikes=True,
    )
    assert to_bytes(again) == out.read_bytes()


def test_a_person_is_told_what_was_written(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    ended = command("export", "onnx", tmp_path / "model.onnx", "--bundle", light_bundle)
    assert ended.status == 0 and ended.out == ""
    assert "scan, " in ended.err and "exact up to T = " in ended.err


def test_refusals(command: Command, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = command("export", "onnx", tmp_path / "m.onnx", "--bundle", light_bundle, "--unroll", "--step")
    assert both.status == 2 and both.error == "--unroll and --step: two forms, one file holds 1; choose one"
    nowhere = command("export", "onnx", tmp_path / "no" / "m.onnx", "--bundle", light_bundle)
    assert nowhere.status == 2 and "No such file or directory" in nowhere.error
    for name in [name for name in sys.modules if name.startswith("exporters.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    missing = command("export", "onnx", tmp_path / "m.onnx", "--bundle", light_bundle)
    assert missing.status == 3 and missing.error == "onnx is missing; pip install 'spikeport[onnx]'"
    assert not (tmp_path / "m.onnx").exists()
