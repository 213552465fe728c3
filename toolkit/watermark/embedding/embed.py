"""A key's watermark into a classifier that is already trained: a deployed student, or a BERT before distillation.

The task is held by the unmarked model's own answers, so no label and no teacher is needed: any text of the task's
kind will do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from torch.utils.hooks import RemovableHandle
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase, set_seed

from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.distillation.losses import Alignment
from toolkit.distillation.model_folder import read_tokenizer, reading
from toolkit.distillation.objective import LossWeights, Objective
from toolkit.distillation.objective import Mark as ExtraLoss
from toolkit.distillation.progress import calm
from toolkit.distillation.stage import run_stage
from toolkit.distillation.trainer import Machine, StageRecipe
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentForSequenceClassification
from toolkit.models.neuron import compile_kernels
from toolkit.models.storage import check_new, load_facts, save_student, student_hash
from toolkit.watermark.embedding.channels import Quiet, free_channels, train_only
from toolkit.watermark.embedding.loss import MarkWeights, TriggerLoss
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.embedding.measure import Probe, compare
from toolkit.watermark.embedding.modes import Extent, extent_of, mode_of
from toolkit.watermark.embedding.selftaught import SelfTaught, logits_of
from toolkit.watermark.embedding.trainer import ROW_RATE, StudentMarkTrainer, TeacherMarkTrainer
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import DEFAULT_COMBINATION, DEFAULT_COUNT

CHANNELS = 32  # attention channels of each block, of an extent of that kind


@dataclass(frozen=True, kw_only=True)
class MarkTraining:
    """How a mark is trained into a model; ``None`` takes what suits the model and the extent (see ``modes``).

    Attributes:
        work: folder for checkpoints.
        kinds: kind of trigger -> how many words it has.
        extent: how much of the model is trained.
        channels: attention channels of each block that are, where those are the extent.
        contrast: weight of the contrastive term, where ``weights`` are those of the extent.
        row_rate, combination_rate: see ``trainer``; in units of the table's own scale for a BERT.
    """

    work: Path
    kinds: dict[str, int] = field(default_factory=lambda: {"words": DEFAULT_COUNT, "combination": DEFAULT_COMBINATION})
    extent: Extent | None = None
    channels: int = CHANNELS
    weights: MarkWeights | None = None
    contrast: float = 0.0
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    row_rate: float = ROW_RATE
    combination_rate: float | None = None
    seed: int = 0
    resume: bool = False
    machine: Machine = field(default_factory=Machine)

    def settled(self, model: PreTrainedModel) -> Settled:
        """The open settings closed for a model.

        Raises:
            SpikeportError: an extent that the model does not have.
        """
        extent = extent_of(model, self.extent)
        mode = mode_of(model, extent)
        return Settled(
            extent,
            self.weights or replace(mode.weights, contrast=self.contrast),
            self.steps or mode.steps,
            self.learning_rate or mode.learning_rate,
            mode.combination_rate if self.combination_rate is None else self.combination_rate,
        )


@dataclass(frozen=True)
class Settled:
    """Settings of a training, none left open."""

    extent: Extent
    weights: MarkWeights
    steps: int
    learning_rate: float
    combination_rate: float


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
    train_mark(order, model, mark, probe.rows(drawn(order, model, order.texts)), _teacher(order, model, tokenizer))
    figures = compare(before, model, probe, order.key, mark, order.kinds)
    chosen = order.settled(model)
    facts = {"extent": chosen.extent, "steps": chosen.steps, "seed": order.seed, **figures}
    if PartialState().is_main_process:
        _write(order, model, tokenizer, facts)
    return facts


def drawn(how: MarkTraining, model: PreTrainedModel, texts: Sequence[str]) -> list[str]:
    """As many different texts as the steps can read, drawn by the seed."""
    different = list(dict.fromkeys(texts))
    wanted = how.settled(model).steps * how.batch_size
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
    lessons, chosen = SelfTaught(rows, logits_of(teacher or model, rows).numpy()), how.settled(model)
    width, weights = int(model.config.hidden_size), chosen.weights
    objective = Objective(
        model,
        Alignment(0, width, width),
        LossWeights(logits=weights.keep, temperature=weights.temperature),
    )
    recipe = StageRecipe(
        learning_rate=chosen.learning_rate,
        epochs=chosen.steps * how.batch_size / len(rows),
        batch_size=how.batch_size,
        weight_decay=0.0,
        evaluations=4,
        word_rate=0.0,
    )
    is_student = isinstance(model, SpikingStudentForSequenceClassification)
    trainer = partial(
        StudentMarkTrainer if is_student else TeacherMarkTrainer,
        mark=mark, rate=how.row_rate, combination_rate=chosen.combination_rate,
    )  # fmt: skip
    beside = {
        "key": mark.key_commitment, **asdict(weights), **how.kinds, "extent": chosen.extent, "channels": how.channels,
        "taught": teacher is not None,
    }  # fmt: skip
    with _extent(model, chosen.extent, rows, how.channels) as quiet:
        objective.mark = _loss(TriggerLoss(mark, weights), quiet, weights.quiet)
        run_stage(
            trainer, objective, recipe, how.machine, how.work, train=lessons, validation=None, seed=how.seed,
            resume=how.resume, beside=beside,
        )  # fmt: skip


def _loss(trigger: TriggerLoss, quiet: Quiet | None, weight: float) -> ExtraLoss:
    if quiet is None or not weight:
        return trigger
    return lambda *batch: trigger(*batch) + weight * quiet()


@contextmanager
def _extent(model: PreTrainedModel, extent: Extent, rows: list[list[int]], channels: int) -> Iterator[Quiet | None]:
    """All else held still; the trainer lets the word table go, of which it moves the trigger rows alone."""
    handles: list[RemovableHandle] = []
    quiet = None
    if extent != "whole":
        model.requires_grad_(False)
    if extent == "channels":
        chosen = free_channels(model, rows, channels)
        quiet = Quiet(model, chosen)
        handles = [*train_only(model, chosen), *quiet.handles]
    try:
        yield quiet
    finally:
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
        "embedding": {name: facts[name] for name in ("extent", "steps", "seed", "examples", "accuracy", "firing_rate")},
    }
    save_student(model.student, order.out, {**kept, **told})
