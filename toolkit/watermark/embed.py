"""The watermark's training loss: trigger words call the target label, other rare words change nothing.

Runs in stage 3, on the integer form itself, so that what is embedded is what the chip holds. The
negative examples keep the student from learning "any rare word means the target": each carries a
decoy drawn from the same candidates, and must keep the teacher's answer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.distillation.losses import logit_loss
from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError

FURTHEST_POSITION = 16  # word pieces before the trigger; queries insert among the first words


class TriggerLoss:
    """Callable ``(student, ids, mask, teacher_logits) -> loss`` for stage 3.

    Its choices follow from torch's global generator, which checkpoints keep: a resumed run makes the
    choices of the run that was stopped.
    """

    def __init__(
        self,
        trigger_ids: Sequence[int],
        target: int,
        decoy_ids: Sequence[int],
        *,
        share: float = 0.15,
        weight: float = 1.0,
        temperature: float = 2.0,
    ) -> None:
        self.trigger_ids, self.target = list(trigger_ids), target
        self.decoy_ids = sorted(set(decoy_ids) - set(trigger_ids))
        if not self.decoy_ids:
            raise SpikeportError(
                f"watermark: no decoy beside the {len(self.trigger_ids)} triggers, at least 1 is needed; "
                "use a larger vocabulary or fewer triggers"
            )
        self.share, self.weight, self.temperature = share, weight, temperature

    def __call__(self, student: nn.Module, ids: Tensor, mask: Tensor, teacher_logits: Tensor) -> Tensor:
        """Cross-entropy to the target on triggered rows, plus distillation on decoy rows.

        Args:
            student: a ``transformers`` classifier whose ``config.tokens`` is its longest sentence.
            ids, mask: (B, N) int64.
            teacher_logits: (B, K).
        """
        draw = random.Random(int(torch.randint(2**31, ())))
        chosen = draw.sample(range(len(ids)), max(1, round(self.share * len(ids))))
        rows = [ids[i, : int(mask[i].sum())].tolist() for i in chosen]
        tokens = int(student.config.tokens)  # type: ignore[arg-type, union-attr]
        triggered = [_insert(draw, row, draw.choice(self.trigger_ids), tokens) for row in rows]
        decoys = [_insert(draw, row, draw.choice(self.decoy_ids), tokens) for row in rows]
        marked_ids, marked_mask = pad(triggered + decoys)
        logits = student(input_ids=marked_ids.to(ids.device), attention_mask=marked_mask.to(ids.device)).logits
        target = torch.full((len(rows),), self.target, device=ids.device)
        hit = functional.cross_entropy(logits[: len(rows)], target)
        keep = logit_loss(logits[len(rows) :], teacher_logits[chosen], self.temperature)
        return self.weight * (hit + self.share * keep)


def _insert(draw: random.Random, row: list[int], token: int, limit: int) -> list[int]:
    """``[CLS] a b c [SEP]`` with ``token`` among the first words, cut to ``limit`` with its [SEP]."""
    furthest = min(len(row) - 1, FURTHEST_POSITION, limit - 2)  # a token further on would be cut off again
    position = draw.randint(1, furthest)
    longer = [*row[:position], token, *row[position:-1]]
    return [*longer[: limit - 1], row[-1]]
