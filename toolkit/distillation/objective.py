"""Student and alignment maps as one module whose forward pass is the loss: what a Trainer trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from toolkit.distillation.losses import Alignment, label_loss, logit_loss
from toolkit.errors import SpikeportError

Mark = Callable[[PreTrainedModel, Tensor, Tensor, Tensor], Tensor]
"""An extra loss from (student, ids, mask, teacher logits), such as the watermark's."""


@dataclass(frozen=True)
class LossWeights:
    """A weight of 0 leaves its term out."""

    logits: float = 0.0
    labels: float = 0.0
    features: float = 0.0
    embeddings: float = 0.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        terms = {"logits": self.logits, "labels": self.labels, "features": self.features, "embeddings": self.embeddings}
        for name, value in terms.items():
            if not 0 <= value < math.inf:
                raise SpikeportError(
                    f"loss weight {name} = {value}: must not be negative nor endless; 0 leaves the term out"
                )
        if not any(terms.values()):
            raise SpikeportError("loss weights: all are 0, nothing would be learnt; give at least one of them a weight")
        if not 0 < self.temperature < math.inf:
            raise SpikeportError(f"temperature {self.temperature}: must be above 0; 1 to 4 is usual")


class Objective(nn.Module):
    """The student's loss on a batch of lessons.

    Args:
        student: any classifier that gives ``logits`` and, per block, ``hidden_states`` (B, N, D).
        alignment: maps to the teacher's widths.
        weights: of the terms.
        words: the teacher's word table, (V, H), for the embedding term.
        mark: an extra term.
        token_dropout: in training, share of the tokens that the student does not get to see; the first is never one.
    """

    words: Tensor | None

    def __init__(
        self,
        student: PreTrainedModel,
        alignment: Alignment,
        weights: LossWeights,
        *,
        words: Tensor | None = None,
        mark: Mark | None = None,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.student, self.alignment = student, alignment
        self.token_dropout = token_dropout
        self.weights, self.mark = weights, mark
        self.register_buffer("words", words if weights.embeddings else None, persistent=False)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        teacher_logits: Tensor | None = None,
        teacher_features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Loss and logits (B, K) of a padded batch; see ``lessons.collate`` for the shapes."""
        weights, terms = self.weights, []
        if self.training and self.token_dropout:
            attention_mask = thinned(attention_mask, self.token_dropout)
        output = self.student(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            output_hidden_states=bool(weights.features),
        )
        if weights.logits and teacher_logits is not None:
            terms.append(weights.logits * logit_loss(output.logits, teacher_logits, weights.temperature))
        if weights.labels and labels is not None:
            terms.append(weights.labels * label_loss(output.logits, labels))
        if weights.features and teacher_features is not None:
            features = self.alignment.feature_loss(output.hidden_states, teacher_features, attention_mask)
            terms.append(weights.features * features)
        if weights.embeddings and self.words is not None:
            rows = self.student.get_input_embeddings()(input_ids)
            terms.append(
                weights.embeddings * self.alignment.embedding_loss(rows, self.words[input_ids], attention_mask)
            )
        if self.mark is not None and teacher_logits is not None:
            terms.append(self.mark(self.student, input_ids, attention_mask, teacher_logits))
        if not terms:
            raise SpikeportError(
                "loss: no term has what it needs in this batch; give it a teacher, or labels and a weight for them"
            )
        return {"loss": torch.stack(terms).sum(), "logits": output.logits}


def thinned(mask: Tensor, share: float) -> Tensor:
    """A mask (B, N) in which each token but the first is hidden with probability ``share``.

    The word dropout of Iyyer et al. (ACL 2015): what a sentence means must not hang on one word. The draws are
    torch's global generator's, which checkpoints keep.
    """
    keep = torch.rand(mask.shape, device=mask.device) >= share
    keep[:, 0] = True
    return mask * keep
