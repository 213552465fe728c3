"""The copied loader: it stands alone, computes the student's logits, and trains only what may be trained."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.exporters.snntorch.conftest import Exported
from tests.exporters.snntorch.tuning import loader
from tests.toolkit.small_students import run_student, word_pieces

pytest.importorskip("snntorch", reason="no snnTorch here: install the extra `snntorch`")


def spikes_of(exported: Exported) -> torch.Tensor:
    return torch.from_numpy(exported.bundle.golden().inputs)


def layers_of(student: Path) -> list[str]:
    """The student's layers, from its own file."""
    return sorted(k.removesuffix(".weight") for k in load_file(student / "student.safetensors") if k.endswith("weight"))


def test_the_loader_imports_nothing_of_spikeport(exported: Exported) -> None:
    found = set()
    for node in ast.walk(ast.parse((exported.folder / "load.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).split(".")[0])
    assert found - sys.stdlib_module_names == {"torch", "nir", "snntorch", "safetensors"}


@pytest.mark.parametrize("rounding", [True, False])
def test_its_logits_are_those_of_the_equations_and_of_the_simulator(exported: Exported, rounding: bool) -> None:
    golden = exported.bundle.golden()
    expected, _ = run_student(exported.student, *word_pieces([str(s) for s in golden.sentences], 12))
    module = loader(exported.folder).load(exported.folder / "model.nir", rounding=rounding)
    module.network(spikes_of(exported)[:, 0, :, None, :].float())  # leaves membranes behind
    for _ in range(2):  # the state of one call is not the next one's
        seen = module(spikes_of(exported)).detach().numpy()
        np.testing.assert_array_equal(seen, expected.sum(axis=(1, 3)))
        np.testing.assert_array_equal(seen, golden.logits.sum(axis=(1, 3)))
    valid = golden.inputs[:, 0, -1].sum(axis=1, keepdims=True)
    real = expected.sum(axis=(1, 3)) / (valid * 4 * 97)  # mean over tokens and T = 4 steps, the readout's theta is 97
    np.testing.assert_allclose(module.mean_logits(spikes_of(exported)).detach().numpy(), real, rtol=1e-6)


def test_only_the_students_own_layers_learn(exported: Exported) -> None:
    module = loader(exported.folder).load(exported.folder / "model.nir")
    names = layers_of(exported.student)
    trained = {name.split("_", 1)[1] for name in module.trained}
    assert trained == {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    learns = [name for name, p in module.named_parameters() if p.requires_grad]
    assert len(learns) == 2 * len(names) and all(name.endswith("parametrizations.weight.original") for name in learns)
    module.mean_logits(spikes_of(exported))[:, 0].sum().backward()
    for name, layer in module.trained.items():
        if name.endswith(".weight"):
            assert layer.parametrizations.weight.original.grad.abs().max() > 0, name
    assert all(p.grad is None for p in module.parameters() if not p.requires_grad)


def test_a_padded_token_teaches_nothing(exported: Exported) -> None:
    """Its spikes are 0, but a surrogate's slope is not: what reaches its inputs would be learned from padding."""
    module = loader(exported.folder).load(exported.folder / "model.nir")
    spikes = spikes_of(exported)[1:2].float()
    spikes[:, :, :, 7:] = 0  # 7 of 12 tokens are valid
    spikes.requires_grad_()
    module(spikes)[:, 0].sum().backward()
    assert spikes.grad is not None
    assert not spikes.grad[:, :, :-1, 7:].any() and spikes.grad[:, :, :-1, :7].any()


def test_the_gradient_is_that_of_a_threshold_as_the_unit(exported: Exported) -> None:
    """The arctangent surrogate by hand, 1 / theta / (1 + (pi v / theta)^2) at distance v, for each neuron."""
    module = loader(exported.folder).load(exported.folder / "model.nir")
    for neuron in module._neurons.values():
        theta, distance = float(neuron.threshold), torch.tensor([-30.0, 0.25, 90.0], requires_grad=True)
        neuron.spike_grad(distance).sum().backward()
        by_hand = 1 / theta / (1 + (np.pi * distance.detach().numpy() / theta) ** 2)
        np.testing.assert_allclose(distance.grad.numpy(), by_hand, rtol=1e-5)  # type: ignore[union-attr]


def test_what_it_sees_is_rounded_to_even_integers_of_8_bits_and_looks_ahead_only(windowed: Exported) -> None:
    module = loader(windowed.folder).load(windowed.folder / "model.nir")
    (layer,) = (layer for name, layer in module.trained.items() if name.endswith("_local.weight"))
    original = layer.parametrizations.weight.original
    assert original.shape == (16, 16, 1, 5)
    with torch.no_grad():
        original[0, 0, 0] = torch.tensor([7.0, -3.0, 4.9, 300.0, -257.5])
    assert layer.weight[0, 0, 0].tolist() == [0, 0, 4, 254, -256]
    layer.weight.sum().backward()
    assert original.grad[0, 0, 0].tolist() == [0, 0, 1, 0, 0]  # clipped and look-back taps learn nothing


def test_rows_beyond_the_range_are_scaled_down_and_no_other(exported: Exported, tmp_path: Path) -> None:
    load = loader(exported.folder)
    module = load.load(exported.folder / "model.nir")
    parts = {name.split("_", 1)[1]: layer.parametrizations.weight.original for name, layer in module.trained.items()}
    weight, bias = parts["block0.fc2.weight"], parts["block0.fc2.bias"]
    before = weight.detach().clone()
    with torch.no_grad():
        weight[3], bias[3] = 254.0, 254.0
    assert 64 * 254 + 254 * bias.shape[1] > 16384
    module.hold_range()
    load.save(module, tmp_path / "t.safetensors")
    saved = {name.split("_", 1)[1]: values for name, values in load_file(tmp_path / "t.safetensors").items()}
    rows, columns = saved["block0.fc2.weight"][:, :, 0, 0], saved["block0.fc2.bias"][:, :, 0, 0].sum(axis=1)
    assert 0.95 * 16384 < rows[3].sum() + columns[3] <= 16384  # all are positive, messages are 1
    assert np.array_equal(np.delete(rows, 3, 0), np.delete(before.numpy()[:, :, 0, 0], 3, 0))
    with torch.no_grad():
        bias[0, 0] = float("inf")
    with pytest.raises(ValueError, match=r"block0\.fc2\.weight: a weight is not finite"):
        module.hold_range()


def test_the_limits_are_those_of_the_messages(windowed: Exported) -> None:
    """By the residual sums: the code, then one more train for the local layer, for o and for fc2."""
    told = json.loads((windowed.folder / "limits.json").read_text(encoding="utf-8"))
    messages = {name: entry["largest_message"] for name, entry in told.items()}
    assert messages == {
        "local": 1, "block0.q": 2, "block0.k": 2, "block0.v": 2, "block0.o": 1, "block0.fc1": 3, "block0.fc2": 1,
        "readout": 4,
    }  # fmt: skip
    assert {entry["limit"] for name, entry in told.items() if name != "readout"} == {16384}


def test_spikes_of_another_shape_are_refused(windowed: Exported) -> None:
    module = loader(windowed.folder).load(windowed.folder / "model.nir")
    with pytest.raises(ValueError, match=r"needs \(B, T, 17, 12\)"):
        module(torch.zeros(2, 4, 16, 12))
