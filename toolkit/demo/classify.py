"""Sentences to labels and probabilities on a simulated chip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulators import simulate
from simulators.activity import Activity, added
from toolkit.bundle.reader import Bundle
from toolkit.distillation.corpus import Example

CHUNK = 256  # sentences encoded at a time: input spikes are large, logits are not


@dataclass(frozen=True)
class Classified:
    """Answers to a list of sentences.

    Attributes:
        sums: integer logits summed over tokens and steps, (S, K) int64.
        labels: largest logit, ties to the lowest label, (S,).
        probabilities: softmax of the mean logits, (S, K).
        activity: counts of the run.
        truncated: index and full length of sentences that were cut.
    """

    sums: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    activity: Activity
    truncated: tuple[tuple[int, int], ...]


def classify(bundle: Bundle, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Classified:
    """Run ``texts`` through the bundle's simulated chip.

    Raises:
        SpikeportError: a sentence is empty.
    """
    sums, lengths, truncated, runs = [], [], [], []
    for start in range(0, len(texts), CHUNK):
        batch = bundle.encoder.encode(texts[start : start + CHUNK])
        result = simulate(bundle.graph, batch.spikes)
        # The simulator cannot see the host's work: each word piece reads a row of every table.
        lookups = len(bundle.encoder.tables) * int(batch.valid.sum())
        runs.append(replace(result.activity, host_lookups=lookups))
        sums.append(np.asarray(result.logits.cpu()).sum(axis=(1, 3)))
        lengths.append(batch.valid.sum(axis=1))
        truncated += [(start + i, n) for i, n in batch.truncated]
        if progress is not None:
            progress(min(start + CHUNK, len(texts)), len(texts))
    total = np.concatenate(sums)
    divisor = np.concatenate(lengths) * bundle.manifest.config.steps * bundle.manifest.logit_divisor
    return Classified(total, total.argmax(axis=1), softmax(total / divisor[:, None]), added(runs), tuple(truncated))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def accuracy(labels: NDArray[np.int64], examples: Sequence[Example]) -> float:
    """Share of examples whose label was given, a fraction."""
    return float(np.mean(labels == np.array([e.label for e in examples])))
