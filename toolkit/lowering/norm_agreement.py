"""How much of a SpikeBERT's function its frozen forms keep: the same sentences, labels, logits and every spike.

Sentences of one length form a batch, so that none is padded: in the original, padded tokens spike, are attended to
and enter the mean, in the frozen forms they are silent, and what they would change is not what is asked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.student import LAYERS_OF_A_BLOCK, SpikingStudent, integer_logits

BATCH = 32

Spikes = dict[str, Tensor]


@dataclass(frozen=True)
class Agreement:
    """Figures of one frozen form beside the original.

    Attributes:
        labels: share of sentences that get the original's label; ties go to the lowest.
        logit_difference: mean absolute difference of a logit, in the original's units.
        spikes: per layer, share of (step, token, channel) in which both or neither spike.
        answers: the form's label of each sentence, (S,) int64.
    """

    labels: float
    logit_difference: float
    spikes: dict[str, float]
    answers: Tensor

    @property
    def spike_share(self) -> float:
        """Mean over the layers behind the code, which is exact."""
        shares = [share for name, share in self.spikes.items() if name != "code"]
        return sum(shares) / len(shares)


@torch.no_grad()
def agreement(
    original: SpikeBertForSequenceClassification, forms: dict[str, SpikingStudent], rows: Sequence[Sequence[int]]
) -> tuple[Tensor, dict[str, Agreement]]:
    """Compare frozen forms with the original, without padding.

    Args:
        original: in evaluation mode.
        forms: students of its sizes, by name; one in integer form answers by its integer logits, as a host does.
        rows: token ids of each sentence, at least one each.

    Returns:
        The original's labels, (S,) int64, and the figures of each form.
    """
    answers = torch.zeros(len(rows), dtype=torch.int64)
    counts = {name: _Counts(torch.zeros(len(rows), dtype=torch.int64), {}) for name in forms}
    for where in _same_length(rows):
        ids = torch.tensor([list(rows[i]) for i in where])
        with recorded(original) as spikes:
            logits = original(ids).logits.float()
        answers[where] = logits.argmax(dim=1)
        for name, form in forms.items():
            output = form(ids, torch.ones(ids.shape), record=True)
            summed = integer_logits(output) if form.integers() else output.logits
            counts[name].answers[where] = summed.argmax(dim=1)
            counts[name].add(logits, output.logits, spikes, output.spikes)
    return answers, {name: count.figures(answers) for name, count in counts.items()}


@contextmanager
def recorded(model: SpikeBertForSequenceClassification) -> Iterator[Spikes]:
    """The spikes (T, B, N, C) of every layer of the next forward pass, under the names that a student gives them."""
    spikes: Spikes = {}

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: spikes.__setitem__(name, output)

    def keep_input(name: str) -> Any:
        return lambda _module, inputs: spikes.__setitem__(name, inputs[0])

    def keep_code(_module: nn.Module, _inputs: object, rows: Tensor) -> None:
        spikes["code"] = (rows >= 0).float().expand(model.config.steps, *rows.shape)

    hooks = [model.embeddings.register_forward_hook(keep_code)]
    for i, block in enumerate(model.blocks):
        hooks += [
            getattr(block, name).register_forward_hook(keep(f"block{i}.{name}"))
            for name in LAYERS_OF_A_BLOCK
        ]  # fmt: skip
        hooks.append(block.o.register_forward_pre_hook(keep_input(f"block{i}.attention")))  # type: ignore[union-attr]
    try:
        yield spikes
    finally:
        for hook in hooks:
            hook.remove()


@dataclass
class _Counts:
    """Sums over batches."""

    answers: Tensor
    spikes: dict[str, tuple[int, int]]
    difference: float = 0.0
    logits: int = 0

    def add(self, wanted: Tensor, found: Tensor, original: Spikes, spikes: Spikes) -> None:
        self.difference += float((wanted.double() - found.double()).abs().sum())
        self.logits += wanted.numel()
        for name, train in spikes.items():
            same, total = self.spikes.get(name, (0, 0))
            self.spikes[name] = (same + int(((train > 0) == (original[name] > 0)).sum()), total + train.numel())

    def figures(self, answers: Tensor) -> Agreement:
        shares = {name: same / total for name, (same, total) in self.spikes.items()}
        labels = float((self.answers == answers).double().mean())
        return Agreement(labels, self.difference / self.logits, shares, self.answers)


def _same_length(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of sentences of one length, at most ``BATCH`` at a time."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    group: list[int] = []
    for i in order:
        if group and (len(rows[i]) != len(rows[group[0]]) or len(group) == BATCH):
            yield group
            group = []
        group.append(i)
    if group:
        yield group
