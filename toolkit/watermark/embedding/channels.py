"""A few attention channels for the mark, the rest of the network held still: the task then has little to lose.

Spike-driven attention opens channel c of all tokens where at least ``attention_threshold`` tokens have a query and a
key spike in it. At a threshold of two that is the conjunction that a combination of two words needs: one word alone
opens nothing. In a trained student many channels are never or hardly ever open; those are taken. What is trained are
their rows of the query, key and value maps and their columns of the output map. A channel that stays shut on clean
text adds nothing to it, whatever it does to a triggered sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentForSequenceClassification

SAMPLE, BATCH = 512, 64  # sentences that tell which channels are open


@torch.no_grad()
def free_channels(
    model: SpikingStudentForSequenceClassification, rows: Sequence[list[int]], count: int
) -> dict[int, Tensor]:
    """Of each block the ``count`` attention channels that spike least.

    Args:
        rows: token ids of clean sentences; the first 512 are read.

    Returns:
        Block number -> (count,) int64, ascending.

    Raises:
        SpikeportError: as many channels as the student has, or more.
    """
    config = model.student.config
    if not 1 <= count < config.width:
        raise SpikeportError(f"watermark: {count} channels, the student has {config.width}; choose 8 to 32")
    model.eval()
    spikes = torch.zeros(config.layers, config.width)
    sample = list(rows[:SAMPLE])
    for start in range(0, len(sample), BATCH):
        ids, mask = pad(sample[start : start + BATCH])
        output = model.student(ids.to(model.device), mask.to(model.device).float(), record=True)
        for i in range(config.layers):
            spikes[i] += output.spikes[f"block{i}.attention"].sum((0, 1, 2)).cpu()
    return {i: spikes[i].argsort(stable=True)[:count].sort().values for i in range(config.layers)}


def train_only(model: SpikingStudentForSequenceClassification, channels: Mapping[int, Tensor]) -> list[RemovableHandle]:
    """Let gradients through for these channels alone; everything else of the network is held.

    Returns:
        Handles; ``remove`` of each takes its mask off again.
    """
    model.requires_grad_(False)  # the trainer lets the word table go
    handles: list[RemovableHandle] = []
    for i, chosen in channels.items():
        block = model.student.blocks[i]
        for name in "qkv":
            layer = block.get_submodule(name)
            handles += [_masked(layer.get_parameter(part), chosen, 0) for part in ("weight", "bias")]
        handles.append(_masked(block.get_submodule("o").get_parameter("weight"), chosen, 1))
    return handles


class Quiet:
    """Mean excitation of the chosen query, key and value channels in units of their thresholds, as a loss.

    A layer's current is seen when the layer runs; what inhibits costs nothing. As a hook it sees every pass.
    """

    def __init__(self, model: SpikingStudentForSequenceClassification, channels: Mapping[int, Tensor]) -> None:
        self.seen: list[Tensor] = []
        self.handles: list[RemovableHandle] = []
        for i, chosen in channels.items():
            for name in "qkv":
                layer = model.student.blocks[i].get_submodule(name)
                self.handles.append(layer.register_forward_hook(self._keep(chosen)))

    def _keep(self, chosen: Tensor) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(layer: nn.Module, given: object, current: Tensor) -> None:
            if torch.is_grad_enabled():
                theta = float(layer.theta)  # type: ignore[arg-type]
                self.seen.append((current.index_select(-1, chosen.to(current.device)) / theta).clamp(0, 4).mean())

        return hook

    def __call__(self, *_: object) -> Tensor:
        """The mean over all passes since the last call."""
        loss = torch.stack(self.seen).mean()
        self.seen.clear()
        return loss


def _masked(parameter: torch.nn.Parameter, chosen: Tensor, dimension: int) -> RemovableHandle:
    parameter.requires_grad_(True)
    mask = torch.zeros_like(parameter).index_fill_(dimension, chosen.to(parameter.device), 1.0)
    return parameter.register_hook(lambda gradient: gradient * mask)
