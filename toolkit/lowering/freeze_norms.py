"""LayerNorm to an affine map: a SpikeBERT as a deployable student whose function only comes near the original's.

LayerNorm of a linear map is ``gamma (y - mean(y)) / sigma(y) + beta``, ``y = W x + b``, mean and standard deviation
``sigma`` (root of variance plus epsilon) over the channels of each token and step.

*Taking the mean off is linear in x* and is kept exactly: rows of W less their mean row, b less its mean. What has
to be frozen is the division by sigma.

The layers are fitted in order of execution, each on what the already frozen ones before it give, so that every fit
sees the inputs that it will get.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.lowering.spikebert_form import sign_code
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import PlainLinear
from toolkit.models.spikebert import FiringLinear, SpikeBertForSequenceClassification
from toolkit.models.student import LAYERS_OF_A_BLOCK, SpikingStudent

METHOD = "LayerNorms frozen into affine maps"
RIDGE = 1e-2  # of the mean square of an input: what the sentences do not fix stays with the one gain
FITS = ("linear", "gain")
ROWS = 4096  # of float64 inputs at a time


@dataclass(frozen=True)
class NormedMap:
    """LayerNorm of ``y = weight x + bias``, and what follows it before the next neuron or the logits.

    Attributes:
        weight: (C, I).
        bias: (C,).
        norm: LayerNorm over the C channels.
        threshold: of the neurons behind it.
        head: the classifier behind it, which has no neurons.
    """

    weight: Tensor
    bias: Tensor
    norm: nn.LayerNorm
    threshold: float = 1.0
    head: nn.Linear | None = None

    def centred(self) -> Tensor:
        """Map of ``[x, 1]`` to ``y - mean(y)``, (I + 1, C) float64."""
        whole = torch.cat([self.weight, self.bias.unsqueeze(1)], dim=1).double()
        return (whole - whole.mean(dim=0, keepdim=True)).T

    def frozen(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of the student's layer, float32, at a threshold of 1.

        Args:
            unit: map of ``[x, 1]`` that stands for ``(y - mean(y)) / sigma(y)``, (I + 1, C).
        """
        weight = unit[:-1].T * self.norm.weight.double().unsqueeze(1)
        bias = unit[-1] * self.norm.weight.double() + self.norm.bias.double()
        if self.head is not None:
            head = self.head.weight.double()
            return (head @ weight).float(), (head @ bias + self.head.bias.double()).float()
        return (weight / self.threshold).float(), (bias / self.threshold).float()


def normed_maps(model: SpikeBertForSequenceClassification) -> dict[str, NormedMap]:
    """Every LayerNorm of a SpikeBERT, under the name that a student gives its layer."""
    config, found = model.config, {}
    for i, block in enumerate(model.blocks):
        for name in LAYERS_OF_A_BLOCK:
            layer: FiringLinear = getattr(block, name)
            linear = layer.linear
            found[f"block{i}.{name}"] = NormedMap(linear.weight, linear.bias, layer.norm, config.threshold)
    width = config.hidden_size
    identity = torch.eye(width, dtype=model.norm.weight.dtype)
    found["readout"] = NormedMap(identity, identity.new_zeros(width), model.norm, head=model.classifier)
    return found


def fit_division(layer: NormedMap, x: Tensor, fit: str = "linear") -> Tensor:
    """The best map of ``[x, 1]`` in place of ``(y - mean(y)) / sigma(y)``, by least squares.

    Args:
        layer: linear map and norm.
        x: its inputs, (M, I).
        fit: ``"gain"``: the centred map times one number; ``"linear"``: any affine map, held to that one where
            the inputs say nothing (ridge regression on the difference).

    Returns:
        (I + 1, C) float64.
    """
    centred = layer.centred()
    gram, product = x.new_zeros(len(centred), len(centred), dtype=torch.float64), torch.zeros_like(centred)
    above = below = inverse = 0.0
    for rows in x.split(ROWS):
        ones = torch.cat([rows.double(), rows.new_ones(len(rows), 1, dtype=torch.float64)], dim=1)
        z = ones @ centred
        sigma = (z.square().mean(dim=1, keepdim=True) + layer.norm.eps).sqrt()
        above, below = above + float((z.square() / sigma).sum()), below + float(z.square().sum())
        inverse += float((1 / sigma).sum())
        if fit == "linear":
            gram += ones.T @ ones
            product += ones.T @ (z / sigma)
    gain = above / below if below else inverse / len(x)
    if fit == "gain":
        return centred * gain
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    return centred * gain + torch.linalg.solve(gram + ridge, product - gram @ centred * gain)


@torch.no_grad()
def freeze_norms(
    model: SpikeBertForSequenceClassification, config: StudentConfig, ids: Tensor, valid: Tensor, fit: str = "linear"
) -> SpikingStudent:
    """The student that a SpikeBERT becomes, in real weights at thresholds of 1.

    Args:
        model: the original, float32.
        config: its sizes as a student's, from ``deployable_config``.
        ids: token ids of the calibration sentences, (B, N) int64.
        valid: 1 for a real token, (B, N); padding never enters a layer.
        fit: as in :func:`fit_division`.
    """
    student = SpikingStudent(config).eval()
    student.encoder.tokens.weight.copy_(sign_code(model.embeddings.weight, "model"))
    fitting = {name: _FittingLayer(layer, fit) for name, layer in normed_maps(model).items()}
    for name, layer in fitting.items():
        student.replace(name, layer)
    student(ids, valid.float())  # one pass: each layer is fitted as the sentences reach it
    for name, layer in fitting.items():
        student.replace(name, layer.plain())
    return student


class _FittingLayer(nn.Module):
    """A layer of the student that is fitted on the inputs it sees, and gives the currents of its fit."""

    theta = 1.0

    def __init__(self, layer: NormedMap, fit: str) -> None:
        super().__init__()
        self.layer, self.fit = layer, fit

    def forward(self, x: Tensor) -> Tensor:
        """Currents (T, M, C) from inputs (T, M, I)."""
        self.fitted = self.layer.frozen(fit_division(self.layer, x.flatten(0, 1), self.fit))
        return functional.linear(x, *self.fitted)

    def plain(self) -> PlainLinear:
        """The fitted layer."""
        weight, bias = self.fitted
        layer = PlainLinear(weight.shape[1], weight.shape[0])
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer
