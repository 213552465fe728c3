"""Host encoder: token id, position and segment to a spike code, in integers.

The current of a token is ``E[id] + P[n] + S[segment]``, the same in all T steps, into the student's
neuron. P is left out where the student knows no position, S where a text is one sentence. No matrix
product and no mixed precision is involved, so every machine gives the same spikes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from toolkit.models.configuration import StudentConfig
from toolkit.models.neuron import lif

INT16 = 2**15 - 1


def round_through(value: Tensor) -> Tensor:
    """Round to the nearest integer, ties to even; the gradient passes unchanged."""
    return value + (value.round() - value).detach()


class SpikeEncoder(nn.Module):
    """Token, position and segment tables, counted in units of ``1 / encoder_threshold``.

    A table that the configuration leaves out is ``None``.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = _table(config.tokens, config.width) if config.positions == "learned" else None
        self.segments = _table(config.segments, config.width) if config.segments > 1 else None

    def tables(self) -> dict[str, nn.Embedding]:
        """The tables there are, by name, in order of their sum."""
        named = {"tokens": self.tokens, "positions": self.positions, "segments": self.segments}
        return {name: table for name, table in named.items() if table is not None}

    def integers(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        """Rows of a table as integer-valued float32 within int16, (..., D)."""
        return round_through(table(ids) * self.config.encoder_threshold).clamp(-INT16, INT16)

    @torch.no_grad()
    def int16(self) -> dict[str, Tensor]:
        """Every table as the host stores it, (rows, D) int16."""
        return {
            name: self.integers(table, torch.arange(table.num_embeddings, device=table.weight.device)).to(torch.int16)
            for name, table in self.tables().items()
        }

    def forward(self, ids: Tensor, where: Tensor, segment: Tensor | None = None) -> Tensor:
        """Spike code of real tokens; a padded token never gets here.

        Args:
            ids: token ids, (M,) int64.
            where: position of each token in its sentence, (M,) int64.
            segment: 0 or 1 per token, (M,) int64; ``None`` is all 0.

        Returns:
            0/1 spikes, (T, M, D).
        """
        current = self.integers(self.tokens, ids)
        if self.positions is not None:
            current = current + self.integers(self.positions, where)
        if self.segments is not None:
            rows = torch.zeros_like(ids) if segment is None else segment
            current = current + self.integers(self.segments, rows)
        repeated = current.expand(self.config.steps, *current.shape)
        return lif(repeated, float(self.config.encoder_threshold), self.config.tau)


def _table(rows: int, width: int) -> nn.Embedding:
    """Small beside the token's own current, which training must hear first."""
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=0.2)
    return table
