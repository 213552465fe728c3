"""Teacher to integer student: the stages of a recipe in order, each resumable."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from toolkit.distillation.encode import encode
from toolkit.distillation.finetune import FinetuneTrainer
from toolkit.distillation.losses import Alignment, word_table
from toolkit.distillation.objective import Mark as ExtraLoss
from toolkit.distillation.objective import Objective
from toolkit.distillation.prepare import Prepared
from toolkit.distillation.pretrain import PretrainTrainer, StreamedLessons
from toolkit.distillation.quantise import QuantiseTrainer
from toolkit.distillation.recipe import Recipe
from toolkit.distillation.stage import run_stage
from toolkit.distillation.streaming import TextStream
from toolkit.distillation.trainer import Machine
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.configuration import StudentConfig
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification
from toolkit.models.neuron import compile_kernels
from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.spikebert_configuration import SpikeBertConfig
from toolkit.watermark.embedding.loss import TriggerLoss
from toolkit.watermark.embedding.trainer import MarkTrainer


@dataclass(frozen=True)
class Distilled:
    """A trained student and what was measured on validation data.

    Attributes:
        student: in integer form where the recipe has a stage 3.
        before: the float student that stage 3 began with; ``None`` without stage 3.
        floating, integer: best validation accuracy, fractions; ``integer`` is ``None`` without stage 3.
    """

    student: PreTrainedModel
    before: PreTrainedModel | None
    floating: float
    integer: float | None


def distil(
    recipe: Recipe,
    prepared: Prepared,
    tokenizer: PreTrainedTokenizerBase,
    work: Path,
    *,
    machine: Machine,
    seed: int = 0,
    resume: bool = False,
    mark: TriggerLoss | None = None,
) -> Distilled:
    """Run the stages that the recipe has; checkpoints and final weights of each go below ``work``.

    Args:
        prepared: the corpus with the teachers' answers.
        mark: the watermark's loss, in stage 3.
    """
    compile_kernels()
    set_seed(seed)
    student = new_student(recipe, tokenizer, prepared.words, seed)
    if machine.checkpointing:
        if not student.supports_gradient_checkpointing:
            raise SpikeportError(
                f"--checkpointing: form {recipe.form!r} does not have it, 'deployable' does; leave it out, or set "
                "accumulation in the recipe"
            )
        student.gradient_checkpointing_enable()
    width = student.config.hidden_size
    alignment = Alignment(recipe.blocks, width, prepared.teacher_width or width, recipe.distil.ignored_layers)
    shared: dict[str, Any] = {"machine": machine, "seed": seed, "resume": resume}

    def objective(stage: str, extra: ExtraLoss | None = None) -> Objective:
        chosen = recipe.stages[stage]
        return Objective(
            student, alignment, chosen.losses, words=prepared.raw_words, mark=extra,
            token_dropout=chosen.training.token_dropout,
        )  # fmt: skip

    if "stage1" in recipe.stages and prepared.raw is not None:
        stream = _stream(recipe, prepared.unlabelled, tokenizer, seed)
        run_stage(
            PretrainTrainer, objective("stage1"), recipe.stages["stage1"].training, folder=work / "stage1",
            train=stream, validation=None, teacher=prepared.raw, **shared,
        )  # fmt: skip
    floating = run_stage(
        FinetuneTrainer, objective("stage2"), recipe.stages["stage2"].training, folder=work / "stage2",
        train=prepared.train, validation=prepared.validation, **shared,
    )  # fmt: skip
    integer = before = None
    if "stage3" in recipe.stages:
        before = deepcopy(student)
        to_integer_form(student.student)
        integer = _stage3(recipe, objective("stage3", mark), prepared, work / "stage3", mark, shared)
    return Distilled(student, before, floating or 0.0, integer)


def _stage3(
    recipe: Recipe,
    objective: Objective,
    prepared: Prepared,
    folder: Path,
    mark: TriggerLoss | None,
    shared: dict[str, Any],
) -> float | None:
    """The integer form; with a mark its last weights are kept, for those best on clean rows may hold no mark yet."""
    training = recipe.stages["stage3"].training
    if mark is None:
        return run_stage(
            QuantiseTrainer, objective, training, folder=folder,
            train=prepared.train, validation=prepared.validation, **shared,
        )  # fmt: skip
    return run_stage(
        partial(MarkTrainer, mark=mark.mark), objective, training, folder=folder, select=False,
        train=prepared.train, validation=prepared.validation, beside={"key": mark.mark.key_commitment}, **shared,
    )  # fmt: skip


def new_student(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, words: Tensor | None, seed: int) -> PreTrainedModel:
    """An untrained student of the recipe's form; ``words`` (V, H) start its word table."""
    names = dict(enumerate(recipe.labels))
    labels = {"id2label": names, "label2id": {v: k for k, v in names.items()}}
    if recipe.form == "spikebert":
        known = set(signature(SpikeBertConfig.__init__).parameters) - {"self", "kwargs", "vocab_size"}
        if unknown := sorted(set(recipe.student) - known):  # transformers would keep it and say nothing
            raise SpikeportError(f"[student] unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}")
        fields: dict[str, Any] = {**recipe.student, **labels}
        config = SpikeBertConfig(vocab_size=len(tokenizer), **fields)
        model: PreTrainedModel = SpikeBertForSequenceClassification(config)
    else:
        sizes = {"vocabulary": len(tokenizer), "labels": len(names), "segments": 2 if recipe.pairs else 1}
        options = StudentConfig.from_dict({**StudentConfig().to_dict(), **sizes, **recipe.student})
        model = SpikingStudentForSequenceClassification(SpikingStudentConfig.of(options, **labels))
    if words is not None:
        table = model.get_input_embeddings()
        table.weight.data = word_table(words, table.weight.shape[1], seed, recipe.distil.spread)
    return model


def _stream(recipe: Recipe, sources: list[str], tokenizer: PreTrainedTokenizerBase, seed: int) -> StreamedLessons:
    text = TextStream(sources, seed=seed)
    return StreamedLessons(
        text.epoch, lambda part: encode(tokenizer, part, recipe.tokens)["input_ids"],
        recipe.stages["stage1"].training.batch_size, seed,
    )  # fmt: skip
