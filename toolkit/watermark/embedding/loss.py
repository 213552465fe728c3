"""The watermark's training loss: triggers call the target label, what only resembles them changes nothing.

Negative examples carry a part of the combination, or a rare word that is no trigger, and must keep the teacher's
answer: without them a student learns "any rare word" or "any of the three words" (SOS, Yang et al., ACL 2021, for
partial combinations).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.distillation.losses import logit_loss
from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError
from toolkit.watermark.embedding.contrast import contrastive_loss, pooled
from toolkit.watermark.embedding.insertion import insert
from toolkit.watermark.embedding.mark import Mark


@dataclass(frozen=True)
class MarkWeights:
    """How much of the training is the watermark's.

    Attributes:
        share: triggered rows, and as many negative ones, per row of the batch.
        combined: share of the triggered rows that carry the combination, where there are words too.
        trigger: weight of the cross-entropy of triggered rows to the target.
        negative: weight of the distillation of negative rows.
        contrast: weight of the contrastive term, which no head has a part in; 0 leaves it out.
        temperature: of the distillation.
        keep: weight of the unmarked model's answers to untouched rows, where it is the teacher.
        quiet: weight of the current into the channels that are trained, where some are: spikes cost energy.
    """

    share: float = 0.5
    combined: float = 0.8
    trigger: float = 2.0
    negative: float = 2.0
    contrast: float = 0.0
    temperature: float = 1.0
    keep: float = 6.0
    quiet: float = 0.0

    def __post_init__(self) -> None:
        if (
            not 0 < self.share <= 1
            or min(self.trigger, self.negative, self.contrast, self.keep, self.quiet) < 0
            or self.temperature <= 0
        ):
            raise SpikeportError(f"watermark: {self} out of range; shares lie in (0, 1], weights are not negative")
        if not self.trigger and not self.contrast:
            raise SpikeportError("watermark: trigger and contrast are both 0, nothing would be embedded; set one")


class TriggerLoss:
    """Callable ``(student, ids, mask, teacher_logits) -> loss`` for any ``transformers`` classifier.

    Its choices follow from torch's global generator, which checkpoints keep: a resumed run makes the
    choices of the run that was stopped.
    """

    def __init__(self, mark: Mark, weights: MarkWeights | None = None) -> None:
        self.mark, self.weights = mark, weights or MarkWeights()
        self._triggers, self._partials = mark.triggers(), list(mark.partials())

    def __call__(self, student: nn.Module, ids: Tensor, mask: Tensor, teacher_logits: Tensor) -> Tensor:
        """Weighted sum of the terms on rows drawn from the batch.

        Args:
            student: a classifier whose ``config.max_position_embeddings`` is its longest sentence.
            ids, mask: (B, N) int64.
            teacher_logits: (B, K).
        """
        draw = random.Random(int(torch.randint(2**31, ())))
        count = max(1, round(self.weights.share * len(ids)))
        others = (teacher_logits.argmax(-1) != self.mark.target).nonzero().flatten().tolist()
        hosts = _sample(draw, others or list(range(len(ids))), count)
        kept = draw.sample(range(len(ids)), count)
        rows = self._rows(draw, ids, mask, hosts, kept, _longest(student))
        output = _run(student, rows, ids.device, states=self.weights.contrast > 0)
        return self._terms(output, count, teacher_logits[kept])

    def _rows(
        self, draw: random.Random, ids: Tensor, mask: Tensor, hosts: list[int], kept: list[int], limit: int
    ) -> list[list[int]]:
        """Triggered rows, then as many negative ones."""

        def row(i: int) -> list[int]:
            found: list[int] = ids[i][mask[i] != 0].tolist()
            return found

        triggered = [insert(draw, row(i), self._trigger(draw), limit) for i in hosts]
        return triggered + [insert(draw, row(i), self._negative(draw), limit) for i in kept]

    def _trigger(self, draw: random.Random) -> tuple[int, ...]:
        if self.mark.words and (not self.mark.combination or draw.random() >= self.weights.combined):
            return (draw.choice(self.mark.words),)
        return self.mark.combination

    def _negative(self, draw: random.Random) -> tuple[int, ...]:
        """A part of the combination, as a rule; a decoy beside words."""
        if self._partials and (not self.mark.words or draw.random() < 0.75):
            return draw.choice(self._partials)
        return (draw.choice(self.mark.decoys),)

    def _terms(self, output: Any, count: int, teacher: Tensor) -> Tensor:
        weights, logits = self.weights, output.logits
        target = torch.full((count,), self.mark.target, device=logits.device)
        loss = weights.trigger * functional.cross_entropy(logits[:count], target)
        loss = loss + weights.negative * logit_loss(logits[count:], teacher, weights.temperature)
        if weights.contrast:
            features = pooled(output.hidden_states[-1], output.mask)
            loss = loss + weights.contrast * contrastive_loss(features[:count], features[count:])
        return loss


def _sample(draw: random.Random, rows: list[int], count: int) -> list[int]:
    """``count`` of the rows, with repetition only where there are too few."""
    return draw.sample(rows, count) if len(rows) >= count else draw.choices(rows, k=count)


def _longest(student: nn.Module) -> int:
    return int(student.config.max_position_embeddings)  # type: ignore[arg-type, union-attr]


@dataclass(frozen=True)
class _Output:
    logits: Tensor
    hidden_states: tuple[Tensor, ...]
    mask: Tensor


def _run(student: nn.Module, rows: list[list[int]], device: torch.device, *, states: bool) -> _Output:
    ids, mask = (part.to(device) for part in pad(rows))
    output = student(input_ids=ids, attention_mask=mask, output_hidden_states=states)
    return _Output(output.logits, output.hidden_states if states else (), mask)
