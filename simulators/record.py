"""Recorded spikes in a bit-packed npz.

It holds ``format``, the layer ``names`` (L,), their ``shapes`` (L, 4) as (S, T, C, N), and for layer i
``layer{i}``: its spikes in C order, eight to a byte, the first in the highest bit (``numpy.packbits``), zeros
behind the last.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simulators.errors import RecordError

FORMAT = "spikeport.spikes/1"
Spikes = Tensor | NDArray[np.bool_]


def write_record(path: Path, spikes: Mapping[str, Spikes]) -> None:
    """Write the spikes of a run, bool (S, T, C, N) by layer (``SimulationResult.spikes``), as npz.

    Raises:
        RecordError: nothing was recorded, or it is no spikes.
    """
    layers = recorded(spikes)
    packed = {f"layer{i}": np.packbits(x.reshape(-1)) for i, x in enumerate(layers.values())}
    shapes = np.array([x.shape for x in layers.values()], dtype=np.int64)
    with open(path, "wb") as file:  # numpy would add .npz to a path
        np.savez(
            file, allow_pickle=False, format=np.array(FORMAT), names=np.array(list(layers)), shapes=shapes, **packed
        )


def read_record(path: Path) -> dict[str, NDArray[np.bool_]]:
    """The spikes that :func:`write_record` wrote, bool (S, T, C, N) by layer, in their order.

    Raises:
        RecordError: the file is no such record, or is damaged.
    """
    with open(path, "rb") as file:
        try:
            return _layers(path, np.load(file, allow_pickle=False))
        except RecordError:
            raise
        except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RecordError(f"{path}: {error}; not a record of the form {FORMAT}, write it again") from None


def _layers(path: Path, file: Any) -> dict[str, NDArray[np.bool_]]:
    if not isinstance(file, np.lib.npyio.NpzFile) or str(file["format"]) != FORMAT:
        raise RecordError(f"{path}: not a record of the form {FORMAT}; write it with write_record")
    names, shapes = file["names"], file["shapes"]
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
        raise RecordError(f"{path}: names {names.dtype} {names.shape} are not one for each layer; write it again")
    if shapes.shape != (len(names), 4) or shapes.dtype != np.int64:
        raise RecordError(f"{path}: shapes {shapes.dtype} {shapes.shape} for {len(names)} layers; write it again")
    return {
        str(name): _unpacked(f"{path}: layer {name}", file[f"layer{i}"], tuple(map(int, shape)))
        for i, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }


def _unpacked(what: str, packed: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    size = prod(shape)
    if min(shape) < 1 or packed.dtype != np.uint8 or packed.shape != (-(-size // 8),):
        raise RecordError(f"{what} of shape {shape}: {packed.dtype} {packed.shape} are not its bits; write it again")
    bits = np.unpackbits(packed)
    if bits[size:].any():
        raise RecordError(f"{what}: bits behind the last spike are set, all must be 0; write it again")
    return bits[:size].view(np.bool_).reshape(shape)


def recorded(spikes: Mapping[str, Spikes]) -> dict[str, NDArray[np.bool_]]:
    """The layers as numpy arrays.

    Raises:
        RecordError: there are none, or one is no bool (S, T, C, N).
    """
    if not spikes:
        raise RecordError("record: 0 layers, at least 1 is needed; simulate with record=True")
    layers = {name: x.cpu().numpy() if isinstance(x, Tensor) else x for name, x in spikes.items()}
    for name, x in layers.items():
        if x.ndim != 4 or x.dtype != np.bool_ or 0 in x.shape:
            raise RecordError(f"layer {name}: {x.dtype} {x.shape}, spikes are bool (S, T, C, N); give result.spikes")
    return layers
