"""What comes back from snnTorch and has no place in the student is refused, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from exporters.snntorch import SnnTorchExportError, read_tuned
from tests.exporters.snntorch.conftest import Exported
from tests.exporters.snntorch.tuning import change_file, loader

pytest.importorskip("snntorch", reason="no snnTorch here: install the extra `snntorch`")

Q = "n009_block0.q.weight"
LOCAL = "n005_local.weight"
CUT = "n003_code.cut"


@pytest.fixture
def saved(windowed: Exported, tmp_path: Path) -> Path:
    load = loader(windowed.folder)
    load.save(load.load(windowed.folder / "model.nir"), tmp_path / "tuned.safetensors")
    return tmp_path / "tuned.safetensors"


def read(windowed: Exported, path: Path) -> Any:
    return read_tuned(path, windowed.bundle.graph, windowed.bundle.manifest.files["model.nir"]["sha256"])


def put(key: str, value: Any) -> Callable[[Any, Any], None]:
    def change(tensors: Any, _facts: Any) -> None:
        tensors[key] = value(tensors.get(key)) if callable(value) else value

    return change


def spoil(where: tuple[int, ...], value: float) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[where] = value
        return values

    return change


CASES = [
    (lambda t, f: t.pop(Q), rf"tensor '{Q}' is missing; save the whole module"),
    (put("n999_x.weight", np.zeros(3, np.float32)), r"tensor 'n999_x\.weight' is not part of the graph"),
    (put(f"{Q}/slope", np.zeros(3, np.float32)), rf"tensor '{Q}/slope' is not part of the graph"),
    (put(Q, np.zeros((16, 8, 1, 1), np.float32)), rf"tensor '{Q}' is \(16, 8, 1, 1\), the graph's is \(16, 16, 1, 1\)"),
    (put(Q, lambda v: v.astype(np.float64)), rf"tensor '{Q}' is F64, needs F32"),
    (put(Q, spoil((2, 3, 0, 0), np.nan)), rf"tensor '{Q}' holds nan, needs finite"),
    (put(Q, spoil((2, 3, 0, 0), -np.inf)), rf"tensor '{Q}' holds -inf, needs finite"),
    (put(LOCAL, spoil((2, 3, 0, 1), 6.0)), rf"tensor '{LOCAL}' holds 6 in the 2 look-back columns .* looks ahead only"),
    (
        put(f"{CUT}/weight", 3 * np.eye(16, 17, dtype=np.float32)[:, :, None, None]),
        rf"'{CUT}/weight' was changed, 3 wh",
    ),
    (
        put(f"{CUT}/weight", np.zeros((16, 17), np.float32)),
        rf"'{CUT}/weight' is \(16, 17\), the graph's is \(16, 17, 1",
    ),
    (put(f"{Q}/bias", np.full(16, 0.5, np.float32)), rf"'{Q}/bias' was changed, 0\.5 where the graph has 0.*padded"),
    (put("n004_code/threshold", np.ones(1, np.float32)), r"threshold of neuron 'n004_code' was changed.* fixed"),
    (lambda t, f: f.update(graph_sha256="0" * 64), r"tuned from the graph 000000000000\.\.\., the bundle's is "),
    (lambda t, f: f.update(format="spikeport.snntorch/9"), r"format 'spikeport\.snntorch/9', this version reads"),
    (lambda t, f: f.clear(), r"format None, this version reads"),
]


@pytest.mark.parametrize(("change", "words"), CASES)
def test_a_file_without_a_place_in_the_student_is_refused(
    change: Callable[[Any, Any], Any], words: str, windowed: Exported, saved: Path
) -> None:
    read(windowed, saved)  # good before
    with pytest.raises(SnnTorchExportError, match=words) as refused:
        read(windowed, change_file(saved, change))
    assert "\n" not in str(refused.value) and str(saved) in str(refused.value) and ";" in str(refused.value)


def test_what_is_no_file_of_tensors_is_refused(windowed: Exported, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SnnTorchExportError, match=r"none: no such file"):
        read(windowed, tmp_path / "none")
    saved.write_bytes(saved.read_bytes()[:100])
    with pytest.raises(SnnTorchExportError, match=r"not a safetensors file \(.*\); save it again"):
        read(windowed, saved)


def test_save_does_not_hide_what_was_changed_by_hand(windowed: Exported, tmp_path: Path) -> None:
    """A frozen map, a gate inside the attention, a bias and a threshold, each changed in the module itself."""
    load = loader(windowed.folder)
    (attention,) = (name for name in windowed.bundle.graph.nodes if name.endswith("block0.attention"))
    inner = getattr(load.load(windowed.folder / "model.nir").network, attention.replace(".", "_"))
    gate = next(name for name, part in inner.named_children() if isinstance(part, torch.nn.Conv2d))
    changes = {
        f"{CUT}/weight": lambda net: net.n003_code_cut.weight.data.mul_(2),
        f"{attention}/{gate}/weight": lambda net: getattr(
            getattr(net, attention.replace(".", "_")), gate
        ).weight.data.mul_(2),
        f"{Q}/bias": lambda net: net.n009_block0_q_weight.bias.data.add_(1),
        "n011_block0.q/threshold": lambda net: net.n011_block0_q.threshold.mul_(0.5),
    }
    for number, (key, change) in enumerate(changes.items()):
        module = load.load(windowed.folder / "model.nir")
        change(module.network)
        path = tmp_path / f"{number}.safetensors"
        load.save(module, path)
        assert set(load_file(path)) - set(module.trained) == {key}
        with pytest.raises(SnnTorchExportError, match=rf"{key.split('/')[0]}.*was changed"):
            read(windowed, path)


def test_a_frozen_tensor_that_is_as_it_was_does_no_harm(windowed: Exported, saved: Path) -> None:
    layers = read(windowed, saved).layers
    same = put(f"{CUT}/weight", 2 * np.eye(16, 17, dtype=np.float32)[:, :, None, None])
    again = read(windowed, change_file(saved, same)).layers
    assert all(np.array_equal(layers[name].weight, again[name].weight) for name in layers)


def test_the_columns_are_the_students(windowed: Exported, saved: Path) -> None:
    """Weight and bias of every layer against the student's own file, int8 halves and int32."""
    held = load_file(windowed.student / "student.safetensors")
    for name, layer in read(windowed, saved).layers.items():
        np.testing.assert_array_equal(layer.weight, 2.0 * held[f"{name}.weight"])
        np.testing.assert_array_equal(layer.bias, held[f"{name}.bias"])
