"""Teacher outputs computed once, kept on disk, and read by every student that learns from it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from toolkit.distillation.padding import pad


@dataclass(frozen=True)
class TeacherCache:
    """Token ids, logits and hidden states of a corpus, sentence after sentence.

    Attributes:
        ids: all token ids in a row, int32.
        offsets: where sentence i begins, (S + 1,) int64.
        logits: (S, K) float32; K is 0 for a teacher without a head.
        features: per chosen layer, (tokens in all, H) float16.
    """

    ids: np.ndarray
    offsets: np.ndarray
    logits: np.ndarray
    features: np.ndarray  # (layers, tokens, H), memory-mapped

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> list[int]:
        """Tokens per sentence."""
        return np.diff(self.offsets).tolist()

    def batch(self, index: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Padded ids (B, N), mask (B, N), logits (B, K), features (layers, B, N, H)."""
        spans = [slice(self.offsets[i], self.offsets[i + 1]) for i in index]
        ids, mask = pad([self.ids[s].tolist() for s in spans])
        features = torch.zeros(self.features.shape[0], *ids.shape, self.features.shape[-1])
        for row, span in enumerate(spans):
            part = torch.from_numpy(self.features[:, span].astype(np.float32))
            features[:, row, : part.shape[1]] = part
        return ids, mask, torch.from_numpy(self.logits[index]), features


def layer_map(teacher_layers: int, student_layers: int) -> list[int]:
    """Teacher layer (1-based, evenly spaced, the last one included) for each student block."""
    return [(i + 1) * teacher_layers // student_layers for i in range(student_layers)]


@torch.no_grad()
def build_cache(
    teacher: Path, texts: list[str], out: Path, *, tokens: int, student_layers: int, head: bool = True
) -> TeacherCache:
    """Run the teacher over ``texts`` cut to ``tokens`` word pieces; reuse ``out`` when it holds just that."""
    mark = _fingerprint(teacher, texts, tokens, student_layers)
    if _is_done(out, mark):
        return load_cache(out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    loader = AutoModelForSequenceClassification if head else AutoModel
    model = loader.from_pretrained(teacher).eval()
    rows = tokenizer(texts, truncation=True, max_length=tokens)["input_ids"]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    layers = layer_map(model.config.num_hidden_layers, student_layers)
    features = np.lib.format.open_memmap(
        out / "features.npy", "w+", np.float16, (len(layers), int(offsets[-1]), model.config.hidden_size)
    )
    logits = np.zeros((len(rows), model.config.num_labels if head else 0), np.float32)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    start = time.monotonic()
    for begin in range(0, len(order), 128):
        index = order[begin : begin + 128]
        ids, mask = pad([rows[i] for i in index])
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        if head:
            logits[index] = output.logits.numpy()
        for row, i in enumerate(index):
            for j, layer in enumerate(layers):
                states = output.hidden_states[layer][row, : len(rows[i])]
                features[j, offsets[i] : offsets[i + 1]] = states.numpy().astype(np.float16)
        if begin // 128 % 100 == 0:
            print(f"teacher outputs {begin}/{len(order)} {time.monotonic() - start:.0f} s", flush=True)
    features.flush()
    np.save(out / "ids.npy", np.concatenate([np.asarray(r, np.int32) for r in rows]))
    np.save(out / "offsets.npy", offsets)
    np.save(out / "logits.npy", logits)
    done = {"sentences": len(rows), "layers": layers, "fingerprint": mark}
    (out / "done.json").write_text(json.dumps(done))
    return load_cache(out)


def _fingerprint(teacher: Path, texts: list[str], tokens: int, student_layers: int) -> str:
    """What a cache was computed from: the teacher's weights, the texts, and how both were cut."""
    digest = hashlib.sha256(f"{tokens} {student_layers}".encode())
    for weights in sorted(teacher.glob("*.safetensors")):
        digest.update(weights.read_bytes())
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _is_done(out: Path, mark: str) -> bool:
    try:
        return bool(json.loads((out / "done.json").read_text())["fingerprint"] == mark)
    except (OSError, ValueError, KeyError):
        return False


def load_cache(path: Path) -> TeacherCache:
    """Open a finished cache; the features stay on disk."""
    arrays = {name: np.load(path / f"{name}.npy") for name in ("ids", "offsets", "logits")}
    return TeacherCache(**arrays, features=np.load(path / "features.npy", mmap_mode="r"))
