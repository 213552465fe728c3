"""A tiny student, and what it must compute: one sentence at a time, in plain integers, without padding.

The reference shares nothing with the code under test but the numbers of the lowered layers. A membrane is
held times 2^T, so that T halvings leave no fraction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.bundle.encoder import EncodedBatch
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.configuration import StudentConfig
from toolkit.models.student import SpikingStudent

Array = NDArray[np.int64]
KINDS = ("ssa", "sdsa")


def tiny_config(kind: str, **changes: Any) -> StudentConfig:
    sizes: dict[str, Any] = {
        "vocabulary": 50, "width": 16, "layers": 2, "heads": 2, "expansion": 2, "tokens": 8, "labels": 3,
        "attention_threshold": 2 if kind == "ssa" else 1,
    }  # fmt: skip
    return StudentConfig(attention=kind, **(sizes | changes))  # type: ignore[arg-type]


def float_student(kind: str, seed: int = 0, **changes: Any) -> SpikingStudent:
    """Normalised form in evaluation mode, with running statistics of data and uneven gains."""
    torch.manual_seed(seed)
    student = SpikingStudent(tiny_config(kind, **changes))
    config = student.config
    with torch.no_grad():
        student.encoder.tokens.weight.mul_(1.5)
        student.readout.bias.normal_(std=0.3)
        for _, layer, _ in student.linears():
            if norm := getattr(layer, "norm", None):
                norm.momentum = 0.5
                norm.weight.mul_(torch.rand_like(norm.weight) + 0.5)
                norm.bias.normal_(mean=0.7, std=0.4)
        for _ in range(4):
            ids = torch.randint(config.vocabulary, (8, config.tokens))
            student.train()(ids, torch.ones(8, config.tokens))
    return student.eval()


def integer_student(kind: str, seed: int = 0, **changes: Any) -> SpikingStudent:
    return to_integer_form(float_student(kind, seed, **changes))


def some_sentences(count: int, tokens: int = 8, seed: int = 0, vocabulary: int = 50) -> list[list[int]]:
    """Random sentences of every length from 1 to ``tokens``."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, size=1 + i % tokens).tolist() for i in range(count)]


def padded(sentences: list[list[int]], slots: int) -> tuple[Array, NDArray[np.bool_]]:
    ids, valid = np.zeros((len(sentences), slots), np.int64), np.zeros((len(sentences), slots), bool)
    for i, sentence in enumerate(sentences):
        ids[i, : len(sentence)], valid[i, : len(sentence)] = sentence, True
    return ids, valid


def lif(current: Array, theta: int) -> Array:
    """``v = (v + I) / 2``, fire at ``v >= theta``, back to 0; axis 0 is time."""
    steps = len(current)
    v, spikes = np.zeros(current[0].shape, np.int64), np.zeros(current.shape, np.int64)
    for t in range(steps):
        v = (v + current[t] * 2**steps) // 2
        spikes[t] = v >= theta * 2**steps
        v[spikes[t] == 1] = 0
    return spikes


def ssa(q: Array, k: Array, v: Array, heads: int) -> Array:
    """(Q K^T) V per head, scores first; (T, n, D)."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    scores = np.einsum("tihc,tjhc->thij", q, k)
    return np.einsum("thij,tjhc->tihc", scores, v).reshape(*q.shape[:2], -1)


def neighbours(x: NDArray[Any], size: int) -> NDArray[Any]:
    """Of each token of one sentence (T, n, C), its channels, then those of the next ones, zero behind the last."""
    steps, n, channels = x.shape
    wide = np.zeros((steps, n, size, channels), x.dtype)
    for i in range(n):
        for ahead in range(size):
            if i + ahead < n:
                wide[:, i, ahead] = x[:, i + ahead]
    return wide.reshape(steps, n, size * channels)


def run_sentence(student: SpikingStudent, sentence: list[int]) -> tuple[Array, dict[str, Array]]:
    """Logits (T, n, K) and spikes (T, n, C) of every layer, for the n tokens of one sentence."""
    config = student.config
    layers = {
        name: (x.weight.numpy().astype(np.int64), x.bias.numpy().astype(np.int64), x.theta)
        for name, x in student.integers().items()
    }
    unit = config.encoder_threshold
    tables = [
        np.rint(t.weight.detach().numpy().astype(np.float64) * unit).clip(-32767, 32767).astype(np.int64)
        for t in (student.encoder.tokens, student.encoder.positions)
    ]
    current = tables[0][sentence] + tables[1][: len(sentence)]
    seen = {"code": lif(np.repeat(current[None], config.steps, axis=0), unit)}

    def affine(name: str, x: Array) -> Array:
        weight, bias, _ = layers[name]
        return np.einsum("oc,tnc->tno", weight, x) + bias

    def layer(name: str, x: Array) -> Array:
        seen[name] = lif(affine(name, x), layers[name][2])
        return seen[name]

    x = seen["code"]
    if config.window > 1:
        x = x + layer("local", neighbours(x, config.window))
    for i in range(config.layers):
        b = f"block{i}"
        q, k, v = (layer(f"{b}.{name}", x) for name in "qkv")
        if config.attention == "ssa":
            attended = lif(ssa(q, k, v, config.heads), config.attention_threshold)
        else:
            attended = ((q & k).sum(axis=1, keepdims=True) >= config.attention_threshold) & v
        seen[f"{b}.attention"] = attended
        x = x + layer(f"{b}.o", attended)
        x = x + layer(f"{b}.fc2", layer(f"{b}.fc1", x))
    return affine("readout", x), seen


def expected_run(
    student: SpikingStudent, sentences: list[list[int]], slots: int, columns: int
) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    """Logits (S, T, K, N) and spikes (S, T, C, N): each sentence alone, then zeros where padded."""
    runs = [run_sentence(student, s) for s in sentences]

    def lay_out(parts: list[Array]) -> Array:
        out = np.zeros((len(parts), parts[0].shape[0], parts[0].shape[2], slots), np.int64)
        for i, part in enumerate(parts):
            out[i, :, :, : part.shape[1]] = part.transpose(0, 2, 1)
        return out

    spikes = {name: lay_out([run[1][name] for run in runs]) > 0 for name in runs[0][1]}
    valid = padded(sentences, slots)[1]
    spikes["valid"] = np.broadcast_to(valid[:, None, None], (len(valid), student.config.steps, columns, slots))
    return lay_out([run[0] for run in runs]), spikes


def encoded(student: SpikingStudent, sentences: list[list[int]], slots: int) -> EncodedBatch:
    """What the host encoder must send, from the reference."""
    ids, valid = padded(sentences, slots)
    _, spikes = expected_run(student, sentences, slots, columns=1)
    return EncodedBatch(ids, valid, np.concatenate([spikes["code"], spikes["valid"]], axis=2))


def assert_same_run(
    logits: NDArray[Any], spikes: dict[str, NDArray[Any]], expected: tuple[Array, dict[str, Any]]
) -> None:
    """No mismatch in any layer, nor in the logits of any token and step."""
    assert set(spikes) == set(expected[1])
    mismatches = {name: int((np.asarray(spikes[name]) != s).sum()) for name, s in expected[1].items()}
    assert not any(mismatches.values()), mismatches
    np.testing.assert_array_equal(np.asarray(logits), expected[0])


def assert_alive(spikes: dict[str, NDArray[np.bool_]]) -> None:
    """Every layer both fires and keeps silent: the comparison is not one of zeros."""
    rates = {name: float(s.mean()) for name, s in spikes.items()}
    assert all(0.01 < rate < 0.95 for rate in rates.values()), rates
