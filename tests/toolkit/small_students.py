"""Random students written to disk in the documented layout, and what they compute, in plain numpy.

Nothing of the toolkit is used here: files are written with safetensors, the network is the published
equations (LIF: v <- v/2 + I/2, fire at v >= theta, reset to zero; SSA: Q (K^T V) per head; SDSA: AND,
token sum, threshold, AND) on integers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from toolkit import students

Array = NDArray[Any]
TOKENIZER = students.MARKED / "tokenizer.json"
VOCABULARY, STEPS = 30522, 4
LAYERS = ("q", "k", "v", "o", "fc1", "fc2")
TEACHER = {"name": "a BERT", "layers": 6, "width": 384, "ffn": 1536, "heads": 12}


def write_student(
    folder: Path,
    *,
    attention: str = "ssa",
    seed: int = 0,
    width: int = 16,
    tokens: int = 8,
    labels: int = 2,
    blocks: int = 2,
    window: int = 1,
    readout: tuple[Array, Array] | None = None,
    **facts: object,
) -> Path:
    """Write a student of random weights; ``readout`` is its last weight (K, D) and bias (K,), even integers."""
    rng = np.random.default_rng(seed)
    shapes = {
        f"block{i}.{name}": (4 * width if name == "fc1" else width, 4 * width if name == "fc2" else width)
        for i in range(blocks)
        for name in LAYERS
    }
    if window > 1:
        shapes = {"local": (width, window * width)} | shapes
    tensors: dict[str, Array] = {
        "encoder.tokens": (1800 * rng.standard_normal((VOCABULARY, width), np.float32)).astype(np.int16),
        "encoder.positions": rng.integers(-300, 300, (tokens, width)).astype(np.int16),
    }
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = rng.integers(-30, 35, shape).astype(np.int8)
        tensors[f"{name}.bias"] = 2 * rng.integers(-30, 150, shape[0]).astype(np.int32)
    weight, bias = readout or (2 * rng.integers(-128, 127, (labels, width)), 2 * rng.integers(-200, 200, labels))
    tensors["readout.weight"], tensors["readout.bias"] = (weight // 2).astype(np.int8), bias.astype(np.int32)
    thresholds = {name: 40 + 8 * (i % 3) for i, name in enumerate(shapes)} | {"readout": 97}
    config = {
        "vocabulary": VOCABULARY,
        "width": width,
        "layers": blocks,
        "heads": 2,
        "expansion": 4,
        "tokens": tokens,
        "steps": STEPS,
        "labels": labels,
        "attention": attention,
        "attention_threshold": 2,
        "encoder_threshold": 1024,
    }
    if window > 1:
        config["window"] = window
    content = {"format": "spikeport.student/1", "student": config, "thresholds": thresholds, "seed": seed}
    content |= {"labels": [f"label {i}" for i in range(labels)], "recipe": "random", "teacher": TEACHER} | facts
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    save_file(tensors, folder / "student.safetensors")
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    return folder


def change_tensor(folder: Path, name: str, where: tuple[int, ...], value: int) -> None:
    """Set one entry of one tensor of a student folder."""
    tensors = load_file(folder / "student.safetensors")
    tensors[name][where] = value
    save_file(tensors, folder / "student.safetensors")


def leaky_spikes(current: Array, theta: float) -> Array:
    """Spikes of currents (T, ...); exact in float64, for every value is a multiple of 2^-T."""
    membrane = np.zeros(current.shape[1:])
    spikes = np.zeros(current.shape, np.int64)
    for t, inflow in enumerate(current):
        membrane = membrane / 2 + inflow / 2
        spikes[t] = membrane >= theta
        membrane[spikes[t] == 1] = 0
    return spikes


def attend(q: Array, k: Array, v: Array, config: dict[str, Any]) -> Array:
    """Attention spikes (T, S, N, D) of a student's configuration."""
    theta = config["attention_threshold"]
    if config["attention"] == "sdsa":
        return ((q * k).sum(axis=2, keepdims=True) >= theta) * v
    size = config["width"] // config["heads"]
    sums = np.zeros_like(q)
    for first in range(0, config["width"], size):
        part = slice(first, first + size)
        summary = np.einsum("tsnc,tsnd->tscd", k[..., part], v[..., part])
        sums[..., part] = np.einsum("tsnc,tscd->tsnd", q[..., part], summary)
    return leaky_spikes(sums, theta)


def run_student(folder: Path, ids: Array, valid: Array) -> tuple[Array, dict[str, Array]]:
    """Integer logits (S, T, K, N) and the spikes of every layer (S, T, C, N), in order of execution."""
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config, tensors = content["student"], load_file(folder / "student.safetensors")
    mask = valid[None, :, :, None].astype(np.int64)
    integers = {name: value.astype(np.int64) for name, value in tensors.items()}
    spikes: dict[str, Array] = {}

    def linear(name: str, x: Array) -> Array:
        return (x @ (2 * integers[f"{name}.weight"]).T + integers[f"{name}.bias"]) * mask

    def fire(name: str, x: Array) -> Array:
        spikes[name] = leaky_spikes(linear(name, x), content["thresholds"][name])
        return spikes[name]

    code = integers["encoder.tokens"][ids] + integers["encoder.positions"][: ids.shape[1]][None]
    currents = np.broadcast_to(code, (config["steps"], *code.shape)) * mask
    x = spikes["code"] = leaky_spikes(currents, config["encoder_threshold"])
    if (window := config.get("window", 1)) > 1:
        gap = np.zeros((*x.shape[:2], window - 1, x.shape[3]), np.int64)
        shown = np.concatenate([x, gap], axis=2)  # slots that no sentence reaches
        x = x + fire("local", np.concatenate([shown[:, :, k : k + x.shape[2]] for k in range(window)], axis=3))
    for i in range(config["layers"]):
        q, k, v = (fire(f"block{i}.{name}", x) for name in "qkv")
        spikes[f"block{i}.attention"] = attend(q, k, v, config)
        x = x + fire(f"block{i}.o", spikes[f"block{i}.attention"])
        x = x + fire(f"block{i}.fc2", fire(f"block{i}.fc1", x))
    logits = linear("readout", x).transpose(1, 0, 3, 2)
    return logits, {name: s.transpose(1, 0, 3, 2).astype(bool) for name, s in spikes.items()}


def word_pieces(sentences: Sequence[str], slots: int, rows: int | None = None) -> tuple[Array, Array]:
    """Token ids and mask (S, N) by the tokenizers library's own truncation and padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.enable_truncation(min(slots, rows or slots))
    tokenizer.enable_padding(length=slots, pad_id=0)
    encoded = tokenizer.encode_batch(list(sentences))
    return np.array([e.ids for e in encoded]), np.array([e.attention_mask for e in encoded], bool)
