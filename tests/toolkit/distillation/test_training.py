"""Training itself: it learns, it stops where a value is not finite, and a weight of 0 leaves its term out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

pytest.importorskip("transformers")

from simulators import simulate
from tests.toolkit.distillation.pupils import made_up_cache
from tests.toolkit.distillation.world import MACHINE, World
from tests.toolkit.models.tiny import encoded, padded, some_sentences, tiny_config
from toolkit.distillation.finetune import FinetuneTrainer
from toolkit.distillation.lessons import Answers, Lesson, Lessons, collate
from toolkit.distillation.losses import Alignment
from toolkit.distillation.objective import LossWeights, Objective
from toolkit.distillation.quantise import QuantiseTrainer
from toolkit.distillation.stage import run_stage
from toolkit.distillation.trainer import Machine, SimilarLengths, StageRecipe, latest_checkpoint
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.pipeline import lower
from toolkit.models.modeling import SpikingStudentConfig
from toolkit.models.modeling import SpikingStudentForSequenceClassification as Model
from toolkit.models.student import integer_logits

RECIPE = StageRecipe(learning_rate=1e-2, epochs=2, batch_size=12, evaluations=4)
WEIGHTS = LossWeights(logits=1.0, labels=0.2, features=0.1)


def student(kind: str = "sdsa", **changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(SpikingStudentConfig.of(tiny_config(kind, **{"labels": 2, "layers": 2} | changes)))


def made_up_lessons(sentences: int = 48, seed: int = 0) -> Lessons:
    return Lessons([made_up_cache(sentences, seed)], features=True)


def checks(lessons: Lessons) -> Answers:
    """The same rows as validation data, which has no teacher."""
    rows = [lessons[i] for i in range(len(lessons))]
    return Answers({"input_ids": [list(row["ids"]) for row in rows]}, [row["label"] for row in rows])


class Spoilt(Dataset[Lesson]):
    """Lessons of which one has an infinite logit of the teacher."""

    def __init__(self, lessons: Lessons, row: int) -> None:
        self.lessons, self.row, self.lengths = lessons, row, lessons.lengths

    def __len__(self) -> int:
        return len(self.lessons)

    def __getitem__(self, row: int) -> Lesson:
        lesson = self.lessons[row]
        if row == self.row:
            lesson["logits"] = np.array([np.inf, 0], np.float32)
        return lesson


def train(objective: Objective, folder: Path, rows: Any, recipe: StageRecipe = RECIPE, **options: Any) -> float | None:
    settings = {"validation": checks(made_up_lessons(24)), "seed": 0, "resume": False, "train": rows} | options
    kind = settings.pop("kind", FinetuneTrainer)
    return run_stage(kind, objective, recipe, settings.pop("machine", MACHINE), folder, **settings)


def one_line(error: pytest.ExceptionInfo[SpikeportError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loss_that_is_not_finite_stops_and_leaves_a_good_checkpoint(tmp_path: Path) -> None:
    lessons = made_up_lessons()
    spoilt = Spoilt(lessons, 17)
    objective = Objective(student(), Alignment(2, 16, 12), WEIGHTS)
    train(objective, tmp_path, lessons, replace(RECIPE, epochs=1))  # 4 good steps
    forget(tmp_path)
    good = latest_checkpoint(tmp_path)
    with pytest.raises(SpikeportError) as stopped:
        train(objective, tmp_path, spoilt, replace(RECIPE, epochs=2), resume=True)
    message = one_line(stopped)
    assert "stage 2, step " in message and ("loss is nan" in message or "loss is inf" in message)
    step = int(message.partition("step ")[2].partition(",")[0])
    rows = [int(r) for r in message.partition("rows ")[2].partition(" ...")[0].partition(":")[0].split(",")]
    assert 5 <= step <= 8 and len(rows) == 8 and len(set(rows)) == 8
    batches = [list(part) for part in np.array(_order(lessons, 12, epoch=1)).reshape(4, 12)]
    assert set(rows) < set(batches[step - 5]) and 17 in batches[step - 5]
    newest = latest_checkpoint(tmp_path)
    assert good is not None and newest is not None and str(newest) in message
    for parameter in objective.parameters():  # nothing of the bad batch went into the weights
        assert torch.isfinite(parameter).all()
    fresh = Objective(student(), Alignment(2, 16, 12), WEIGHTS)
    forget(tmp_path)
    train(fresh, tmp_path, lessons, RECIPE, resume=True)  # with the row mended it goes on
    assert all(torch.isfinite(p).all() for p in fresh.parameters())


def forget(folder: Path) -> None:
    """Leave the checkpoints only, so that a run of other length may go on from them."""
    for name in ("done.json", "started.json"):
        (folder / name).unlink(missing_ok=True)


def _order(lessons: Lessons, batch_size: int, epoch: int) -> list[int]:
    sampler = SimilarLengths(lessons.lengths, batch_size, 0)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_before_the_first_checkpoint_the_message_says_there_is_none(tmp_path: Path) -> None:
    lessons = made_up_lessons(12)
    with pytest.raises(SpikeportError) as stopped:
        train(Objective(student(), Alignment(2, 16, 12), WEIGHTS), tmp_path, Spoilt(lessons, 3))
    assert "step 1, batch of rows" in one_line(stopped) and "none yet" in str(stopped.value)


def test_a_gradient_that_is_not_finite_stops_before_it_is_applied(tmp_path: Path) -> None:
    """The root of zero is finite, its slope is not."""
    pupil, lessons = student(), made_up_lessons(12)
    start = {name: value.clone() for name, value in pupil.state_dict().items()}

    def mark(model: Any, *_: Any) -> torch.Tensor:
        bias = model.student.readout.bias
        return (bias - bias.detach()).square().sum().sqrt()

    with pytest.raises(SpikeportError) as stopped:
        train(Objective(pupil, Alignment(2, 16, 12), WEIGHTS, mark=mark), tmp_path, lessons)
    message = one_line(stopped)
    assert "stage 2, step 1" in message and "gradient norm is" in message
    for name, parameter in pupil.named_parameters():
        assert torch.equal(parameter, start[name]), name


def test_it_learns_the_toy_task_and_keeps_to_it(tmp_path: Path) -> None:
    """One of two words decides; a student that has learnt it is right on other sentences too."""
    lessons, other = made_up_lessons(96), made_up_lessons(96, seed=7)
    pupil = student()
    best = train(
        Objective(pupil, Alignment(2, 16, 12), WEIGHTS),
        tmp_path,
        lessons,
        replace(RECIPE, epochs=6),
        validation=checks(other),
    )
    batch = collate([other[i] for i in range(96)])
    majority = max(np.bincount(batch["labels"])) / 96
    with torch.no_grad():
        logits = pupil.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    accuracy = (logits.argmax(-1) == batch["labels"]).float().mean().item()
    assert majority < 0.6 and accuracy > 0.9
    assert best == pytest.approx(accuracy, abs=1e-6)  # these are the weights that the figure is of


def test_unlabelled_rows_alone_teach_the_teachers_answers(tmp_path: Path) -> None:
    cache, labels = made_up_cache(96)
    rows = Lessons([(cache, torch.full_like(labels, -1))], features=False)
    best = train(
        Objective(student(), Alignment(2, 16, 12), LossWeights(logits=1.0, labels=0.2)), tmp_path, rows,
        replace(RECIPE, epochs=6), validation=checks(made_up_lessons(96, seed=7)),
    )  # fmt: skip
    assert best is not None and best > 0.9


@pytest.mark.parametrize("name", ["logits", "labels", "features", "embeddings"])
def test_a_weight_of_zero_leaves_its_term_out(name: str) -> None:
    """Loss and gradients are those without what the term reads; the other three terms are all there."""
    weights = {"logits": 1.0, "labels": 0.3, "features": 0.2, "embeddings": 0.4}
    lessons, words = made_up_lessons(12), torch.randn(50, 12)
    batch = collate([lessons[i] for i in range(12)])
    batch.pop("rows")

    def loss_of(changes: dict[str, float]) -> tuple[float, Objective]:
        torch.manual_seed(1)
        objective = Objective(student(), Alignment(2, 16, 12), LossWeights(**(weights | changes)), words=words)
        value = objective(**batch)["loss"]
        value.backward()
        return value.item(), objective

    whole, _ = loss_of({})
    without, objective = loss_of({name: 0.0})
    alone, _ = loss_of({other: 0.0 for other in weights if other != name})
    assert alone > 0 and whole == pytest.approx(without + alone, rel=1e-5)
    twice, _ = loss_of({name: 2 * weights[name]})
    assert twice == pytest.approx(whole + alone, rel=1e-5)
    heads = {"features": objective.alignment.heads, "embeddings": objective.alignment.words}
    for term, module in heads.items():
        moved = any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())
        assert moved == (term != name), term


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, "all are 0"),
        ({"logits": -1.0}, "logits = -1.0"),
        ({"labels": 1.0, "features": -0.1}, "features = -0.1"),
        ({"logits": 1.0, "temperature": 0.0}, "temperature 0.0"),
        ({"logits": float("nan")}, "logits = nan"),
        ({"logits": float("inf")}, "logits = inf"),
    ],
)
def test_weights_that_teach_nothing_are_refused(weights: dict[str, float], said: str) -> None:
    with pytest.raises(SpikeportError, match=said):
        LossWeights(**weights)


@pytest.mark.parametrize("accumulation", [5, 24])
def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path, accumulation: int) -> None:
    with pytest.raises(SpikeportError, match=f"batch_size 12: not a multiple of 1 processes x {accumulation}"):
        train(
            Objective(student(), Alignment(2, 16, 12), WEIGHTS), tmp_path, made_up_lessons(12),
            replace(RECIPE, accumulation=accumulation),
        )  # fmt: skip


def test_a_folder_with_an_earlier_run_needs_resume(tmp_path: Path) -> None:
    objective, lessons = Objective(student(), Alignment(2, 16, 12), WEIGHTS), made_up_lessons(12)
    train(objective, tmp_path, lessons)
    with pytest.raises(SpikeportError) as finished:
        train(objective, tmp_path, lessons)
    (tmp_path / "done.json").unlink()
    with pytest.raises(SpikeportError) as stopped:
        train(objective, tmp_path, lessons)
    for error in (finished, stopped):
        assert str(tmp_path) in one_line(error) and "--resume" in str(error.value)


def test_mixed_precision_trains(tmp_path: Path) -> None:
    lessons = made_up_lessons(24)
    best = train(
        Objective(student(), Alignment(2, 16, 12), WEIGHTS), tmp_path, lessons,
        machine=Machine(precision="bf16", quiet=True, cpu=True),
    )  # fmt: skip
    assert best is not None and latest_checkpoint(tmp_path) is not None


def test_the_last_stage_takes_integer_students_only(tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match=r"block0\.q: not in integer form"):
        train(Objective(student(), Alignment(2, 16, 12), WEIGHTS), tmp_path, made_up_lessons(12), kind=QuantiseTrainer)


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_the_student_in_training_is_the_student_on_the_chip(tmp_path: Path, kind: str) -> None:
    """After stage 3 as it is, without another rounding: integer logits are those of the lowered graph, exactly."""
    pupil, lessons = student(kind, steps=4), made_up_lessons(48)
    train(Objective(pupil, Alignment(2, 16, 12), WEIGHTS), tmp_path / "float", lessons, replace(RECIPE, epochs=4))
    with torch.no_grad():
        pupil.student.blocks[0].fc1.norm.bias.fill_(40.0)  # weights for which rounding alone would leave the range
    to_integer_form(pupil.student)
    before = {name: layer.weight.clone() for name, layer in pupil.student.integers().items()}
    best = train(
        Objective(pupil, Alignment(2, 16, 12), replace(WEIGHTS, features=0.0)), tmp_path / "integer", lessons,
        replace(RECIPE, learning_rate=1e-2), kind=QuantiseTrainer,
    )  # fmt: skip
    after = pupil.student.integers()
    assert any(not torch.equal(after[name].weight, weight) for name, weight in before.items())
    lowered = lower(pupil.student)
    sentences = some_sentences(64, seed=3)
    ids, valid = padded(sentences, 8)
    logits = simulate(lowered.graph, encoded(pupil.student, sentences, 8).spikes, device="cpu").logits
    seen = np.asarray(logits).sum(axis=(1, 3))
    with torch.no_grad():
        output = pupil.eval().student(torch.tensor(ids), torch.tensor(valid).float())
    wanted = integer_logits(output).numpy()
    assert len(np.unique(wanted)) > 20
    np.testing.assert_array_equal(seen, wanted)
    assert best is not None


@pytest.mark.usefixtures("plain_kernels")
def test_stage_1_lowers_the_feature_loss(world: World, tmp_path: Path) -> None:
    recipe = world.recipe(stage1={"steps": 60, "evaluations": 12}, stage2={"epochs": 1}, stage3=None)
    world.distil(recipe, tmp_path)
    newest = latest_checkpoint(tmp_path / "stage1")
    assert newest is not None
    history = json.loads((newest / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert len(losses) == 12 and np.mean(losses[-2:]) < 0.6 * losses[0]
