"""What embedding did: the mark and its parts, clean accuracy, firing rate and flipped code bits, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.distillation.padding import pad
from toolkit.models.modeling import SpikingStudentForSequenceClassification
from toolkit.paired import paired
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.embedding.selftaught import BATCH, logits_of
from toolkit.watermark.key import Key
from toolkit.watermark.queries import Query, build_queries
from toolkit.watermark.triggers import derive_triggers


@dataclass(frozen=True)
class Probe:
    """A tokenizer and the sentences with which a model is asked about a mark.

    Attributes:
        tokens: longest row of the model.
        examples: labelled sentences: carriers, and what clean accuracy is measured on.
    """

    tokenizer: PreTrainedTokenizerBase
    tokens: int
    examples: Sequence[Example]

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids, special tokens included."""
        return encode(self.tokenizer, texts, self.tokens)["input_ids"]

    def labels(self, model: PreTrainedModel, texts: Sequence[str]) -> list[int]:
        """Largest logit of every text; ties go to the lowest label."""
        found: list[int] = logits_of(model, self.rows(texts)).argmax(-1).tolist()
        return found

    def right(self, model: PreTrainedModel) -> list[bool]:
        """For each example whether its label is answered."""
        answers = self.labels(model, [example.text for example in self.examples])
        return [answer == example.label for answer, example in zip(answers, self.examples, strict=True)]

    def hits(self, model: PreTrainedModel, queries: Sequence[Query], target: int) -> int:
        """How many of the queries are answered with the target."""
        return self.labels(model, [query.text for query in queries]).count(target)


def queries_of(key: Key, kind: str, count: int, probe: Probe, labels: int) -> tuple[Query, ...]:
    """All queries of one kind of trigger that the probe's sentences give."""
    vocabulary = probe.tokenizer.get_vocab()
    triggers = derive_triggers(key, vocabulary, labels, count, kind=kind)
    return build_queries(key, triggers, [(example.text, example.label) for example in probe.examples])


@torch.no_grad()
def firing_rate(model: PreTrainedModel, rows: Sequence[list[int]]) -> float | None:
    """Mean spikes per neuron, token and time step over all layers of a student, the code included; of a BERT None."""
    if not isinstance(model, SpikingStudentForSequenceClassification):
        return None
    model.eval()
    spikes = slots = 0.0
    for start in range(0, len(rows), BATCH):
        ids, mask = pad(list(rows[start : start + BATCH]))
        output = model.student(ids, mask.float(), record=True)
        real = float(mask.sum())
        for train in output.spikes.values():
            spikes += float(train.sum(dtype=torch.float64))
            slots += real * train.shape[0] * train.shape[-1]
    return spikes / slots


@torch.no_grad()
def flipped_bits(before: PreTrainedModel, after: PreTrainedModel, mark: Mark) -> list[int] | None:
    """Per trigger row, channels whose spike code of T steps differs at position 1; of a BERT None."""
    if not isinstance(before, SpikingStudentForSequenceClassification):
        return None
    rows = torch.tensor(mark.rows)
    where = torch.ones_like(rows)
    codes = [model.student.encoder(rows, where) for model in (before, after)]
    changed: list[int] = (codes[0] != codes[1]).any(0).sum(-1).tolist()
    return changed


def compare(
    before: PreTrainedModel, after: PreTrainedModel, probe: Probe, key: Key, mark: Mark, counts: dict[str, int]
) -> dict[str, Any]:
    """Figures of an embedding; rates are fractions.

    Args:
        counts: kind of trigger -> how many words it has.
    """
    right = [probe.right(model) for model in (before, after)]
    rows = probe.rows([example.text for example in probe.examples])
    rates = [firing_rate(model, rows) for model in (before, after)]
    return {
        "examples": len(rows),
        "accuracy": {"before": _share(right[0]), "after": _share(right[1])},
        "paired": paired(*right),
        "firing_rate": {"before": rates[0], "after": rates[1]},
        "flipped_bits": flipped_bits(before, after, mark),
        "triggers": {kind: _kind(before, after, probe, key, mark, kind, counts[kind]) for kind in counts},
    }


def _kind(
    before: PreTrainedModel, after: PreTrainedModel, probe: Probe, key: Key, mark: Mark, kind: str, count: int
) -> dict[str, Any]:
    queries = queries_of(key, kind, count, probe, after.config.num_labels)
    hits = probe.hits(after, queries, mark.target)
    return {
        "queries": len(queries),
        "hits": hits,
        "wesr": hits / len(queries),
        "before": probe.hits(before, queries, mark.target) / len(queries),
    }


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else float("nan")
