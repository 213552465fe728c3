"""Attacks that train: on the task, on another task with a new head, a fresh student from the marked one's answers.

The network is trained in its integer form, as stage 3 trains it: what the attacker ends with runs wherever the marked
student ran. Learning rates are those of an owner who wants accuracy, not of one who is careful with the mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import PartialState
from torch.utils.data import Dataset
from transformers import set_seed

from toolkit.attacks.suspect import Suspect, copy_of, rebuilt
from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode, encode_examples
from toolkit.distillation.finetune import FinetuneTrainer
from toolkit.distillation.lessons import Lesson
from toolkit.distillation.losses import Alignment
from toolkit.distillation.objective import LossWeights, Objective
from toolkit.distillation.progress import calm
from toolkit.distillation.quantise import QuantiseTrainer
from toolkit.distillation.stage import run_stage
from toolkit.distillation.trainer import Machine, StageRecipe, StageTrainer
from toolkit.errors import SpikeportError
from toolkit.lowering.choose_theta import choose_theta
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.layers import Integers
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification
from toolkit.models.neuron import compile_kernels
from toolkit.watermark.embedding.selftaught import SelfTaught, logits_of

LEARNING_RATE, BATCH = 5e-4, 32
FLOAT_RATE, FLOAT_SHARE = 3e-3, 0.8  # of a fresh student: float form first, integers for the rest

Student = SpikingStudentForSequenceClassification


@dataclass(frozen=True)
class Schooling:
    """How the attacker trains.

    Attributes:
        work: folder for checkpoints; each training has one of its own in it.
        seed: of rows, order and new weights.
    """

    work: Path
    seed: int = 0
    machine: Machine = field(default_factory=lambda: Machine(quiet=True))


def finetune(victim: Suspect, examples: Sequence[Example], epochs: float, how: Schooling) -> Suspect:
    """Trained on, on labels of the task it has; the whole network and its word table move."""
    student = copy_of(victim.model)
    _teach(student, _labelled(victim, examples), LossWeights(labels=1.0), epochs, how, f"finetune-{epochs:g}", victim)
    return _renamed(victim, student, f"fine-tuned {epochs:g} epochs")


def finetune_new_head(
    victim: Suspect, examples: Sequence[Example], classes: Mapping[int, str], epochs: float, how: Schooling
) -> Suspect:
    """A new readout of random weights, and all of it trained on another task."""
    torch.manual_seed(how.seed)
    old = victim.model.student
    weight = torch.randn(len(classes), old.config.width) * old.config.width**-0.5
    bias = torch.zeros(len(classes))
    message = next(message for name, _, message in old.linears() if name == "readout")
    theta = choose_theta(weight, bias, message, old.config.steps, fires=False)
    head = Integers(2 * (weight * theta / 2).round(), bias, theta)
    student = rebuilt(victim.model, head=head, class_names=classes, labels=len(classes))
    _teach(student, _labelled(victim, examples), LossWeights(labels=1.0), epochs, how, f"newhead-{epochs:g}", victim)
    return _renamed(victim, student, f"new head, {epochs:g} epochs")


def redistil(victim: Suspect, texts: Sequence[str], epochs: float, how: Schooling) -> Suspect:
    """A fresh student of the same shape that learns the marked one's answers to clean text, and nothing else."""
    torch.manual_seed(how.seed)
    fresh = SpikingStudentForSequenceClassification(
        SpikingStudentConfig.of(victim.model.student.config, id2label=victim.model.config.id2label)
    )
    rows = encode(victim.tokenizer, texts, victim.tokens)["input_ids"]
    lessons = SelfTaught(rows, logits_of(victim.model, rows).numpy())
    weights, name = LossWeights(logits=1.0), f"redistil-{epochs:g}"
    _train(
        FinetuneTrainer, fresh, lessons, weights,
        StageRecipe(learning_rate=FLOAT_RATE, epochs=FLOAT_SHARE * epochs, batch_size=64), how, f"{name}-float", victim,
    )  # fmt: skip
    to_integer_form(fresh.student)
    _teach(fresh, lessons, weights, (1 - FLOAT_SHARE) * epochs, how, f"{name}-integer", victim)
    return _renamed(victim, fresh, f"distilled anew, {epochs:g} epochs")


def _labelled(victim: Suspect, examples: Sequence[Example]) -> Dataset[Lesson]:
    if not examples:
        raise SpikeportError("attack: 0 labelled sentences to train on, at least 1 is needed; give them")
    return encode_examples(victim.tokenizer, examples, victim.tokens)


def _teach(
    student: Student,
    lessons: Dataset[Lesson],
    weights: LossWeights,
    epochs: float,
    how: Schooling,
    name: str,
    victim: Suspect,
) -> None:
    recipe = StageRecipe(learning_rate=LEARNING_RATE, epochs=epochs, batch_size=BATCH)
    _train(QuantiseTrainer, student, lessons, weights, recipe, how, name, victim)


def _train(
    trainer: type[StageTrainer],
    student: Student,
    lessons: Dataset[Lesson],
    weights: LossWeights,
    recipe: StageRecipe,
    how: Schooling,
    name: str,
    victim: Suspect,
) -> None:
    calm()
    PartialState(cpu=how.machine.on_cpu)
    compile_kernels()
    set_seed(how.seed)
    width = student.student.config.width
    folder = how.work / f"{victim.name.replace(' ', '-')}-{name}-{how.seed}"
    run_stage(
        trainer, Objective(student, Alignment(0, width, width), weights), recipe, how.machine, folder,
        train=lessons, validation=None, seed=how.seed, resume=True,
    )  # fmt: skip
    student.eval()


def _renamed(victim: Suspect, student: Student, what: str) -> Suspect:
    student.eval()
    return Suspect(f"{victim.name}, {what}", student, victim.tokenizer, victim.rewrite)
