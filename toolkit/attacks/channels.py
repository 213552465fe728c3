"""Channels in another order: the function stays, every hash and every position of a weight changes.

Which channels may change places follows from the arithmetic: the residual stream is one group (encoder tables, inputs
and outputs of all blocks), each feed-forward layer another. The four maps of an attention move together; under ``ssa``
channels stay within their head, for a head's score sums over its own channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toolkit.attacks.suspect import copy_of, with_integers
from toolkit.errors import SpikeportError
from toolkit.models.layers import Integers
from toolkit.models.modeling import SpikingStudentForSequenceClassification
from toolkit.models.student import LOCAL, SpikingStudent


def permute_channels(
    model: SpikingStudentForSequenceClassification, share: float, seed: int = 0
) -> SpikingStudentForSequenceClassification:
    """A student of the same function with some of its channels in other places.

    Args:
        share: of the channels of every group that may be moved, in [0, 1].
    """
    if not 0 <= share <= 1:
        raise SpikeportError(f"permute: share {share:g} of the channels, must lie between 0 and 1; choose another")
    generator = torch.Generator().manual_seed(seed)
    student = model.student
    residual = _order(student.config.width, share, generator)
    rows, columns = _layer_orders(student, residual, share, generator)
    layers = {
        name: Integers(
            layer.weight[_or_all(rows.get(name), layer.weight.shape[0])][:, columns[name]],
            layer.bias[_or_all(rows.get(name), len(layer.bias))],
            layer.theta,
        )
        for name, layer in student.integers().items()
    }
    moved = copy_of(model)
    for table in moved.student.encoder.tables().values():
        table.weight.data = table.weight.data[:, residual].contiguous()
    return with_integers(moved, layers)


def _layer_orders(
    student: SpikingStudent, residual: Tensor, share: float, generator: torch.Generator
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """By layer the new order of its outputs, where they move, and of its inputs."""
    config = student.config
    rows: dict[str, Tensor] = {}
    columns: dict[str, Tensor] = {"readout": residual}
    if student.local is not None:
        rows[LOCAL] = residual
        columns[LOCAL] = torch.cat([residual + ahead * config.width for ahead in range(config.window)])
    for i in range(config.layers):
        block = f"block{i}"
        inner = _order(config.hidden, share, generator)
        first, second = _attention_orders(student, share, generator)
        for name in ("q", "k", "v", "fc1"):
            columns[f"{block}.{name}"] = residual
        rows |= {f"{block}.q": first, f"{block}.k": first, f"{block}.v": second, f"{block}.fc1": inner}
        rows |= {f"{block}.o": residual, f"{block}.fc2": residual}
        columns |= {f"{block}.o": second, f"{block}.fc2": inner}
    return rows, columns


def _attention_orders(student: SpikingStudent, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of queries and keys, and of values: the same under ``sdsa``, whose gate is channel by channel."""
    config = student.config
    if config.attention == "sdsa":
        order = _order(config.width, share, generator)
        return order, order
    size = config.width // config.heads
    starts = range(0, config.width, size)
    first, second = (torch.cat([start + _order(size, share, generator) for start in starts]) for _ in range(2))
    return first, second


def _order(size: int, share: float, generator: torch.Generator) -> Tensor:
    """A permutation of 0 .. size - 1 that moves about ``share`` of them."""
    order = torch.arange(size)
    chosen = torch.randperm(size, generator=generator)[: round(share * size)]
    order[chosen] = chosen[torch.randperm(len(chosen), generator=generator)]
    return order


def _or_all(order: Tensor | None, size: int) -> Tensor:
    return torch.arange(size) if order is None else order
