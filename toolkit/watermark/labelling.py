"""Asking backends for labels: in large batches, each text once, every answer checked."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from toolkit.backends.protocol import LabelBackend
from toolkit.errors import SpikeportError

BATCH_TEXTS = 8192
"""Texts per call: large, that a backend may sort them by length; bounded, that it need not hold them all."""

Cache = MutableMapping[tuple[str, str], int]
"""(backend name, text) -> label; a plain dict will do."""


def collect_labels(backend: LabelBackend, texts: Iterable[str], labels: int, cache: Cache) -> list[int]:
    """Labels of all texts, asking the backend only for those that the cache lacks.

    Raises:
        SpikeportError: the backend gave another number of answers, or one outside [0, labels).
    """
    texts = list(texts)
    missing = [text for text in dict.fromkeys(texts) if (backend.name, text) not in cache]
    for start in range(0, len(missing), BATCH_TEXTS):
        batch = missing[start : start + BATCH_TEXTS]
        for text, label in zip(batch, _ask(backend, batch, labels), strict=True):
            cache[backend.name, text] = label
    return [cache[backend.name, text] for text in texts]


def _ask(backend: LabelBackend, batch: list[str], labels: int) -> list[int]:
    answers = [int(answer) for answer in backend.labels(batch)]
    if len(answers) != len(batch):
        raise SpikeportError(
            f"backend {backend.name}: {len(answers)} answers to {len(batch)} texts; it must give one each"
        )
    stray = next((answer for answer in answers if not 0 <= answer < labels), None)
    if stray is not None:
        raise SpikeportError(
            f"backend {backend.name}: label {stray} outside 0..{labels - 1}; the plan must state its labels"
        )
    return answers
