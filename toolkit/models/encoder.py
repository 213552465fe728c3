"""Host encoder: token id and position to a spike code, in integers.

The current of a token is ``E[id] + P[n]``, the same in all T steps, into the student's neuron. No
matrix product and no mixed precision is involved, so every machine gives the same spikes.
"""

from __future__ import annotations

from torch import Tensor, nn

from toolkit.models.configuration import StudentConfig
from toolkit.models.neuron import lif

INT16 = 2**15 - 1


def round_through(value: Tensor) -> Tensor:
    """Round to the nearest integer, ties to even; the gradient passes unchanged."""
    return value + (value.round() - value).detach()


class SpikeEncoder(nn.Module):
    """Token and position tables, counted in units of ``1 / encoder_threshold``."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.tokens, config.width)
        nn.init.normal_(self.positions.weight, std=0.2)

    def integers(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        """Rows of a table as integer-valued float32 within int16, (..., D)."""
        return round_through(table(ids) * self.config.encoder_threshold).clamp(-INT16, INT16)

    def forward(self, ids: Tensor, where: Tensor) -> Tensor:
        """Spike code of real tokens; a padded token never gets here.

        Args:
            ids: token ids, (M,) int64.
            where: position of each token in its sentence, (M,) int64.

        Returns:
            0/1 spikes, (T, M, D).
        """
        current = self.integers(self.tokens, ids) + self.integers(self.positions, where)
        return lif(current.expand(self.config.steps, *current.shape), float(self.config.encoder_threshold))
