"""The training loop on a tiny cache: it learns, it keeps the best weights, it stops at a loss of NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import rel_entr, softmax

from tests.toolkit.distillation.pupils import made_up_cache
from tests.toolkit.lowering.test_fold_norms import LIMITS, quantised, reach
from tests.toolkit.models.tiny import float_student, integer_student
from toolkit.distillation.cache import TeacherCache, layer_map
from toolkit.distillation.losses import FeatureHeads
from toolkit.distillation.train import UNLABELLED, StageRecipe, accuracy, train_stage
from toolkit.errors import SpikeportError
from toolkit.models.student import SpikingStudent

RECIPE = StageRecipe(epochs=10, learning_rate=1e-2, batch_size=12)


def divergence(student: SpikingStudent, cache: TeacherCache) -> float:
    """Mean KL divergence to the teacher at temperature 2, by scipy, in evaluation mode."""
    ids, mask, logits, _ = cache.batch(list(range(len(cache))))
    student.eval()
    with torch.no_grad():
        seen = student(ids, mask.float()).logits.numpy()
    return float(rel_entr(softmax(logits.numpy() / 2, axis=1), softmax(seen / 2, axis=1)).sum(1).mean())


@pytest.mark.parametrize("form", [float_student, integer_student])
def test_a_stage_lowers_the_loss(form) -> None:  # type: ignore[no-untyped-def]
    student, heads = form("sdsa", labels=2), FeatureHeads(2, 16, 12)
    cache, labels = made_up_cache()
    before = divergence(student, cache)
    assert train_stage(student, heads, [(cache, labels)], RECIPE) == 0.0
    assert divergence(student, cache) < 0.7 * before
    ids, mask, _, _ = cache.batch(list(range(len(cache))))
    assert accuracy(student, ids, mask, labels) > 0.8


def test_after_a_stage_on_integers_every_bound_holds() -> None:
    student, (cache, labels) = integer_student("ssa", labels=2), made_up_cache(24)
    with torch.no_grad():
        for _, layer, _ in student.linears():
            layer.bias.fill_(20000 / layer.theta)  # 16 inputs alone could not leave the range
    train_stage(student, FeatureHeads(2, 16, 12), [(cache, labels)], StageRecipe(1, 1e-2, batch_size=12))
    for name, layer, largest in student.linears():
        if name != "readout":
            weight, bias = quantised(layer.weight.detach(), layer.bias.detach(), layer.theta)
            assert reach(weight, bias, largest) <= LIMITS[4], name


def test_a_loss_that_is_not_finite_stops_and_leaves_the_last_good_weights(tmp_path: Path) -> None:
    student, (cache, labels) = float_student("ssa", labels=2), made_up_cache(24)
    calls = iter([0.0, 0.0, float("nan")])
    recipe = StageRecipe(epochs=2, learning_rate=1e-3, batch_size=6, evaluations=4)
    with pytest.raises(SpikeportError) as stopped:
        train_stage(
            student, FeatureHeads(2, 16, 12), [(cache, labels)], recipe,
            validate=lambda s: 0.5, mark=lambda *_: torch.tensor(next(calls)),
            checkpoint=tmp_path / "best.safetensors", title="stage 2",
        )  # fmt: skip
    message = str(stopped.value)
    assert "\n" not in message
    assert all(word in message for word in ("stage 2", "nan", "0.001", str(tmp_path / "best.safetensors")))
    kept = load_file(tmp_path / "best.safetensors")
    assert all(torch.isfinite(v).all() for v in kept.values())
    float_student("ssa", labels=2).load_state_dict(kept)


def test_a_gradient_that_is_not_finite_stops_before_it_is_applied() -> None:
    """The root of zero is finite, its slope is not."""
    student, (cache, labels) = float_student("ssa", labels=2), made_up_cache(12)
    recipe = StageRecipe(1, 1e-3, batch_size=12)
    with pytest.raises(SpikeportError, match="gradient norm"):
        train_stage(
            student, FeatureHeads(2, 16, 12), [(cache, labels)], recipe,
            mark=lambda s, *_: (s.readout.bias - s.readout.bias.detach()).square().sum().sqrt(),
        )  # fmt: skip
    assert all(torch.isfinite(p).all() for p in student.parameters())


@pytest.mark.parametrize("figures", [[0.2, 0.9, 0.3, 0.1], [-3.0, -1.0, -2.0, -5.0]])
def test_the_weights_that_were_best_come_back(figures: list[float]) -> None:
    student, (cache, labels) = float_student("ssa", labels=2), made_up_cache(24)
    states: list[dict[str, torch.Tensor]] = []

    def validate(student: SpikingStudent) -> float:
        states.append({k: v.clone() for k, v in student.state_dict().items()})
        return figures[len(states) - 1]

    recipe = StageRecipe(epochs=1, learning_rate=1e-3, batch_size=6, evaluations=4)
    best = train_stage(student, FeatureHeads(2, 16, 12), [(cache, labels)], recipe, validate=validate)
    assert len(states) == 4
    assert best == max(figures)
    assert all(torch.equal(v, states[1][k]) for k, v in student.state_dict().items())
    assert not torch.equal(states[0]["readout.weight"], states[1]["readout.weight"])


def test_unlabelled_sentences_take_no_part_in_the_label_loss() -> None:
    """One step on 12 sentences of which 6 are labelled is one step on those 6; integers share no statistics."""
    cache, labels = made_up_cache(12)
    end = int(cache.offsets[6])
    half = TeacherCache(cache.ids[:end], cache.offsets[:7], cache.logits[:6], cache.features[:, :end])
    partly = torch.where(torch.arange(12) < 6, labels, UNLABELLED)
    recipe = StageRecipe(1, 1e-2, batch_size=12, logits=0.0, features=0.0, labels=1.0)
    readouts = []
    for corpus in ((cache, partly), (half, labels[:6])):
        student = integer_student("ssa", labels=2)
        before = student.readout.bias.detach().clone()
        train_stage(student, FeatureHeads(2, 16, 12), [corpus], recipe)
        assert not torch.equal(student.readout.bias, before)
        readouts.append(torch.cat([student.readout.weight.flatten(), student.readout.bias]).detach())
    torch.testing.assert_close(readouts[0], readouts[1], rtol=1e-4, atol=1e-6)


def test_two_corpora_are_both_learned_from() -> None:
    student, first, second = float_student("sdsa", labels=2), made_up_cache(24, 1), made_up_cache(24, 2)
    before = [divergence(student, cache) for cache, _ in (first, second)]
    caches = [first, (second[0], torch.full_like(second[1], UNLABELLED))]
    train_stage(student, FeatureHeads(2, 16, 12), caches, RECIPE)
    after = [divergence(student, cache) for cache, _ in (first, second)]
    assert after[0] < before[0] and after[1] < before[1]


def test_the_same_seed_gives_the_same_weights() -> None:
    cache, labels = made_up_cache(24)
    runs = []
    for _ in range(2):
        student = float_student("ssa", labels=2)
        torch.manual_seed(7)
        heads = FeatureHeads(2, 16, 12)
        train_stage(student, heads, [(cache, labels)], StageRecipe(1, 1e-3, batch_size=6))
        runs.append(student.state_dict())
    assert all(torch.equal(v, runs[1][k]) for k, v in runs[0].items())


def test_a_batch_of_the_cache_is_the_sentences_asked_for() -> None:
    cache, _ = made_up_cache(10)
    ids, mask, logits, features = cache.batch([7, 2, 5])
    assert cache.lengths == [int(b - a) for a, b in zip(cache.offsets, cache.offsets[1:], strict=False)]
    assert ids.shape == mask.shape == (3, max(cache.lengths[i] for i in (7, 2, 5)))
    for row, i in enumerate((7, 2, 5)):
        span = range(int(cache.offsets[i]), int(cache.offsets[i + 1]))
        assert ids[row, : len(span)].tolist() == [int(cache.ids[j]) for j in span]
        assert mask[row].tolist() == [1] * len(span) + [0] * (ids.shape[1] - len(span))
        np.testing.assert_array_equal(logits[row], cache.logits[i])
        for n, j in enumerate(span):
            np.testing.assert_array_equal(features[:, row, n], cache.features[:, j].astype(np.float32))
        assert not features[:, row, len(span) :].any() and not ids[row, len(span) :].any()


@pytest.mark.parametrize(
    ("teacher", "student", "wanted"),
    [(6, 2, [3, 6]), (12, 2, [6, 12]), (12, 3, [4, 8, 12]), (12, 12, list(range(1, 13))), (7, 2, [3, 7])],
)
def test_student_blocks_look_at_evenly_spaced_teacher_layers(teacher: int, student: int, wanted: list[int]) -> None:
    assert layer_map(teacher, student) == wanted
