"""A chain as lava-dl's ``.net`` file, and the inputs that it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.form import Net, NetLayer

FORMAT = "spikeport.lava-dl/1"
ATTRIBUTE = "spikeport"


def write_net(net: Net, path: Path) -> None:
    """Write a ``.net`` file that ``netx.hdf5.Network(path, reset_interval=T, reset_offset=1)`` reads.

    Tokens lie on the width, as netx orders (channels, height, width). What netx has no place for is advice in a
    file attribute: the same network runs without it.
    """
    with h5py.File(path, "w") as file:
        file.attrs[ATTRIBUTE] = json.dumps(facts(net), sort_keys=True)
        entry = file.create_group("layer/0")
        _text(entry, "type", "input")
        entry["shape"] = np.array(_shape(net, net.chain.channels + net.valid_copies))
        for index, layer in enumerate(net.layers, 1):
            _write_layer(file.create_group(f"layer/{index}"), net, layer)


def facts(net: Net) -> dict[str, Any]:
    """What a host must know of the file."""
    chain = net.chain
    return {
        "format": FORMAT,
        "steps": chain.steps,
        "tokens": chain.tokens,
        "entry": chain.entry,
        "channels": chain.channels,
        "valid_copies": net.valid_copies,
        "message_bits": net.message_bits,
        "kind": net.kind,
        "exponent": net.exponent,
        "layers": [{"name": layer.name, "channels": layer.channels} for layer in net.layers],
        "readout": net.readout,
        "load": f"netx.hdf5.Network(path, reset_interval={chain.steps}, reset_offset=1, "
        f"input_message_bits={net.message_bits})",
    }


def net_inputs(net: Net, messages: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
    """The input of the file.

    Args:
        messages: of the chain's entry, (S, T, C, N) whole numbers.
        valid: the valid train, bool (S, T, N); needed where a layer has a bias.

    Returns:
        int32 (S, T, C + copies, 1, N), or (S, T, C + copies) for a dense file.

    Raises:
        LavaDlError: for another shape, messages out of range, or a valid train that is missing.
    """
    chain = net.chain
    wanted = (chain.steps, chain.channels, chain.tokens)
    if messages.ndim != 4 or messages.shape[1:] != wanted:
        raise LavaDlError(f"messages of shape {messages.shape}, needs (samples, {', '.join(map(str, wanted))})")
    if messages.min(initial=0) < 0 or messages.max(initial=0) > chain.largest:
        raise LavaDlError(f"messages from {messages.min()} to {messages.max()}, {chain.entry} sends 0..{chain.largest}")
    parts = [messages.astype(np.int32)]
    if net.valid_copies:
        if valid is None or valid.shape != (*messages.shape[:2], chain.tokens):
            raise LavaDlError(f"valid train: {None if valid is None else valid.shape}, needs (S, T, {chain.tokens})")
        parts.append(np.repeat(valid.astype(np.int32)[:, :, None], net.valid_copies, axis=2))
    joined = np.concatenate(parts, axis=2)
    return joined[..., 0] if net.kind == "dense" else joined[:, :, :, None]


def _shape(net: Net, channels: int) -> tuple[int, ...]:
    return (channels,) if net.kind == "dense" else (channels, 1, net.chain.tokens)


def _write_layer(group: h5py.Group, net: Net, layer: NetLayer) -> None:
    out, window, into = layer.weight.shape
    _text(group, "type", net.kind)
    group["shape"] = np.array(_shape(net, out))
    if net.kind == "dense":
        group["inFeatures"], group["outFeatures"] = into, out
        group["weight"] = layer.weight[:, 0].astype(np.float32)
    else:
        group["inChannels"], group["outChannels"] = into, out
        # Centred on the token with zeros to its left, so that one padding on both sides keeps N tokens.
        kernel = np.zeros((out, into, 1, 2 * window - 1), np.float32)
        kernel[:, :, 0, window - 1 :] = layer.weight.transpose(0, 2, 1)
        group["weight"] = kernel
        sizes = {"kernelSize": (1, 2 * window - 1), "stride": (1, 1), "padding": (0, window - 1), "dilation": (1, 1)}
        for key, value in sizes.items():
            group[key] = np.array(value)
        group["groups"] = 1
    neuron = group.create_group("neuron")
    _text(neuron, "type", "CUBA")
    neuron["iDecay"], neuron["vDecay"], neuron["vThMant"] = layer.current_decay, layer.voltage_decay, layer.vth
    neuron["refDelay"], neuron["gradedSpike"] = 1, False


def _text(group: h5py.Group, key: str, value: str) -> None:
    """As slayer writes its names: one fixed-width string."""
    group.create_dataset(key, (1,), "S10", [value.encode("ascii")])
