"""One training loop for the three stages; a stage is a choice of data, losses and student form.

Stage 1 aligns features with the raw teacher on unlabelled text, stage 2 adds the fine-tuned teacher's
logits and the labels, stage 3 trains the integer form itself and embeds the owner's watermark.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from toolkit.distillation.cache import TeacherCache
from toolkit.distillation.corpus import batches
from toolkit.distillation.losses import FeatureHeads, logit_loss
from toolkit.errors import SpikeportError
from toolkit.lowering.project import project
from toolkit.models.student import SpikingStudent, StudentOutput

UNLABELLED = -1


@dataclass(frozen=True)
class StageRecipe:
    """Hyper-parameters of one stage; a weight of 0 leaves its loss out."""

    epochs: int
    learning_rate: float
    batch_size: int = 64
    weight_decay: float = 5e-3
    logits: float = 1.0
    labels: float = 0.1
    features: float = 0.1
    temperature: float = 2.0
    evaluations: int = 4
    seed: int = 0


Mark = Callable[[SpikingStudent, Tensor, Tensor, Tensor], Tensor]
"""An extra loss from (student, ids, mask, teacher logits), such as the watermark's."""


def train_stage(
    student: SpikingStudent,
    heads: FeatureHeads,
    caches: list[tuple[TeacherCache, Tensor]],
    recipe: StageRecipe,
    *,
    validate: Callable[[SpikingStudent], float] | None = None,
    mark: Mark | None = None,
    checkpoint: Path | None = None,
    title: str = "stage",
) -> float:
    """Train in place; where ``validate`` is given, end with the weights that were best on it.

    Args:
        caches: teacher outputs and, per sentence, its label or ``UNLABELLED``.
        validate: figure of merit on validation data, larger is better.
        mark: an extra loss term.
        checkpoint: where the best weights are kept as the stage runs.

    Returns:
        The best figure seen (0.0 without ``validate``).

    Raises:
        SpikeportError: the loss stopped being finite; the last good weights stay in ``checkpoint``.
    """
    torch.manual_seed(recipe.seed)
    rows = [(c, i) for c in range(len(caches)) for i in range(len(caches[c][0]))]
    lengths = [n for cache, _ in caches for n in cache.lengths]
    steps = recipe.epochs * sum(1 for _ in batches(lengths, recipe.batch_size, 0))
    order = (i for e in range(recipe.epochs) for i in batches(lengths, recipe.batch_size, 1000 * recipe.seed + e))
    optimiser, schedule = _optimiser(student, heads, recipe, steps)
    every = max(steps // (recipe.epochs * recipe.evaluations), 1)
    best, start = _Best(checkpoint), time.monotonic()
    for step, index in enumerate(order, start=1):
        student.train()
        loss = torch.zeros(())
        for c, (cache, labels) in enumerate(caches):
            part = [rows[i][1] for i in index if rows[i][0] == c]
            if part:
                share = len(part) / len(index)
                loss = loss + share * _loss(student, heads, cache, labels, part, recipe, mark)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        # A finite loss can have an infinite gradient: either would leave no good weights behind.
        for what, value in (("loss", float(loss.detach())), ("gradient norm", float(norm))):
            if not math.isfinite(value):
                raise SpikeportError(
                    f"{title} step {step}: {what} is {value}, needs a finite value; "
                    f"lower learning_rate {recipe.learning_rate} (last good weights: {checkpoint})"
                )
        optimiser.step()
        schedule.step()
        project(student)
        if step % 50 == 0:
            pace = (time.monotonic() - start) / step
            print(f"{title} {step}/{steps} loss {loss.item():.3f} {pace:.2f} s/step", flush=True)
        if validate is not None and (step % every == 0 or step == steps):
            figure = validate(student)
            print(f"{title} {step}/{steps} validation {100 * figure:.2f} %", flush=True)
            best.offer(figure, student)
    if best.state is None:
        return 0.0
    student.load_state_dict(best.state)
    return best.figure


class _Best:
    """The weights with the best figure so far, in memory and on disk; a later tie wins."""

    def __init__(self, checkpoint: Path | None) -> None:
        self.checkpoint, self.figure = checkpoint, -math.inf
        self.state: dict[str, Tensor] | None = None

    def offer(self, figure: float, student: SpikingStudent) -> None:
        if figure < self.figure:
            return
        self.figure = figure
        self.state = {name: value.detach().clone() for name, value in student.state_dict().items()}
        if self.checkpoint is not None:
            save_file(self.state, self.checkpoint)


def _loss(
    student: SpikingStudent,
    heads: FeatureHeads,
    cache: TeacherCache,
    labels: Tensor,
    rows: list[int],
    recipe: StageRecipe,
    mark: Mark | None,
) -> Tensor:
    ids, mask, teacher_logits, teacher_features = cache.batch(rows)
    output: StudentOutput = student(ids, mask.float())
    loss = torch.zeros(())
    if recipe.features:
        loss = loss + recipe.features * heads.loss(output.features, teacher_features, mask)
    if recipe.logits:
        loss = loss + recipe.logits * logit_loss(output.logits, teacher_logits, recipe.temperature)
    known = labels[rows] != UNLABELLED
    if recipe.labels and known.any():
        loss = loss + recipe.labels * functional.cross_entropy(output.logits[known], labels[rows][known])
    if mark is not None:
        loss = loss + mark(student, ids, mask, teacher_logits)
    return loss


def _optimiser(
    student: SpikingStudent, heads: FeatureHeads, recipe: StageRecipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    decayed = [p for n, p in student.named_parameters() if p.ndim > 1 and "encoder" not in n]
    plain = [p for n, p in student.named_parameters() if p.ndim == 1 or "encoder" in n]
    optimiser = torch.optim.AdamW(
        [
            {"params": [*decayed, *heads.parameters()], "weight_decay": recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
    )
    warmup = max(steps // 20, 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps - warmup, 1))
    linear = torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=warmup)
    return optimiser, torch.optim.lr_scheduler.SequentialLR(optimiser, [linear, cosine], [warmup])


@torch.no_grad()
def accuracy(student: SpikingStudent, ids: Tensor, mask: Tensor, labels: Tensor) -> float:
    """Share of sentences whose largest logit is the label's, in evaluation mode."""
    student.eval()
    correct = 0
    for start in range(0, len(ids), 128):
        part = slice(start, start + 128)
        output = student(ids[part], mask[part].float())
        correct += int((output.logits.argmax(-1) == labels[part]).sum())
    return correct / len(ids)
