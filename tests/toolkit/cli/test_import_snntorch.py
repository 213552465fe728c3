"""Out to snnTorch and back: untouched, fine-tuned there, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from simulators import simulate
from tests.exporters.snntorch.tuning import change_file, fine_tune, loader, stock_run
from tests.toolkit.conftest import Command, snapshot
from tests.toolkit.small_students import write_student
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle

pytest.importorskip("snntorch", reason="no snnTorch here: install the extra `snntorch`")


@pytest.fixture(scope="module", params=["ssa", "sdsa"])
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A student of one block with a window, and its bundle in gates."""
    work = tmp_path_factory.mktemp(request.param)
    folder = write_student(work / "student", attention=request.param, seed=6, blocks=1, window=2)
    write_bundle(folder, work / "bundle", attention_body="gates")
    return folder, work / "bundle"


def tuned_file(command: Command, bundle: Path, work: Path) -> tuple[Any, Path]:
    """The copied loader, and a file of what it saved untouched."""
    assert command("export", "snntorch", work / "folder", "--bundle", bundle).status == 0
    load = loader(work / "folder")
    load.save(load.load(work / "folder" / "model.nir"), work / "tuned.safetensors")
    return load, work / "tuned.safetensors"


def bring_back(command: Command, work: Path, student: Path, bundle: Path, *more: str, out: str = "new") -> Any:
    return command(
        "import", "snntorch", work / "tuned.safetensors", "--bundle", bundle, "--student", student, "--out",
        work / out, "--json", *more,
    )  # fmt: skip


def test_untouched_it_is_the_same_student_and_the_same_graph(
    student: tuple[Path, Path], command: Command, tmp_path: Path
) -> None:
    folder, bundle = student
    tuned_file(command, bundle, tmp_path)
    ended = bring_back(command, tmp_path, folder, bundle)
    assert ended.status == 0 and ended.json["changed"] == 0 and ended.json["clipped"] == 0
    before, after = (load_file(path / "student.safetensors") for path in (folder, tmp_path / "new"))
    assert set(before) == set(after)
    for name, value in before.items():
        assert value.dtype == after[name].dtype and np.array_equal(value, after[name]), name
    write_bundle(tmp_path / "new", tmp_path / "again", attention_body="gates")
    assert (tmp_path / "again" / "model.nir").read_bytes() == (bundle / "model.nir").read_bytes()


@pytest.mark.parametrize(("student", "rounding"), [("ssa", True), ("sdsa", False)], indirect=["student"])
def test_fine_tuned_there_the_imported_student_computes_what_stock_snntorch_does(
    rounding: bool, student: tuple[Path, Path], command: Command, tmp_path: Path
) -> None:
    """Stock snnTorch gets the tuned file's weights, rounded here in numpy; the simulator gets the student."""
    folder, bundle = student
    load, path = tuned_file(command, bundle, tmp_path)
    module = load.load(tmp_path / "folder" / "model.nir", rounding=rounding)
    golden = open_bundle(bundle).golden()
    wrong = torch.from_numpy(golden.logits.sum(axis=(1, 3)).argmin(axis=1))  # of two labels: so far it says the other
    losses = fine_tune(module, torch.from_numpy(golden.inputs), wrong, steps=6, rate=0.7)
    assert losses[-1] < 0.8 * losses[0], losses
    load.save(module, path)
    ended = bring_back(command, tmp_path, folder, bundle)
    assert ended.status == 0 and ended.json["changed"] > 500  # type: ignore[operator]
    largest = max(layer["rounding"] for layer in ended.json["layers"])  # type: ignore[attr-defined]
    assert largest == 0 if rounding else 0.5 < largest <= 1

    tuned = load_file(path)
    for name, value in tuned.items():
        if name.endswith(".bias"):  # only a row's sum counts: all of it in the first column
            total = value.astype(np.float64).sum(axis=1, keepdims=True)
            tuned[name] = np.concatenate([total, np.zeros_like(value[:, 1:])], axis=1)
    rounded = {name: 2 * np.rint(value.astype(np.float64) / 2) for name, value in tuned.items()}
    logits, spikes = stock_run(bundle / "model.nir", rounded, golden.inputs)

    write_bundle(tmp_path / "new", tmp_path / "again", attention_body="gates")
    seen = simulate(open_bundle(tmp_path / "again").graph, golden.inputs, record=True)
    np.testing.assert_array_equal(seen.logits, logits)
    assert not np.array_equal(logits, golden.logits)
    compared = {name.split("_", 1)[1]: value for name, value in spikes.items()}
    assert {"code", "local", "block0.q", "block0.o", "block0.fc2"} <= set(compared)
    for name, value in compared.items():
        if name != "valid":  # its relay columns may become more or fewer with the biases
            np.testing.assert_array_equal(seen.spikes[name], value, err_msg=name)


def test_what_no_longer_holds_is_not_carried_over(command: Command, tmp_path: Path) -> None:
    false_later = {"accuracy": {"integer": 0.9, "teacher": 0.95}, "validation_accuracy": {"integer": 0.9},
                   "test_sha256": "ab", "test_examples": 9, "naive_bayes_test": 0.8, "training_seconds": 3,
                   "watermarked": True, "machine": "one"}  # fmt: skip
    folder = write_student(tmp_path / "student", blocks=1, data_licence="cite them", **false_later)  # type: ignore[arg-type]
    write_bundle(folder, tmp_path / "bundle")
    tuned_file(command, tmp_path / "bundle", tmp_path)
    assert bring_back(command, tmp_path, folder, tmp_path / "bundle").status == 0
    facts = json.loads((tmp_path / "new" / "config.json").read_text(encoding="utf-8"))
    assert not (set(false_later) | {"seed"}) - {"watermarked"} & set(facts)
    assert facts["watermarked"] is None and facts["labels"] == ["label 0", "label 1"]
    assert facts["data_licence"] == "cite them" and facts["recipe"] == "fine-tuned in snnTorch 1.0.0"
    (entry,) = facts["fine_tuned"]
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert entry["from_student_sha256"] == manifest["student_sha256"] and entry["from_recipe"] == "random"
    write_bundle(tmp_path / "new", tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text(encoding="utf-8")
    assert "| Watermark | not known" in card and "Accuracy" not in card
    readme = (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert "Accuracy: not measured since" in readme and "cite them" in readme


def largest_fc2(tensors: Any, _facts: Any) -> None:
    for name, value in tensors.items():
        if name.endswith("block0.fc2.weight") or name.endswith("block0.fc2.bias"):
            value[5] = 254


def test_a_current_beyond_the_proved_range_is_refused(command: Command, light: Path, light_bundle: Path,
                                                      tmp_path: Path) -> None:  # fmt: skip
    _, path = tuned_file(command, light_bundle, tmp_path)
    change_file(path, largest_fc2)
    columns = next(v.shape[1] for k, v in load_file(path).items() if k.endswith("block0.fc2.bias"))
    ended = bring_back(command, tmp_path, light, light_bundle)
    assert ended.status == 2 and not (tmp_path / "new").exists()
    assert f"layer block0.fc2: current may reach {64 * 254 + columns * 254}, the limit at T = 4 is 16384" in ended.error


def test_weights_beyond_8_bits_are_refused_unless_clipped(
    command: Command, light: Path, light_bundle: Path, tmp_path: Path
) -> None:
    _, path = tuned_file(command, light_bundle, tmp_path)

    def change(tensors: Any, _facts: Any) -> None:
        (name,) = (key for key in tensors if key.endswith("block0.v.weight"))
        tensors[name][0, :3, 0, 0] = 300, -300, 254

    change_file(path, change)
    ended = bring_back(command, tmp_path, light, light_bundle)
    assert ended.status == 2 and not (tmp_path / "new").exists()
    assert "layer block0.v: weight 300 and 2 in all of 256 are outside [-256, 254]" in ended.error
    ended = bring_back(command, tmp_path, light, light_bundle, "--clip")
    assert ended.status == 0 and ended.json["clipped"] == 2
    held = load_file(tmp_path / "new" / "student.safetensors")["block0.v.weight"]
    assert (2 * held[0, :3].astype(int)).tolist() == [254, -256, 254]
    (layer,) = (entry for entry in ended.json["layers"] if entry["layer"] == "block0.v")  # type: ignore[attr-defined]
    assert layer["clipped"] == 2 and layer["beyond"] == 2 / 256
    assert "2 (0.78 % of its weights) clipped" in ended.err


def test_the_rest_is_refused_in_one_line(
    command: Command, light: Path, light_bundle: Path, small: Path, tmp_path: Path
) -> None:
    _, path = tuned_file(command, light_bundle, tmp_path)
    ended = bring_back(command, tmp_path, small, light_bundle)
    assert ended.status == 2 and "made of the student" in ended.error and "name the student that" in ended.error
    ended = bring_back(command, tmp_path, tmp_path, light_bundle)
    assert ended.status == 2 and "config.json: no such file" in ended.error
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    ended = bring_back(command, tmp_path, light, light_bundle, out="full")
    assert (
        ended.status == 2 and "never overwritten" in ended.error and list(snapshot(tmp_path / "full")) == ["mine.txt"]
    )
    path.write_bytes(b"{}")
    ended = bring_back(command, tmp_path, light, light_bundle)
    assert ended.status == 2 and "not a safetensors file" in ended.error
    save_file({"a": np.zeros(1, np.float32)}, path)
    assert "write it with `save` of load.py" in bring_back(command, tmp_path, light, light_bundle).error
    copy = Path(shutil.copytree(light, tmp_path / "copy"))
    (copy / "student.safetensors").unlink()
    ended = bring_back(command, tmp_path, copy, light_bundle)
    assert ended.status == 2 and "weights cannot be read" in ended.error


def test_a_native_attention_is_refused_at_the_export(command: Command, light: Path, tmp_path: Path) -> None:
    write_bundle(light, tmp_path / "native", attention_body="native")
    ended = command("export", "snntorch", tmp_path / "folder", "--bundle", tmp_path / "native")
    assert ended.status == 2 and "--attention-body gates" in ended.error and not (tmp_path / "folder").exists()


def test_the_export_needs_no_snntorch(
    command: Command, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("snntorch", "nirtorch"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    ended = command("export", "snntorch", tmp_path / "folder", "--bundle", light_bundle, "--json")
    assert ended.status == 0 and ended.json["bytes"] == (light_bundle / "model.nir").stat().st_size
    assert ended.json["layers"] == [f"block0.{n}" for n in ("q", "k", "v", "o", "fc1", "fc2")] + ["readout"]
