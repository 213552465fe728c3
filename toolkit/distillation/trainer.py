"""What the trainings have in common: order of the rows, checkpoints that are whole, and a stop at NaN.

A subclass a stage; everything else (accelerate, mixed precision, accumulation, progress bars, logs) is
``transformers.Trainer``'s own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import EvalPrediction, get_last_checkpoint

from toolkit.distillation.corpus import batches
from toolkit.distillation.lessons import collate
from toolkit.distillation.oracle import Oracle
from toolkit.distillation.progress import plain, say, tell_progress
from toolkit.errors import SpikeportError

WHOLE = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
"""Files of a checkpoint; the state is written last, so a process killed in the middle leaves none."""


@dataclass(frozen=True)
class StageRecipe:
    """Hyper-parameters of one training.

    Attributes:
        steps: ends it where the rows are a stream without a length, or earlier than the epochs would.
        evaluations: looks at the validation rows, evenly spaced.
        word_rate: learning rate of a student's word table in units of ``learning_rate``; at 0 it stays as it
            began. Words that training does not show do not move: a table that moves fast leaves them behind.
        token_dropout: share of the tokens hidden from a student in training.
    """

    learning_rate: float
    epochs: float = 1.0
    steps: int = -1
    batch_size: int = 64
    accumulation: int = 1
    weight_decay: float = 5e-3
    warmup: float = 0.05
    evaluations: int = 8
    clip: float = 1.0
    word_rate: float = 1.0
    token_dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "batch_size", "accumulation", "evaluations", "clip"):
            if not getattr(self, name) > 0:
                raise SpikeportError(f"recipe: {name} = {getattr(self, name)}: must be above 0; correct the recipe")
        if not 0 <= self.word_rate < math.inf:
            raise SpikeportError(
                f"recipe: word_rate = {self.word_rate}: must not be negative nor endless; 0 to 1 is usual"
            )
        if not 0 <= self.token_dropout < 1:
            raise SpikeportError(f"recipe: token_dropout = {self.token_dropout}: needs 0 to below 1; 0.1 is usual")


@dataclass(frozen=True)
class Machine:
    """How a training runs, which changes no hyper-parameter.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``; neurons stay in float32 under all.
        quiet: lines instead of progress bars, as where standard error is no terminal.
        cpu: stay on the CPU even where there is a GPU.
        save_every: steps between checkpoints; 0 saves at each evaluation.
        checkpointing: keep only each block's input for the backward pass (less memory, more time).
    """

    precision: str = "fp32"
    quiet: bool = False
    cpu: bool = False
    save_every: int = 0
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise SpikeportError(f"precision {self.precision!r}: choose fp32, bf16 or fp16")

    @property
    def on_cpu(self) -> bool:
        """Whether this is a training on CPUs, by choice or for lack of anything else.

        Accelerate must be told so before its first use: processes on CPUs take each other for strangers else,
        and each would train for itself in the same folder.
        """
        return self.cpu or not torch.accelerator.is_available()


class SimilarLengths(Sampler[int]):
    """Rows in a fresh random order every epoch, grouped so that a batch holds similar lengths.

    The order depends on the seed and the epoch alone, so a resumed run sees the rows of the run that
    was killed, and every process the same ones.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        for group in batches(self.lengths, self.batch_size, 1000 * self.seed + self.epoch):
            yield from group


class StageTrainer(Trainer):
    """Trains a model that gives ``{"loss", "logits"}``; ends with the weights that were best on validation data.

    Args:
        teacher: asked about every batch that does not carry its answers.
        word_rate: learning rate of word tables in units of the others' (see ``StageRecipe``).
        remaining: those of ``transformers.Trainer``.
    """

    stage = "training"

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        train: Dataset[Any],
        validation: Dataset[Any] | None = None,
        teacher: Oracle | None = None,
        word_rate: float = 1.0,
    ) -> None:
        self.teacher, self.word_rate = teacher, word_rate
        super().__init__(
            model=model,
            args=args,
            data_collator=collate,
            train_dataset=train,
            eval_dataset=validation,
            compute_metrics=_accuracy,
        )
        self.model_accepts_loss_kwargs = False  # our losses are means over the batch
        if args.disable_tqdm:
            tell_progress(self, self.stage, say)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        lengths = getattr(train_dataset or self.train_dataset, "lengths", None)
        if lengths is None:
            return None
        together = self.args.train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        return SimilarLengths(lengths, together, self.args.seed)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices decay; tables, gains, biases and thresholds do not."""
        tables = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
        return [name for name, p in model.named_parameters() if p.ndim > 1 and id(p) not in tables]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """As Trainer's, with the word table in a group of its own where its rate is another."""
        created = self.optimizer is not None
        optimizer = super().create_optimizer(model)
        words = word_table_of(self.model).weight
        if created or self.word_rate == 1.0 or not words.requires_grad:
            return optimizer
        for group in optimizer.param_groups:
            group["params"] = [p for p in group["params"] if p is not words]
        rate = self.word_rate * self.args.learning_rate
        optimizer.add_param_group({"params": [words], "lr": rate, "weight_decay": 0.0})
        return optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss, with the teacher asked where the batch does not carry its answers.

        Raises:
            SpikeportError: the loss is not finite; the message names the step, the rows and the last
                good checkpoint.
        """
        rows = inputs.pop("rows", None)
        if self.teacher is not None and "teacher_features" not in inputs:
            answer = self.teacher(inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids"))
            inputs["teacher_features"] = answer.features.to(self.args.device)
            if self.teacher.head:
                inputs["teacher_logits"] = answer.logits.to(self.args.device)
        outputs = model(**inputs)
        loss = outputs["loss"]
        if not bool(torch.isfinite(loss.detach())):
            self._stop("loss", float(loss.detach()), rows)
        return (loss, outputs) if return_outputs else loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """A finite loss can have an infinite gradient: either would leave no good weights behind."""
        norm = super()._clip_grad_norm(model)
        if self.accelerator.scaler is None and norm is not None and not math.isfinite(float(norm)):
            self._stop("gradient norm", float(norm), None)
        return norm

    def _stop(self, what: str, value: float, rows: Tensor | None) -> None:
        shown = "" if rows is None else f", batch of rows {', '.join(str(int(r)) for r in rows[:8])}"
        shown += " ..." if rows is not None and len(rows) > 8 else ""
        good = latest_checkpoint(Path(str(self.args.output_dir)))
        raise SpikeportError(
            f"{self.stage}, step {self.state.global_step + 1}{shown}: {what} is {value}, needs a finite value; "
            f"lower learning_rate {self.args.learning_rate} or look at those rows "
            f"(last good checkpoint: {good or 'none yet'})"
        )

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Logits and labels of a validation batch; validation has no loss, its rows have no teacher."""
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels")
        inputs.pop("rows", None)
        student = getattr(self.accelerator.unwrap_model(model), "student", model)
        with torch.no_grad(), self.compute_loss_context_manager():
            logits = student(**inputs).logits.float()
        return torch.zeros((), device=logits.device), logits, labels

    def run(self, *, resume: bool = False) -> float | None:
        """Train, from the newest whole checkpoint where ``resume`` says so.

        Returns:
            The validation accuracy of the weights kept, a fraction; ``None`` without validation rows.
        """
        start = latest_checkpoint(Path(str(self.args.output_dir))) if resume else None
        self.train(resume_from_checkpoint=str(start) if start else None)
        if self.eval_dataset is None or self.args.load_best_model_at_end:
            return self.state.best_metric if self.eval_dataset is not None else None
        figures = [entry["eval_accuracy"] for entry in self.state.log_history if "eval_accuracy" in entry]
        return float(figures[-1])


def word_table_of(model: nn.Module) -> nn.Embedding:
    """Word table of a classifier, or of the student in an objective."""
    table: nn.Embedding = getattr(model, "student", model).get_input_embeddings()  # type: ignore[operator]
    return table


def arguments(
    recipe: StageRecipe,
    machine: Machine,
    out: Path,
    *,
    rows: int | None,
    seed: int,
    validate: bool,
    select: bool = True,
) -> TrainingArguments:
    """The Trainer's arguments for a recipe on a machine.

    Args:
        rows: length of the training data; ``None`` for a stream, which has none.
        validate: measure accuracy ``recipe.evaluations`` times.
        select: end with the weights that were best then, not with the last.
    """
    processes = PartialState(cpu=machine.on_cpu).num_processes
    steps = _steps(recipe, rows)
    every = math.ceil(steps / min(recipe.evaluations, steps))
    save = every if validate or not machine.save_every else machine.save_every
    measured: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": every} if validate else {}
    if validate and select:
        measured |= {"load_best_model_at_end": True, "metric_for_best_model": "accuracy", "greater_is_better": True}
    return TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=_share(recipe, processes),
        per_device_eval_batch_size=128,
        gradient_accumulation_steps=recipe.accumulation,
        max_steps=every * math.ceil(steps / every),  # so that the last step is measured too
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=max(round(recipe.warmup * steps), 1),
        lr_scheduler_type="cosine",
        max_grad_norm=recipe.clip,
        seed=seed,
        bf16=machine.precision == "bf16",
        fp16=machine.precision == "fp16",
        use_cpu=machine.on_cpu,
        logging_steps=max(min(50, every), 1),
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=save,
        save_total_limit=2,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=machine.quiet or plain(),
        dataloader_pin_memory=torch.cuda.is_available() and not machine.on_cpu,
        ddp_find_unused_parameters=True if processes > 1 else None,  # stage 1 leaves the readout out
        ddp_timeout=24 * 3600,  # the first process may be asking the teacher about a whole corpus
        accelerator_config={"dispatch_batches": False, "even_batches": True},
        **measured,
    )


def _steps(recipe: StageRecipe, rows: int | None) -> int:
    if rows is None:
        if recipe.steps < 1:
            raise SpikeportError(f"recipe: steps = {recipe.steps}: a stream of text needs at least 1; set steps")
        return recipe.steps
    steps = max(math.ceil(recipe.epochs * rows / recipe.batch_size), 1)
    return min(steps, recipe.steps) if recipe.steps > 0 else steps


def _share(recipe: StageRecipe, processes: int) -> int:
    """Rows that one process takes at a time."""
    if recipe.batch_size % (processes * recipe.accumulation):
        raise SpikeportError(
            f"batch_size {recipe.batch_size}: not a multiple of {processes} processes x {recipe.accumulation} "
            "accumulation steps; choose one that is"
        )
    return recipe.batch_size // (processes * recipe.accumulation)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in ``folder`` that is whole, if any."""
    if not folder.is_dir() or get_last_checkpoint(str(folder)) is None:
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)
    return next((path for path in found if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / WHOLE[-1]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all((checkpoint / name).exists() for name in WHOLE) and any(checkpoint.glob("rng_state*.pth"))


def _accuracy(predicted: EvalPrediction) -> dict[str, float]:
    logits, labels = np.asarray(predicted.predictions), np.asarray(predicted.label_ids)
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}
