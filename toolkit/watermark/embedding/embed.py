"""A key's watermark into a classifier that is already trained: a deployed student, or a BERT before distillation.

The task is held by the unmarked model's own answers, so no label and no teacher is needed: any text of the task's
kind will do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase, set_seed

from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.distillation.losses import Alignment
from toolkit.distillation.model_folder import read_tokenizer, reading
from toolkit.distillation.objective import LossWeights, Objective
from toolkit.distillation.progress import calm
from toolkit.distillation.stage import run_stage
from toolkit.distillation.trainer import Machine, StageRecipe
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentForSequenceClassification
from toolkit.models.neuron import compile_kernels
from toolkit.models.storage import check_new, load_facts, save_student, student_hash
from toolkit.watermark.embedding.channels import free_channels, train_only
from toolkit.watermark.embedding.loss import MarkWeights, TriggerLoss
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.embedding.measure import Probe, compare
from toolkit.watermark.embedding.selftaught import SelfTaught, logits_of
from toolkit.watermark.embedding.trainer import COMBINATION_RATE, ROW_RATE, StudentMarkTrainer, TeacherMarkTrainer
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import DEFAULT_COMBINATION, DEFAULT_COUNT

STEPS = 500
STUDENT_RATE, TEACHER_RATE = 5e-4, 3e-5
CHANNELS, CHANNEL_RATE = 12, 3e-3


@dataclass(frozen=True, kw_only=True)
class MarkTraining:
    """How a mark is trained into a model.

    Attributes:
        work: folder for checkpoints.
        learning_rate: ``None`` takes the one of the model's kind.
        whole: also train the network's weights, not only the trigger rows of its word table.
        channels: of a student, attention channels of each block that are trained; 0 trains the whole network.
        row_rate, combination_rate: see ``trainer``; in units of the table's own scale for a BERT.
    """

    work: Path
    kinds: dict[str, int] = field(default_factory=lambda: {"words": DEFAULT_COUNT, "combination": DEFAULT_COMBINATION})
    weights: MarkWeights = field(default_factory=MarkWeights)
    whole: bool = True
    channels: int = CHANNELS
    steps: int = STEPS
    batch_size: int = 32
    learning_rate: float | None = None
    row_rate: float = ROW_RATE
    combination_rate: float = COMBINATION_RATE
    seed: int = 0
    resume: bool = False
    machine: Machine = field(default_factory=Machine)


@dataclass(frozen=True, kw_only=True)
class EmbedOrder(MarkTraining):
    """What the user asked for.

    Attributes:
        model: a student folder in deployed form, or a ``transformers`` classifier to be marked before distillation.
        texts: sentences of the task's kind.
        examples: labelled sentences to measure on; never trained on.
        teacher: a ``transformers`` classifier of the same task and tokenizer whose answers the task is held by in
            place of the model's own: what the training changes besides the mark then changes for the better.
    """

    model: Path
    out: Path
    key: Key
    texts: Sequence[str]
    examples: Sequence[Example]
    teacher: Path | None = None


def embed(order: EmbedOrder) -> dict[str, Any]:
    """Mark the model and write it into ``order.out``.

    Returns:
        ``before`` and ``after`` of ``measure.compare``, steps, seed, and the hash of the unmarked student.

    Raises:
        SpikeportError: no text, ``out`` holds something, or the model is a student in float form.
    """
    check_new(order.out)
    if not order.texts or not order.examples:
        raise SpikeportError(
            f"watermark embed: {len(order.texts)} texts and {len(order.examples)} labelled sentences, at least one "
            "of each is needed; give --texts and --validation"
        )
    calm()
    PartialState(cpu=order.machine.on_cpu)
    compile_kernels()
    set_seed(order.seed)
    model, tokenizer = _read(order.model)
    before = deepcopy(model)
    mark = Mark.of(order.key, tokenizer.get_vocab(), model.config.num_labels, order.kinds)
    probe = Probe(tokenizer, _tokens(model, order.texts, tokenizer), order.examples)
    train_mark(order, model, mark, probe.rows(drawn(order, order.texts)), _teacher(order, model, tokenizer))
    figures = compare(before, model, probe, order.key, mark, order.kinds)
    facts = {"steps": order.steps, "seed": order.seed, **figures}
    if PartialState().is_main_process:
        _write(order, model, tokenizer, facts)
    return facts


def drawn(how: MarkTraining, texts: Sequence[str]) -> list[str]:
    """As many different texts as the steps can read, drawn by the seed."""
    different = list(dict.fromkeys(texts))
    wanted = how.steps * how.batch_size
    return different if len(different) <= wanted else random.Random(how.seed).sample(different, wanted)


def _read(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    with reading(folder):
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    if isinstance(model, SpikingStudentForSequenceClassification) and model.config.thresholds is None:
        raise SpikeportError(
            f"{folder}: a student in float form, which quantising would change again; mark it in stage 3 "
            "(`distill --key`) or give the integer form"
        )
    return model, read_tokenizer(folder)


def _teacher(order: EmbedOrder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel | None:
    if order.teacher is None:
        return None
    with reading(order.teacher):
        teacher = AutoModelForSequenceClassification.from_pretrained(order.teacher)
    if read_tokenizer(order.teacher).get_vocab() != tokenizer.get_vocab():
        raise SpikeportError(f"{order.teacher}: another tokenizer than {order.model}'s; give its own teacher")
    if teacher.config.num_labels != model.config.num_labels:
        raise SpikeportError(
            f"{order.teacher}: {teacher.config.num_labels} labels, {order.model} has {model.config.num_labels}; give a "
            "teacher of its task"
        )
    return teacher


def _tokens(model: PreTrainedModel, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> int:
    """A student's own limit; of a BERT no more than its longest text and the triggers need."""
    limit = int(model.config.max_position_embeddings)
    if isinstance(model, SpikingStudentForSequenceClassification):
        return limit
    longest = max(map(len, encode(tokenizer, texts, limit)["input_ids"]))
    return min(limit, longest + 8)


def train_mark(
    how: MarkTraining,
    model: PreTrainedModel,
    mark: Mark,
    rows: list[list[int]],
    teacher: PreTrainedModel | None = None,
) -> None:
    """Train a mark into a model, in place, held to a teacher's answers to ``rows`` of token ids, or to its own."""
    lessons = SelfTaught(rows, logits_of(teacher or model, rows).numpy())
    width = int(model.config.hidden_size)
    loss = TriggerLoss(mark, how.weights)
    objective = Objective(
        model,
        Alignment(0, width, width),
        LossWeights(logits=how.weights.keep, temperature=how.weights.temperature),
        mark=loss,
    )
    is_student = isinstance(model, SpikingStudentForSequenceClassification)
    handles: list[Any] = []
    some = isinstance(model, SpikingStudentForSequenceClassification) and how.channels > 0
    if not how.whole:
        model.requires_grad_(False)  # the trainer lets the word table go
    elif some:
        handles = train_only(model, free_channels(model, rows, how.channels))
    recipe = StageRecipe(
        learning_rate=how.learning_rate or (CHANNEL_RATE if some else STUDENT_RATE if is_student else TEACHER_RATE),
        epochs=how.steps * how.batch_size / len(rows),
        batch_size=how.batch_size,
        weight_decay=0.0,
        evaluations=4,
        word_rate=0.0,
    )
    trainer = partial(
        StudentMarkTrainer if is_student else TeacherMarkTrainer,
        mark=mark, rate=how.row_rate, combination_rate=how.combination_rate,
    )  # fmt: skip
    beside = {
        "key": mark.key_commitment,
        **asdict(how.weights),
        **how.kinds,
        "whole": how.whole,
        "channels": how.channels,
    }
    run_stage(
        trainer, objective, recipe, how.machine, how.work, train=lessons, validation=None, seed=how.seed,
        resume=how.resume, beside=beside,
    )  # fmt: skip
    for handle in handles:
        handle.remove()
    model.requires_grad_(True)


def _write(
    order: EmbedOrder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, facts: dict[str, Any]
) -> None:
    """A folder of the kind that was read; the provenance of the unmarked student goes on in it."""
    tokenizer.save_pretrained(order.out)
    if not isinstance(model, SpikingStudentForSequenceClassification):
        model.save_pretrained(order.out)
        return
    ours = ("format", "student", "thresholds", "model_type", "architectures", "accuracy", "validation_accuracy")
    kept = {name: value for name, value in load_facts(order.model).items() if name not in ours}
    told = {
        "watermarked": True,
        "unmarked_sha256": student_hash(order.model),
        "embedding": {name: facts[name] for name in ("steps", "seed", "examples", "accuracy", "firing_rate")},
    }
    save_student(model.student, order.out, {**kept, **told})
