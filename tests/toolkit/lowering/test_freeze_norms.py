"""Freezing LayerNorms: against plain numpy, on a network that loses nothing, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.toolkit.lowering.spikeberts import (
    FrozenInNumpy,
    affine_spikebert,
    least_squares,
    random_spikebert,
    unit_norm,
    weights_of,
)
from tests.toolkit.models.test_spikebert import np_spikebert
from toolkit.bundle.encoder import spike_code
from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.freeze_norms import RIDGE, NormedMap, fit_division, freeze_norms, normed_maps
from toolkit.lowering.norm_agreement import agreement
from toolkit.lowering.spikebert_form import CODE_THRESHOLD, deployable_config, sign_code
from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.student import SpikingStudent

RIDGES = {"linear": RIDGE, "gain": np.inf}


def some_rows(count: int, seed: int = 0, vocabulary: int = 60, longest: int = 10) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, 1 + i % longest).tolist() for i in range(count)]


def frozen(model: SpikeBertForSequenceClassification, rows: list[list[int]], fit: str = "linear") -> SpikingStudent:
    return freeze_norms(model, deployable_config(model.config, "m"), *pad(rows), fit)


@pytest.mark.parametrize("fit", RIDGES)
def test_a_fit_is_the_least_squares_answer(fit: str) -> None:
    torch.manual_seed(1)
    norm = torch.nn.LayerNorm(12)
    layer = NormedMap(torch.randn(12, 7), torch.randn(12), norm)
    x = torch.randint(0, 4, (900, 7)).float()
    found = fit_division(layer, x, fit).numpy()
    wanted = least_squares(
        x.double().numpy(), (layer.weight.double().numpy(), layer.bias.double().numpy()), RIDGES[fit]
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


def test_the_linear_fit_comes_nearer_than_the_gain_and_both_nearer_than_fixed_mean_and_deviation() -> None:
    torch.manual_seed(2)
    layer = NormedMap(torch.randn(12, 7), torch.randn(12), torch.nn.LayerNorm(12))
    x = torch.randint(0, 4, (900, 7)).float()
    ones = np.concatenate([x.numpy(), np.ones((900, 1))], axis=1)
    y = x.double().numpy() @ layer.weight.double().numpy().T + layer.bias.double().numpy()
    _, wanted = unit_norm(y)
    errors = [float(((ones @ fit_division(layer, x, fit).numpy() - wanted) ** 2).mean()) for fit in ("linear", "gain")]
    fixed = float((((y - y.mean()) / y.std(axis=1).mean() - wanted) ** 2).mean())
    assert 0 < errors[0] < errors[1] < fixed


def test_inputs_without_any_deviation_have_a_fit() -> None:
    layer = NormedMap(torch.ones(4, 3), torch.ones(4), torch.nn.LayerNorm(4))
    found = fit_division(layer, torch.ones(5, 3))
    assert torch.equal(found, torch.zeros(4, 4, dtype=torch.float64))


@pytest.mark.parametrize("fit", RIDGES)
@pytest.mark.parametrize("seed", range(2))
def test_the_frozen_network_is_that_of_plain_numpy(seed: int, fit: str) -> None:
    """Fitted layer after layer on one set, run on another; every layer's spikes, and the logits."""
    model, calibration, rows = random_spikebert(seed), some_rows(40, seed), some_rows(25, seed + 9)
    reference = FrozenInNumpy(model, calibration, RIDGES[fit])
    logits, spikes = reference.run(rows)
    student = frozen(model, calibration, fit)
    ids, mask = pad(rows)
    with torch.no_grad():
        output = student(ids, mask.float(), record=True)
    assert set(output.spikes) == set(spikes[0])
    for name, trains in output.spikes.items():
        rate = float(np.mean(np.concatenate([kept[name].reshape(-1) for kept in spikes])))
        assert 0.01 < rate < 0.98, name  # neither silent nor always on: a comparison that can fail
        for i, row in enumerate(rows):
            np.testing.assert_array_equal(trains[:, i, : len(row)].numpy(), spikes[i][name], err_msg=name)
            assert not trains[:, i, len(row) :].any(), name  # a padded token is silent
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=2e-5)


def test_where_mean_and_deviation_are_constant_nothing_is_lost() -> None:
    model = affine_spikebert()
    student = frozen(model, some_rows(12))
    forms = {"float": student, "integer": to_integer_form(copy.deepcopy(student))}
    rows = some_rows(40, seed=5)
    _, found = agreement(model, forms, rows)
    for name, form in found.items():
        assert form.labels == 1.0 and set(form.spikes.values()) == {1.0}, name
    assert found["float"].logit_difference < 1e-5
    _, _, spikes = np_spikebert(model.double(), torch.tensor([rows[9]]), torch.ones(1, 10))
    rates = {name: float(train.mean()) for name, train in spikes.items()}
    assert all(0 < rate < 1 for name, rate in rates.items() if not name.endswith(".o")), rates


def test_agreement_is_what_a_comparison_sentence_by_sentence_gives() -> None:
    model, calibration, rows = random_spikebert(3), some_rows(40, 1), some_rows(30, 2)
    student = frozen(model, calibration)
    answers, found = agreement(model, {"float": student}, rows)
    logits, spikes = FrozenInNumpy(model, calibration, RIDGE).run(rows)
    original = copy.deepcopy(model).double()
    same: dict[str, list[np.ndarray[Any, Any]]] = {}
    differences, labels = [], []
    for i, row in enumerate(rows):
        wanted, _, trains = np_spikebert(original, torch.tensor([row]), torch.ones(1, len(row)))
        labels.append(int(np.argmax(wanted[0])))
        differences.append(np.abs(wanted[0] - logits[i]))
        trains = {name.replace("blocks.", "block"): train for name, train in trains.items()}
        for name, train in trains.items():
            same.setdefault(name, []).append((train[:, 0] == spikes[i][name]).reshape(-1))
    shares = {name: float(np.concatenate(parts).mean()) for name, parts in same.items()}
    figures = found["float"]
    assert answers.tolist() == labels
    assert figures.labels == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert figures.logit_difference == pytest.approx(np.mean(differences), abs=1e-5)
    assert figures.spikes.pop("code") == 1.0
    assert figures.spikes == pytest.approx(shares, abs=1e-9)
    assert 0.5 < min(shares.values()) < 1.0  # freezing does cost something here
    assert figures.spike_share == pytest.approx(np.mean(list(shares.values())))


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_hosts_neuron_gives_the_sign_code_in_every_step(steps: int) -> None:
    rows = torch.tensor([[-1.0, -1e-30, -0.0, 0.0, 1e-30, 2.0]])
    table = (CODE_THRESHOLD * sign_code(rows, "m")).numpy().astype(np.int16)
    code = spike_code(table, None, np.zeros((1, 1), np.int64), CODE_THRESHOLD, steps)
    assert code[0, :, :, 0].tolist() == [[False, False, True, True, True, True]] * steps


def test_the_final_norm_and_the_classifier_are_one_map() -> None:
    model = random_spikebert(4)
    layer = normed_maps(model)["readout"]
    unit = torch.randn(17, 16, dtype=torch.float64)
    x = np.random.default_rng(0).integers(0, 5, (6, 16)).astype(float)
    weights = weights_of(model)
    normed = (x @ unit[:-1].numpy() + unit[-1].numpy()) * weights["norm.weight"] + weights["norm.bias"]
    wanted = normed @ weights["classifier.weight"].T + weights["classifier.bias"]
    with torch.no_grad():
        weight, bias = layer.frozen(unit)
    np.testing.assert_allclose(x @ weight.double().numpy().T + bias.double().numpy(), wanted, atol=1e-4)


REFUSED = {
    "tau": ({"tau": 10.0}, None, "m: tau 10, an integer form needs tau = 2; train one with it"),
    "steps": ({"steps": 5}, None, "m: steps 5, an integer form has at most 4; train one with fewer"),
    "scale": (
        {"attention_scale": 0.2},
        None,
        "m: attention_threshold 0.5 / attention_scale 0.2 is 2.5, needs an integer from 1 to 16384; "
        "train one whose quotient is, such as 0.5 / 0.125",
    ),
    "scale above": ({"attention_scale": 1.0}, None, "is 0.5, needs an integer"),
    "published": (
        {"hidden_size": 768, "num_attention_heads": 8, "max_tokens": 128},
        None,
        "m: attention sums reach 128 tokens x 96 channels of a head = 12288, the limit at T = 4 is 8192; --tokens 85",
    ),
    "head": ({"hidden_size": 8194, "num_attention_heads": 1}, 1, "train one with more heads"),
    "slots": ({}, 11, "--tokens 11: m takes at most 10; ask for fewer"),
    "one label": ({"num_labels": 1}, None, "m: 1 label, a classifier needs at least 2; export a classifier"),
}


@pytest.mark.parametrize(("changes", "tokens", "said"), REFUSED.values(), ids=REFUSED)
def test_what_integers_cannot_hold_is_refused(changes: dict[str, Any], tokens: int | None, said: str) -> None:
    config = random_spikebert().config
    for name, value in changes.items():
        setattr(config, name, value)
    with pytest.raises(SpikeportError) as refusal:
        deployable_config(config, "m", tokens)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_threshold_of_the_attention_is_read_as_it_is_written() -> None:
    config = random_spikebert().config
    for threshold, scale, wanted in ((0.5, 0.125, 4), (0.3, 0.1, 3), (0.25, 0.125, 2), (1.0, 1.0, 1)):
        config.attention_threshold, config.attention_scale = threshold, scale
        assert deployable_config(config, "m").attention_threshold == wanted


def test_a_word_table_that_is_not_finite_is_refused() -> None:
    with pytest.raises(SpikeportError, match="m: the word table holds a value that is not finite"):
        sign_code(torch.tensor([[1.0, float("nan")]]), "m")
