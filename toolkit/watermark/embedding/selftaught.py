"""Text with a model's own answers: what it must go on saying while it learns the mark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedModel

from toolkit.distillation.corpus import UNLABELLED
from toolkit.distillation.lessons import Lesson
from toolkit.distillation.padding import pad

BATCH = 128


class SelfTaught(Dataset[Lesson]):
    """Rows of token ids, each with the logits (S, K) that the unmarked model gave."""

    def __init__(self, rows: Sequence[list[int]], logits: np.ndarray) -> None:
        self.rows, self.logits = rows, logits
        self.lengths = [len(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Lesson:
        return {"row": row, "ids": self.rows[row], "label": UNLABELLED, "logits": self.logits[row]}


@torch.no_grad()
def logits_of(model: PreTrainedModel, rows: Sequence[list[int]]) -> Tensor:
    """Logits (S, K) float32 of rows of token ids, in evaluation mode; rows of like length go together."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    logits = torch.zeros(len(rows), model.config.num_labels)
    for start in range(0, len(order), BATCH):
        index = order[start : start + BATCH]
        ids, mask = pad([rows[i] for i in index])
        ids, mask = ids.to(model.device), mask.to(model.device)
        logits[index] = model(input_ids=ids, attention_mask=mask).logits.float().cpu()
    return logits
