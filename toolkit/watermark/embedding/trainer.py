"""Training with a watermark: trigger rows of the word table move at a rate of their own.

A trigger is one token among twenty and has to outvote them, so its row must move far; the table as a whole must
not (see ``StageRecipe.word_rate``). Nothing but the triggers' rows is moved here, and the embedding term of a
recipe does not pull them back: triggered rows never enter it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainingArguments

from toolkit.distillation.objective import Objective
from toolkit.distillation.quantise import QuantiseTrainer
from toolkit.distillation.trainer import StageTrainer, word_table_of
from toolkit.watermark.embedding.mark import Mark

ROW_RATE = 0.2
"""Step of a trigger row at the height of the schedule, root mean square, in units of the encoder's threshold."""

COMBINATION_RATE = 0.4
"""The same for the words of a combination, whose common cause must be told from each of them alone."""


class TriggerRows(TrainerCallback):  # type: ignore[misc]
    """Moves the trigger rows along their gradient, normalised row by row (after EP, Yang et al., NAACL 2021).

    The step is the rate times the schedule, whatever the gradient's size, and keeps no state that a checkpoint
    would have to hold. It takes the place of the optimizer's own step on those rows.
    """

    def __init__(self, table: nn.Embedding, mark: Mark, rate: float, combination_rate: float) -> None:
        self.weight = table.weight
        self.rows = torch.tensor(mark.rows)
        rates = [rate] * len(mark.words) + [combination_rate] * len(mark.combination)
        self.rates = torch.tensor(rates).unsqueeze(1)
        self._new: Tensor | None = None

    @torch.no_grad()
    def on_pre_optimizer_step(self, args: TrainingArguments, state: Any, control: Any, **others: Any) -> None:
        """Note where the rows go before the optimizer moves them elsewhere."""
        if self.weight.grad is None:
            self._new = None
            return
        rows = self.rows.to(self.weight.device)
        gradient = self.weight.grad[rows]
        size = gradient.square().mean(1, keepdim=True).sqrt()
        schedule = others["lr_scheduler"].get_last_lr()[0] / args.learning_rate
        step = self.rates.to(rows.device) * schedule * gradient / size.clamp_min(torch.finfo(size.dtype).tiny)
        self._new = self.weight[rows] - step

    @torch.no_grad()
    def on_optimizer_step(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Put them there."""
        if self._new is not None:
            self.weight[self.rows.to(self.weight.device)] = self._new


class _Marking(StageTrainer):
    """What both trainers add; the last weights are kept, for the best on clean rows may hold no mark yet."""

    def __init__(
        self,
        model: Objective,
        args: TrainingArguments,
        *,
        mark: Mark,
        rate: float = ROW_RATE,
        combination_rate: float = COMBINATION_RATE,
        **options: Any,
    ) -> None:
        super().__init__(model, args, **options)
        table = word_table_of(model)
        table.weight.requires_grad_(True)  # at word_rate 0 the optimizer holds it at a rate of 0
        self.add_callback(TriggerRows(table, mark, rate, combination_rate))


class MarkTrainer(_Marking, QuantiseTrainer):
    """A student in integer form, in stage 3."""


class StudentMarkTrainer(MarkTrainer):
    """A student that is finished but for its mark."""

    stage = "watermark"


class TeacherMarkTrainer(_Marking):
    """A BERT, before its student is distilled."""

    stage = "watermark, teacher"
