"""Rows to learn from: token ids, a label where there is one, the teacher's answers where they were kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from toolkit.distillation.cache import TeacherCache
from toolkit.distillation.padding import pad


class Lesson(TypedDict, total=False):
    """One row. ``row`` is its place in the corpus, named where a loss stops being finite.

    Attributes:
        ids: token ids, special tokens included.
        segments: 0 or 1 per token; absent for single sentences.
        label: class, or ``UNLABELLED``.
        logits: the teacher's, (K,) float32.
        features: the teacher's hidden states, (layers, tokens, H) float16.
    """

    row: int
    ids: Sequence[int] | np.ndarray
    segments: Sequence[int] | np.ndarray
    label: int
    logits: np.ndarray
    features: np.ndarray


class Lessons(Dataset[Lesson]):
    """Several teacher caches in a row, each with one label per sentence; features stay on disk.

    Args:
        parts: caches and the labels of their sentences, (S,) int64.
        features: hand out hidden states too.
    """

    def __init__(self, parts: Sequence[tuple[TeacherCache, Tensor]], *, features: bool) -> None:
        self.parts, self.features = list(parts), features
        self.ends = np.cumsum([len(cache) for cache, _ in self.parts])
        self.lengths = [n for cache, _ in self.parts for n in cache.lengths]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, row: int) -> Lesson:
        part = int(np.searchsorted(self.ends, row, side="right"))
        cache, labels = self.parts[part]
        i = row - int(self.ends[part]) + len(cache)
        span = cache.span(i)
        lesson: Lesson = {"row": row, "ids": cache.ids[span], "label": int(labels[i]), "logits": cache.logits[i]}
        if cache.segments is not None:
            lesson["segments"] = cache.segments[span]
        if self.features and cache.features is not None:
            lesson["features"] = cache.features[:, span]
        return lesson


class Answers(Dataset[Lesson]):
    """Labelled rows without a teacher: what a classifier is fine-tuned or validated on."""

    def __init__(self, encoded: dict[str, list[list[int]]], labels: Sequence[int], *, pairs: bool = False) -> None:
        self.ids, self.labels = encoded["input_ids"], labels
        self.segments = encoded.get("token_type_ids") if pairs else None
        self.lengths = [len(row) for row in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Lesson:
        lesson: Lesson = {"row": row, "ids": self.ids[row], "label": self.labels[row]}
        if self.segments is not None:
            lesson["segments"] = self.segments[row]
        return lesson


def collate(lessons: list[Lesson]) -> dict[str, Tensor]:
    """Lessons as one padded batch.

    Returns:
        ``input_ids``, ``attention_mask`` and, for pairs, ``token_type_ids``, all (B, N) int64; ``labels`` and
        ``rows`` (B,) int64; where every row has them ``teacher_logits`` (B, K) and ``teacher_features``
        (layers, B, N, H), float32, zero where padded.
    """
    ids, mask = pad([list(lesson["ids"]) for lesson in lessons])
    batch = {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([lesson["label"] for lesson in lessons]),
        "rows": torch.tensor([lesson["row"] for lesson in lessons]),
    }
    if any("segments" in lesson for lesson in lessons):  # a single sentence among pairs is all of segment 0
        segments = [list(lesson.get("segments", [0] * len(lesson["ids"]))) for lesson in lessons]
        batch["token_type_ids"] = pad(segments)[0]
    if "logits" in lessons[0]:
        batch["teacher_logits"] = torch.from_numpy(np.stack([lesson["logits"] for lesson in lessons]))
    if "features" in lessons[0]:
        layers, _, width = lessons[0]["features"].shape
        features = torch.zeros(layers, *ids.shape, width)
        for i, lesson in enumerate(lessons):
            features[:, i, : len(lesson["ids"])] = torch.from_numpy(lesson["features"].astype(np.float32))
        batch["teacher_features"] = features
    return batch
