"""What a student is asked to match: the teacher's logits, hidden states and embeddings, and the labels.

Every term is a mean over sentences (hidden states: first over the valid tokens of a sentence), so a
batch split over several processes or accumulation steps of equal size has the same mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.distillation.corpus import UNLABELLED


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence at a temperature, times its square (Hinton et al., arXiv 1503.02531)."""
    log_student = functional.log_softmax(student / temperature, dim=-1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=-1)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the labelled rows of (B, K), over the batch size: no label, no term."""
    total = functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / len(labels)


def token_mean(error: Tensor, mask: Tensor) -> Tensor:
    """Mean over sentences of the mean over valid tokens.

    Args:
        error: per token, (B, N).
        mask: (B, N), 1 for a real token.
    """
    weight = mask.to(error.dtype)
    return ((error * weight).sum(1) / weight.sum(1)).mean()


class Alignment(nn.Module):
    """Training-only maps from the student's widths to the teacher's, one per aligned block.

    Hidden states go through a linear map and LayerNorm (SpikeBERT, arXiv 2308.15122); embeddings
    through a linear map, or as they are where the widths agree.

    Args:
        blocks: student blocks.
        width: D of the student.
        teacher_width: H of the teacher.
        ignored: front blocks that are not aligned.
    """

    def __init__(self, blocks: int, width: int, teacher_width: int, ignored: int = 0) -> None:
        super().__init__()
        self.ignored = ignored
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, teacher_width), nn.LayerNorm(teacher_width)) for _ in range(ignored, blocks)
        )
        self.words = nn.Identity() if width == teacher_width else nn.Linear(width, teacher_width, bias=False)

    def feature_loss(self, states: tuple[Tensor, ...], teacher: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error over valid tokens, summed over the aligned blocks.

        Args:
            states: per block, (B, N, D).
            teacher: (blocks, B, N, H).
            mask: (B, N), 1 for a real token.
        """
        keep = mask.bool()
        total = teacher.new_zeros(())
        for head, state, target in zip(self.heads, states[self.ignored :], teacher[self.ignored :], strict=True):
            error = target.new_zeros(mask.shape)
            error[keep] = (head(state[keep]) - target[keep]).square().mean(-1)  # padding is not computed at all
            total = total + token_mean(error, mask)
        return total

    def embedding_loss(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error between word vectors of the tokens in the batch, (B, N, D) and (B, N, H).

        Only rows that the batch touches are pulled: a term over the whole table would move every other
        row at Adam's full step size, watermark triggers included.
        """
        return token_mean((self.words(student) - teacher).square().mean(-1), mask)


def word_table(vectors: Tensor, width: int, seed: int, spread: float = 1.5) -> Tensor:
    """Word vectors in the student's width: principal components, randomly rotated.

    The rotation spreads the variance evenly over channels, as every channel has the same threshold; a
    student wider than the vectors gets them through a map with orthonormal rows.

    Args:
        vectors: (V, H).
        width: D.
        seed: of the rotation.
        spread: standard deviation in units of the encoder's threshold.

    Returns:
        (V, D) float32.
    """
    generator = torch.Generator().manual_seed(seed)
    centred = vectors - vectors.mean(0)
    kept = min(width, centred.shape[1])
    _, components = torch.linalg.eigh(centred.T @ centred)
    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    table = centred @ components[:, -kept:] @ rotation[:kept]
    scaled: Tensor = table * (spread / table.std())
    return scaled
