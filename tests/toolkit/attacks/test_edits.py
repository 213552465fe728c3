"""Attacks on integers, held against the published equations in numpy and against counts by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.toolkit.small_students import TOKENIZER, run_student, word_pieces, write_student
from toolkit.attacks.channels import permute_channels
from toolkit.attacks.neurons import fewer_steps, scale_thresholds
from toolkit.attacks.suspect import Suspect, read_suspect
from toolkit.attacks.weights import jitter, prune, requantise
from toolkit.errors import SpikeportError
from toolkit.models.storage import TRANSFORMERS_NAMES, save_student

SENTENCES = ["a fine film", "dull and far too long to bear", "one of the best of its kind", "no"]
FORMS = [{"attention": a, "window": w} for a in ("ssa", "sdsa") for w in (1, 3)]


@pytest.fixture(params=FORMS, ids=lambda form: f"{form['attention']}-{form['window']}")
def folder(request: Any, tmp_path: Path) -> Path:
    return student(tmp_path / "student", **request.param)


def student(folder: Path, **form: Any) -> Path:
    """A random student as the toolkit writes it, names for transformers included."""
    return write_student(folder, **form, **TRANSFORMERS_NAMES)


def numpy_logits(folder: Path) -> np.ndarray:
    """(S, K) by the equations."""
    ids, valid = word_pieces(SENTENCES, 8)
    return run_student(folder, ids, valid)[0].sum(axis=(1, 3))


def stored(model: Any, folder: Path) -> Path:
    save_student(model.student, folder)
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    return folder


def weights(suspect: Suspect) -> dict[str, np.ndarray]:
    return {name: layer.weight.numpy() for name, layer in suspect.model.student.integers().items()}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_pruning_takes_the_smallest_of_each_layer(folder: Path, share: float) -> None:
    before = read_suspect(folder)
    after = {n: la.weight.numpy() for n, la in prune(before.model, share).student.integers().items()}
    for name, old in weights(before).items():
        size, new = np.abs(old).ravel(), after[name].ravel()
        gone = (old.ravel() != 0) & (new == 0)
        kept = new != 0
        zeros = max(round(share * old.size), int((size == 0).sum()))
        assert int((new == 0).sum()) == zeros
        assert not gone.any() or not kept.any() or size[gone].max() <= size[kept].min()
        assert (new[kept] == old.ravel()[kept]).all()


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_fewer_bits_are_as_many_levels_and_no_further_off_than_half_a_step(folder: Path, bits: int) -> None:
    before = read_suspect(folder)
    after = {n: la.weight.numpy() for n, la in requantise(before.model, bits).student.integers().items()}
    for name, old in weights(before).items():
        step = np.abs(old).max() / (2 ** (bits - 1) - 1)
        assert len(np.unique(after[name])) <= 2**bits - 1
        assert np.abs(after[name] - old).max() <= step / 2 + 1  # and what even integers cost
        assert (after[name] % 2 == 0).all() and after[name].min() >= -256 and after[name].max() <= 254


def test_noise_is_as_wide_as_asked_and_follows_its_seed(tmp_path: Path) -> None:
    suspect = read_suspect(student(tmp_path / "wide", width=64))
    old = weights(suspect)["block0.fc1"]
    new, again, other = (
        jitter(suspect.model, 0.5, seed).student.integers()["block0.fc1"].weight.numpy() for seed in (1, 1, 2)
    )
    assert (new == again).all() and (new != other).any()
    assert (new - old).std() == pytest.approx(0.5 * old.std(), rel=0.05)
    assert (new % 2 == 0).all()


def test_fewer_steps_are_the_first_ones_of_the_same_network(folder: Path, tmp_path: Path) -> None:
    suspect = read_suspect(folder)
    attacked = stored(fewer_steps(suspect.model, 2), tmp_path / "two")
    ids, valid = word_pieces(SENTENCES, 8)
    whole = run_student(folder, ids, valid)[0][:, :2].sum(axis=(1, 3))
    assert (numpy_logits(attacked) == whole).all()
    answers = read_suspect(attacked).labels(SENTENCES)
    assert answers == whole.argmax(1).tolist()


def test_thresholds_are_scaled_and_the_readout_is_not(folder: Path, tmp_path: Path) -> None:
    suspect = read_suspect(folder)
    attacked = scale_thresholds(suspect.model, 1.25)
    old, new = suspect.model.student.integers(), attacked.student.integers()
    assert all(new[name].theta == round(1.25 * old[name].theta) for name in old if name != "readout")
    assert new["readout"].theta == old["readout"].theta
    assert all(torch.equal(new[name].weight, old[name].weight) for name in old)
    logits = numpy_logits(stored(attacked, tmp_path / "scaled"))
    assert (logits != numpy_logits(folder)).any()
    assert read_suspect(tmp_path / "scaled").labels(SENTENCES) == logits.argmax(1).tolist()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_moved_channels_compute_the_same_integers(folder: Path, tmp_path: Path, share: float) -> None:
    suspect = read_suspect(folder)
    attacked = stored(permute_channels(suspect.model, share), tmp_path / "moved")
    assert (numpy_logits(attacked) == numpy_logits(folder)).all()
    moved = weights(read_suspect(attacked))
    assert all((moved[name] != old).any() for name, old in weights(suspect).items())


@pytest.mark.parametrize(
    ("attack", "strength", "words"),
    [
        (prune, 1.5, "share 1.5"),
        (requantise, 9, "9 bits"),
        (requantise, 2.5, "2.5 bits"),
        (jitter, -1.0, "deviation -1"),
        (fewer_steps, 5, "5 steps"),
        (scale_thresholds, 0.0, "factor 0"),
        (permute_channels, -0.1, "share -0.1"),
    ],
)
def test_strengths_beyond_the_dial_are_refused(folder: Path, attack: Any, strength: float, words: str) -> None:
    with pytest.raises(SpikeportError, match=words):
        attack(read_suspect(folder).model, strength)
