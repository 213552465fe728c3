"""A corpus of one-word classes with a teacher's outputs made up to match, small enough to learn at once."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.distillation.cache import TeacherCache

CLS, SEP = 1, 2


def made_up_cache(sentences: int = 48, seed: int = 0, widest: int = 8) -> tuple[TeacherCache, torch.Tensor]:
    """Word 10 or 11 decides the class; features are a fixed random table of words."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=sentences)
    rows = [[CLS, 10 + int(label), *rng.integers(12, 50, size=rng.integers(0, widest - 2)), SEP] for label in labels]
    table = np.random.default_rng(99).normal(size=(2, 50, 12))
    ids = np.concatenate(rows).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    logits = np.where(labels[:, None] == np.arange(2), 2.0, -2.0).astype(np.float32)
    features = table[:, ids].astype(np.float16)
    return TeacherCache(ids, offsets, logits, features), torch.tensor(labels)
