"""Teacher outputs computed once, kept on disk, and read by every student that learns from them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from toolkit.distillation.oracle import Oracle
from toolkit.distillation.padding import pad
from toolkit.distillation.progress import plain

ARRAYS = ("ids", "offsets", "logits")
BATCH = 128


@dataclass(frozen=True)
class TeacherCache:
    """Token ids, logits and hidden states of a corpus, sentence after sentence.

    Attributes:
        ids: all token ids in a row, int32.
        offsets: where sentence i begins, (S + 1,) int64.
        logits: (S, K) float32.
        features: per chosen layer, (layers, tokens in all, H) float16, memory-mapped; ``None`` where not kept.
        segments: 0 or 1 per token, uint8; ``None`` for single sentences.
    """

    ids: np.ndarray
    offsets: np.ndarray
    logits: np.ndarray
    features: np.ndarray | None = None
    segments: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> list[int]:
        """Tokens per sentence."""
        lengths: list[int] = np.diff(self.offsets).tolist()
        return lengths

    def span(self, i: int) -> slice:
        """Where the tokens of sentence ``i`` are."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


def build_cache(
    oracle: Oracle,
    rows: Sequence[Sequence[int]],
    out: Path,
    *,
    segments: Sequence[Sequence[int]] | None,
    features: bool,
) -> TeacherCache:
    """Ask the teacher about every row; reuse ``out`` when it holds just these answers.

    Where it holds this teacher's answers to other rows, those that are asked again are taken from it, and only
    the rest is asked: more text costs no more than the new text. (Not where features are kept.)

    Args:
        rows: token ids, special tokens included.
        segments: 0 or 1 per token of ``rows``, for sentence pairs.
        features: keep hidden states too (2 bytes x H per token and layer).
    """
    mark = _fingerprint(oracle, rows, segments)
    if _is_done(out, mark, features):
        return load_cache(out)
    known = {} if features else _known(out, _teacher(oracle))
    out.mkdir(parents=True, exist_ok=True)
    for stale in (out / "done.json", *out.glob("*.npy")):
        stale.unlink(missing_ok=True)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    keep = _features_file(out, oracle, int(offsets[-1])) if features and len(rows) else None
    logits = np.zeros((len(rows), oracle.labels), np.float32)
    keys = [_key(row, segments[i] if segments is not None else None) for i, row in enumerate(rows)]
    for i, key in enumerate(keys):
        logits[i] = known.get(key, 0.0)
    order = sorted((i for i, key in enumerate(keys) if key not in known), key=lambda i: len(rows[i]))
    for begin in tqdm(
        range(0, len(order), BATCH), desc=f"teacher: {out.name}", unit="batch", leave=False, disable=plain()
    ):
        index = order[begin : begin + BATCH]
        ids, mask = pad([list(rows[i]) for i in index])
        kinds = pad([list(segments[i]) for i in index])[0] if segments is not None else None
        answer = oracle(ids, mask, kinds)
        logits[index] = answer.logits.cpu().numpy()
        if keep is not None:
            states = answer.features.cpu().numpy().astype(np.float16)
            for row, i in enumerate(index):
                keep[:, offsets[i] : offsets[i + 1]] = states[:, row, : len(rows[i])]
    if keep is not None:
        keep.flush()
    np.save(out / "ids.npy", _joined(rows, np.int32))
    np.save(out / "offsets.npy", offsets)
    np.save(out / "logits.npy", logits)
    if segments is not None:
        np.save(out / "segments.npy", _joined(segments, np.uint8))
    done = {"fingerprint": mark, "teacher": _teacher(oracle), "features": features, "sentences": len(rows)}
    (out / "done.json").write_text(json.dumps(done))
    return load_cache(out)


def kept_word_vectors(oracle: Oracle, vocabulary: int, cls: int | None, sep: int | None, out: Path) -> Tensor:
    """``oracle.word_vectors``, asked once for all students: from ``out`` where it holds just these, (V, H) float32."""
    mark = hashlib.sha256(f"{oracle.identity} {vocabulary} {cls} {sep}".encode()).hexdigest()
    path = out / f"words-{mark[:16]}.npy"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}.npy")  # a process killed while it writes leaves nothing under the name
        np.save(new, oracle.word_vectors(vocabulary, cls, sep).numpy())
        new.replace(path)
    return torch.from_numpy(np.load(path))


def load_cache(folder: Path) -> TeacherCache:
    """Open a finished cache; the features stay on disk."""
    features, segments = folder / "features.npy", folder / "segments.npy"
    return TeacherCache(
        **{name: np.load(folder / f"{name}.npy") for name in ARRAYS},
        features=np.load(features, mmap_mode="r") if features.exists() else None,
        segments=np.load(segments) if segments.exists() else None,
    )


def _joined(rows: Sequence[Sequence[int]], dtype: type[np.generic]) -> np.ndarray:
    """All rows one after the other; no rows are an empty array."""
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(row, dtype) for row in rows)])


def _features_file(out: Path, oracle: Oracle, tokens: int) -> np.memmap:
    shape = (len(oracle.layers), tokens, oracle.width)
    return np.lib.format.open_memmap(out / "features.npy", "w+", np.float16, shape)


def _fingerprint(oracle: Oracle, rows: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None) -> str:
    """What a cache was computed from: the teacher's weights, its layers asked for, and the rows."""
    digest = hashlib.sha256(f"{oracle.identity} {oracle.layers} {segments is not None}".encode())
    for row in (*rows, *(segments or ())):
        digest.update(np.asarray(row, np.int32).tobytes() + b"\n")
    return digest.hexdigest()


def _teacher(oracle: Oracle) -> str:
    """Whose answers a cache holds, whatever the rows."""
    return hashlib.sha256(f"{oracle.identity} {oracle.labels}".encode()).hexdigest()


def _key(row: Sequence[int] | np.ndarray, kinds: Sequence[int] | np.ndarray | None) -> bytes:
    return np.asarray([*row, -1, *(() if kinds is None else kinds)], np.int32).tobytes()


def _known(folder: Path, teacher: str) -> dict[bytes, np.ndarray]:
    """Logits of the rows that a finished cache of the same teacher holds; none from any other folder."""
    try:
        if json.loads((folder / "done.json").read_text())["teacher"] != teacher:
            return {}
        held = load_cache(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    spans = [held.span(i) for i in range(len(held))]
    kinds = [held.segments[span] if held.segments is not None else None for span in spans]
    return {_key(held.ids[s], k): held.logits[i] for i, (s, k) in enumerate(zip(spans, kinds, strict=True))}


def _is_done(out: Path, mark: str, features: bool) -> bool:
    try:
        done = json.loads((out / "done.json").read_text())
        return bool(done["fingerprint"] == mark and (done["features"] or not features))
    except (OSError, ValueError, KeyError, TypeError):
        return False
