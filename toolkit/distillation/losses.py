"""What a student is asked to match: the teacher's logits, features and word table, and the labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence at a temperature, times its square (Hinton et al., arXiv 1503.02531)."""
    log_student = functional.log_softmax(student / temperature, dim=-1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=-1)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


class FeatureHeads(nn.Module):
    """One linear map and LayerNorm per block from the student's width to the teacher's; training only."""

    def __init__(self, blocks: int, width: int, teacher_width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, teacher_width), nn.LayerNorm(teacher_width)) for _ in range(blocks)
        )

    def loss(self, features: list[Tensor], teacher: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error over valid tokens, summed over blocks.

        Args:
            features: per block, packed (M, D).
            teacher: (blocks, B, N, H).
            mask: (B, N), 1 for a real token.
        """
        keep = mask.bool()
        terms = [
            functional.mse_loss(head(x), target[keep])
            for head, x, target in zip(self.heads, features, teacher, strict=True)
        ]
        return torch.stack(terms).sum()


def word_table(teacher_words: Tensor, width: int, seed: int, spread: float = 1.5) -> Tensor:
    """The teacher's word table in the student's width: principal components, randomly rotated.

    The rotation spreads the variance evenly over channels, as every channel has the same threshold.
    ``spread`` is the standard deviation in units of the encoder's threshold.

    Returns:
        (V, width) float32.
    """
    generator = torch.Generator().manual_seed(seed)
    centred = teacher_words - teacher_words.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    table = centred @ vectors[:, -width:] @ rotation
    return table * (spread / table.std())
