"""The deployable spiking student: SpikeBERT's structure, with only operations that a chip has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from toolkit.models.attention import sdsa, ssa
from toolkit.models.configuration import StudentConfig
from toolkit.models.encoder import SpikeEncoder
from toolkit.models.layers import (
    IntegerLinear,
    Integers,
    LayerNormedLinear,
    NormedLinear,
    PlainLinear,
    fire,
    fire_together,
)
from toolkit.models.neuron import lif
from toolkit.models.norm_neuron import recompute_contexts
from toolkit.models.spike_product import LARGEST


@dataclass(frozen=True)
class Packing:
    """Where the M real tokens of a padded batch are; padding never enters a layer.

    Attributes:
        index: flat position of each real token in (B, N), (M,) int64.
        shape: (B, N).
    """

    index: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, valid: Tensor) -> Packing:
        """From a mask (B, N), 1 for a real token."""
        return cls(valid.flatten().nonzero().squeeze(1), (valid.shape[0], valid.shape[1]))

    @property
    def whole(self) -> bool:
        """Whether no slot is padded: then packing copies nothing."""
        return len(self.index) == self.shape[0] * self.shape[1]

    def pack(self, x: Tensor) -> Tensor:
        """(..., B, N, C) -> (..., M, C)."""
        if self.whole:
            return x.flatten(-3, -2)
        return x.flatten(-3, -2).index_select(-2, self.index)

    def unpack(self, x: Tensor) -> Tensor:
        """(..., M, C) -> (..., B, N, C), zero where padded."""
        if self.whole:
            return x.unflatten(-2, self.shape)
        rows = x.new_zeros(*x.shape[:-2], self.shape[0] * self.shape[1], x.shape[-1])
        return rows.index_copy(-2, self.index, x).unflatten(-2, self.shape)

    def window(self, x: Tensor, size: int) -> Tensor:
        """Each token's channels beside those of the ``size - 1`` tokens that follow it.

        Args:
            x: (T, M, C).
            size: tokens in a window, at least 1.

        Returns:
            (T, M, size * C), in order of distance, zero beyond the sentence: a window ends at the first
            position that is padded.
        """
        sentence = self.index // self.shape[1]
        parts = [x]
        for ahead in range(1, size):
            rows = max(x.shape[1] - ahead, 0)
            follows = (self.index[ahead:] - self.index[:rows] == ahead) & (sentence[ahead:] == sentence[:rows])
            shown = x[:, ahead:] * follows.to(x.dtype).unsqueeze(1)
            parts.append(functional.pad(shown, (0, 0, 0, x.shape[1] - rows)))
        return torch.cat(parts, dim=2)

    def sum_per_sentence(self, x: Tensor) -> Tensor:
        """(M, C) -> (B, C)."""
        sentence = self.index // self.shape[1]
        return x.new_zeros(self.shape[0], x.shape[-1]).index_add(0, sentence, x)


@dataclass
class StudentOutput:
    """What one forward pass gives.

    Attributes:
        logits: (B, K), mean over valid tokens and steps, in real units.
        token_logits: (T, B, N, K), before any sum; integers in the lowered form, 0 where padded.
        features: per block, the residual averaged over steps, packed (M, D).
        spikes: per spiking layer, 0/1 (T, B, N, C); filled where recording was asked for.
    """

    logits: Tensor
    token_logits: Tensor
    features: list[Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)


class Block(nn.Module):
    """Attention and feed-forward part, each added to the residual sum of spike trains."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.width, config.hidden
        layer = NormedLinear if config.norm == "batch" else LayerNormedLinear
        self.q, self.k, self.v = (layer(width, width) for _ in range(3))
        self.o = layer(width, width)
        self.fc1, self.fc2 = layer(width, hidden), layer(hidden, width)
        self.counts = 2 + 2 * config.layers <= LARGEST  # code, window and two sums a block: fits a byte

    def forward(self, x: Tensor, packing: Packing, record: dict[str, Tensor]) -> Tensor:
        """Residual sum (T, M, D) after the block; spikes of its layers go into ``record``."""
        tau, counts = self.config.tau, self.counts
        record["q"], record["k"], record["v"] = fire_together((self.q, self.k, self.v), x, tau, counts)
        record["attention"] = self._attend(record["q"], record["k"], record["v"], packing)
        record["o"] = fire(self.o, record["attention"], tau, counts=True)
        x = x + record["o"]
        record["fc1"] = fire(self.fc1, x, tau, counts)
        record["fc2"] = fire(self.fc2, record["fc1"], tau, counts=True)
        return x + record["fc2"]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Tensor:
        q, k, v = (packing.unpack(x) for x in (q, k, v))
        if self.config.attention == "ssa":
            sums = packing.pack(ssa(q, k, v, self.config.heads))
            return lif(sums, float(self.config.attention_threshold), self.config.tau)
        return packing.pack(sdsa(q, k, v, self.config.attention_threshold))


LAYERS_OF_A_BLOCK = ("q", "k", "v", "o", "fc1", "fc2")
LOCAL = "local"


def _local_layer(config: StudentConfig) -> nn.Module | None:
    """The convolution over neighbouring tokens (after Spikformer's position embedding, arXiv 2209.15425).

    Its columns are the channels of token n, then those of n + 1, and so on.
    """
    if config.window == 1:
        return None
    layer = NormedLinear if config.norm == "batch" else LayerNormedLinear
    return layer(config.window * config.width, config.width)


def _checkpointed(block: nn.Module, x: Tensor, packing: Packing) -> Tensor:
    """A block whose inner activations are computed again in the backward pass; running statistics move once."""
    return checkpoint(lambda x: block(x, packing, {}), x, use_reentrant=False, context_fn=recompute_contexts)


class SpikingStudent(nn.Module):
    """Spiking text classifier; its linear layers are either all in training or all in integer form.

    Attributes:
        gradient_checkpointing: in training keep only the input of each block for the backward pass and
            compute the rest again there; has no effect where spikes are recorded.
    """

    gradient_checkpointing = False

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpikeEncoder(config)
        self.local = _local_layer(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.readout = PlainLinear(config.width, config.labels)

    def forward(
        self, ids: Tensor, valid: Tensor, record: bool = False, segments: Tensor | None = None
    ) -> StudentOutput:
        """Classify a batch.

        Args:
            ids: token ids, (B, N) int64, N at most ``config.tokens``.
            valid: 1.0 for a real token, 0.0 for padding, (B, N) float32.
            record: keep the spikes of every layer.
            segments: 0 or 1, which sentence of a pair a token is of, (B, N) int64; ``None`` is all 0.
        """
        packing = Packing.of(valid)
        segment = None if segments is None else segments.flatten()[packing.index]
        x = self.encoder(ids.flatten()[packing.index], packing.index % ids.shape[1], segment)
        spikes = {"code": x}
        if self.local is not None:
            spikes[LOCAL] = fire(self.local, packing.window(x, self.config.window), self.config.tau, counts=True)
            x = x + spikes[LOCAL]
        features = []
        for i, block in enumerate(self.blocks):
            layer_spikes: dict[str, Tensor] = {}
            if self.gradient_checkpointing and self.training and not record:
                x = _checkpointed(block, x, packing)
            else:
                x = block(x, packing, layer_spikes)
            features.append(x.mean(dim=0))
            if record:
                spikes |= {f"block{i}.{name}": s for name, s in layer_spikes.items()}
        token_logits = self.readout(x)
        scale = float(self.readout.theta) * self.config.steps
        logits = packing.sum_per_sentence(token_logits.sum(dim=0)) / (valid.sum(dim=1, keepdim=True) * scale)
        return StudentOutput(
            logits,
            packing.unpack(token_logits),
            features,
            {name: packing.unpack(s) for name, s in spikes.items()} if record else {},
        )

    def linears(self) -> Iterator[tuple[str, nn.Module, int]]:
        """Name, module and largest input message of every linear layer, in order of execution."""
        message = 1
        if self.local is not None:
            yield LOCAL, self.local, message
            message += 1
        for i, block in enumerate(self.blocks):
            largest = {"o": 1, "fc2": 1, "fc1": message + 1}
            for name in LAYERS_OF_A_BLOCK:
                yield f"block{i}.{name}", getattr(block, name), largest.get(name, message)
            message += 2
        yield "readout", self.readout, message

    def replace(self, name: str, layer: nn.Module) -> None:
        """Put ``layer`` in the place of the linear layer called ``name``."""
        if name in ("readout", LOCAL):
            setattr(self, name, layer)
        else:
            block, layer_name = name.split(".")
            setattr(self.blocks[int(block.removeprefix("block"))], layer_name, layer)

    def integers(self) -> dict[str, Integers]:
        """The lowered layers by name; the student must be in integer form."""
        return {name: layer.integers() for name, layer, _ in self.linears() if isinstance(layer, IntegerLinear)}


@torch.no_grad()
def integer_logits(output: StudentOutput) -> Tensor:
    """Logits summed over tokens and steps, (B, K) int64: what the host computes from a chip."""
    return output.token_logits.to(torch.int64).sum(dim=(0, 2))
