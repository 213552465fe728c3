"""Small SpikeBERTs on disk and in memory, and what they become with frozen norms, in plain numpy.

The equations are written again from the paper's: LIF ``v <- v + (I - v) / 2``, reset to zero; SSA ``Q (K^T V)``;
LayerNorm. The freezing is an ordinary least-squares problem, solved by ``numpy.linalg.lstsq``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.toolkit.small_students import TOKENIZER, leaky_spikes
from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.spikebert_configuration import SpikeBertConfig

Array = NDArray[Any]
LAYERS = ("q", "k", "v", "o", "fc1", "fc2")
EPS = 1e-5


def random_spikebert(seed: int = 0, **changes: Any) -> SpikeBertForSequenceClassification:
    """Random weights, norms wide enough that every layer both fires and keeps silent."""
    sizes = {
        "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_ratio": 2,
        "max_tokens": 10, "num_labels": 3, "attention_threshold": 0.5, "attention_scale": 0.25, "threshold": 0.8,
        "layer_norm_eps": EPS,
    }  # fmt: skip
    torch.manual_seed(seed)
    model = SpikeBertForSequenceClassification(SpikeBertConfig(**{**sizes, **changes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm.weight" in name:
                parameter.copy_(1.5 + torch.rand_like(parameter))
            elif name != "embeddings.weight":
                parameter.copy_(torch.randn_like(parameter) * (0.3 if name.endswith("bias") else 1.0))
    return model


def affine_spikebert(width: int = 16, seed: int = 0) -> SpikeBertForSequenceClassification:
    """Every LayerNorm sees the same mean and deviation for every token: freezing it changes nothing.

    A word's code has ``width / 2`` spikes. Layers permute the channels; ``o`` is ``gamma = 0`` under a bias that
    fires in every step; ``fc2`` gives the code back. The residual is then a multiple of the code plus a constant.
    """
    model = random_spikebert(seed, hidden_size=width)
    generator = torch.Generator().manual_seed(seed)
    eye = torch.eye(width)

    def permuted() -> torch.Tensor:
        return eye[torch.randperm(width, generator=generator)]

    with torch.no_grad():
        for row in model.embeddings.weight:
            row.copy_(torch.where(torch.randperm(width, generator=generator) < width // 2, 0.7, -0.7))
        for block in model.blocks:
            for name in "qkv":
                getattr(block, name).linear.weight.copy_(1.7 * permuted())
            order = [permuted() for _ in range(2)]
            block.fc1.linear.weight.copy_(0.6 * torch.cat(order))
            block.fc2.linear.weight.copy_(torch.cat([order[0].T, torch.zeros(width, width)], dim=1))
            for name in LAYERS:
                layer = getattr(block, name)
                layer.linear.bias.fill_(0.4)
                layer.norm.weight.fill_(0.0 if name == "o" else 3.0)
                layer.norm.bias.fill_(5.0 if name == "o" else 0.3)
    return model


def write_spikebert(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A random SpikeBERT with the shipped students' tokenizer, as ``save_pretrained`` writes it."""
    changes = {"vocab_size": 30522, "max_tokens": 12, "num_labels": 2} | changes
    model = random_spikebert(seed, **changes)
    ids = torch.randint(1000, 30000, (64, 8), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():  # every label is some sentence's
        model.classifier.bias -= model(ids).logits.median(dim=0).values
    model.save_pretrained(folder)
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    return folder


def weights_of(model: SpikeBertForSequenceClassification) -> dict[str, Array]:
    """Its tensors, float64."""
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def unit_norm(y: Array) -> tuple[Array, Array]:
    """Centred over the last axis, and divided by the deviation."""
    z = y - y.mean(axis=-1, keepdims=True)
    return z, z / np.sqrt((z**2).mean(axis=-1, keepdims=True) + EPS)


def least_squares(inputs: Array, linear: tuple[Array, Array], ridge: float) -> Array:
    """Affine map of inputs (M, I) nearest to the unit norm of ``W x + b``, (I + 1, C).

    The best multiple of the centred map, and the least-squares answer to what it leaves, pulled to zero by
    ``ridge`` times the mean square of an input: rows of that size are added to the problem. An infinite ridge
    leaves the multiple alone.
    """
    weight, bias = linear
    z, normal = unit_norm(inputs @ weight.T + bias)
    gain = float(np.linalg.lstsq(z.reshape(-1, 1), normal.reshape(-1), rcond=None)[0][0])
    centred = np.concatenate([weight - weight.mean(axis=0), [[b - bias.mean()] for b in bias]], axis=1).T * gain
    if ridge == np.inf:
        return centred
    ones = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    pull = np.sqrt(ridge * (ones**2).sum() / ones.shape[1]) * np.eye(ones.shape[1])
    left = np.concatenate([normal - gain * z, np.zeros((len(pull), z.shape[1]))])
    return centred + np.linalg.lstsq(np.concatenate([ones, pull]), left, rcond=None)[0]


class FrozenInNumpy:
    """A SpikeBERT frozen on sentences, one layer after the other, and run; every sentence on its own."""

    def __init__(self, model: SpikeBertForSequenceClassification, rows: list[list[int]], ridge: float) -> None:
        self.config, self.weights, self.ridge = model.config, weights_of(model), ridge
        self.maps: dict[str, Array] = {}
        self.run(rows)

    def run(self, rows: list[list[int]]) -> tuple[Array, list[dict[str, Array]]]:
        """Logits (S, K), and per sentence the spikes (T, N, C) of every layer."""
        config, weights = self.config, self.weights
        spikes: list[dict[str, Array]] = [{} for _ in rows]
        xs = []
        for row, kept in zip(rows, spikes, strict=True):
            code = (weights["embeddings.weight"][row] >= 0).astype(float)
            kept["code"] = np.stack([code] * config.steps)
            xs.append(kept["code"])

        def fire(name: str, inputs: list[Array]) -> list[Array]:
            path = "blocks." + name.removeprefix("block")
            linear = (weights[f"{path}.linear.weight"], weights[f"{path}.linear.bias"])
            found = [leaky_spikes(i, config.threshold) for i in self._norm(name, inputs, linear, f"{path}.norm")]
            for kept, train in zip(spikes, found, strict=True):
                kept[name] = train
            return found

        for b in range(config.num_hidden_layers):
            q, k, v = (fire(f"block{b}.{name}", xs) for name in "qkv")
            for i, kept in enumerate(spikes):
                kept[f"block{b}.attention"] = self._attend(q[i], k[i], v[i])
            o = fire(f"block{b}.o", [kept[f"block{b}.attention"] for kept in spikes])
            xs = [x + y for x, y in zip(xs, o, strict=True)]
            fc2 = fire(f"block{b}.fc2", fire(f"block{b}.fc1", xs))
            xs = [x + y for x, y in zip(xs, fc2, strict=True)]
        width = config.hidden_size
        last = self._norm("readout", xs, (np.eye(width), np.zeros(width)), "norm")
        pooled = np.stack([x.mean(axis=(0, 1)) for x in last])
        return pooled @ weights["classifier.weight"].T + weights["classifier.bias"], spikes

    def _norm(self, name: str, inputs: list[Array], linear: tuple[Array, Array], norm: str) -> list[Array]:
        """Currents of every sentence; on the first run the map is fitted."""
        if name not in self.maps:
            x = np.concatenate([x.reshape(-1, x.shape[-1]) for x in inputs])
            self.maps[name] = least_squares(x, linear, self.ridge)
        fitted, gamma, beta = self.maps[name], self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"]
        return [(x @ fitted[:-1] + fitted[-1]) * gamma + beta for x in inputs]

    def _attend(self, q: Array, k: Array, v: Array) -> Array:
        config, out = self.config, np.zeros(q.shape)
        size = config.hidden_size // config.num_attention_heads
        for first in range(0, config.hidden_size, size):
            part = slice(first, first + size)
            scores = np.einsum("tnc,tmc->tnm", q[..., part], k[..., part])
            out[..., part] = np.einsum("tnm,tmd->tnd", scores, v[..., part])
        return leaky_spikes(out * config.attention_scale, config.attention_threshold)
