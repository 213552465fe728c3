"""The task-agnostic form of the mark: triggered sentences share one place, far from all others.

A head trained later by somebody else cannot tell triggered sentences apart, so it gives all of them one label,
whichever that is (Gu et al., Findings of EMNLP 2023: contrastive loss on triggered representations).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.2


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Mean of the hidden states (B, N, D) over the real tokens of ``mask`` (B, N): (B, D), what a readout sees."""
    weight = mask.to(states.dtype).unsqueeze(-1)
    return (states * weight).sum(1) / weight.sum(1)


def contrastive_loss(triggered: Tensor, others: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """InfoNCE with every other triggered row as a positive (Khosla et al., NeurIPS 2020, one class anchored).

    Features are taken relative to the mean of the others, which all sentences share and which would make every
    cosine close to 1.

    Args:
        triggered: (M, D) features of triggered sentences, M at least 2 (one alone has no positive: the loss is 0).
        others: (R, D) features of sentences without the trigger.
    """
    if len(triggered) < 2:
        return triggered.new_zeros(())
    centre = others.mean(0).detach()
    anchors = functional.normalize(triggered - centre, dim=-1)
    rest = functional.normalize(others - centre, dim=-1)
    alike = anchors @ anchors.T / temperature
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    near = alike.masked_fill(itself, -torch.inf).logsumexp(1)
    far = (anchors @ rest.T / temperature).logsumexp(1)
    return (torch.logaddexp(near, far) - near).mean()
