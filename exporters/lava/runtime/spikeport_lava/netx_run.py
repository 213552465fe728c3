"""Streams samples through a network that lava-dl's ``netx`` has built: back to back, every T steps one."""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lava.lib.dl.netx.blocks.process import Input
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.proc.io.source import RingBuffer

from spikeport_lava.execute import start
from spikeport_lava.guard import Watchdog, abort, say
from spikeport_lava.plan import InputError
from spikeport_lava.processes.sink import Sink
from spikeport_lava.results import versions
from spikeport_lava.tracks import Track

REPORTS = 10


def execute(options: argparse.Namespace, inputs: np.ndarray, scratch: Path, watchdog: Watchdog) -> dict[str, Any]:
    """Runs all samples.

    Args:
        options: of the command line; ``net``, ``layers``, ``message_bits``, ``no_reset`` and ``sums`` are used.
        inputs: int32 (S, T, C) or (S, T, C, H, W).
        scratch: folder for the sinks' files.
        watchdog: a running one; it ends the program if a process fails.

    Returns:
        Arrays of the output archive: ``spikes/<i>``, bool (S, T, ...) packed along the last axis, of layer i, with
        ``shape/<i>``; ``sums``, int32 (S, T, ...); ``layers`` and ``versions``.
    """
    samples, steps = inputs.shape[:2]
    network = load(options, steps)
    port = entry(network)
    entering = tuple(port.shape[::-1])
    if inputs.shape[2:] != entering:
        raise InputError(f"inputs: each step has shape {inputs.shape[2:]}, the network takes {entering}")
    delays = layer_delays(network)
    stream = np.zeros((*port.shape, samples * steps + delays[-1]), np.int32)
    stream[..., : samples * steps] = np.moveaxis(inputs.reshape(-1, *entering), 0, -1).transpose(
        *reversed(range(len(entering))), len(entering)
    )
    source = RingBuffer(data=stream)
    source.s_out.connect(port)
    rows = samples * steps
    ports = {f"spikes/{i}": network.layers[i].neuron.s_out for i in range(len(delays))}
    if options.sums:
        ports["sums"] = network.layers[-1].synapse.a_out
    waits = [*delays, delays[-1]]
    tracks = {
        name: _track(port, scratch / f"{i}.rows", waits[i], rows, is_packed=name != "sums")
        for i, (name, port) in enumerate(ports.items())
    }
    sink = Sink(tracks=[[track] for track in tracks.values()], rows=range(rows), lanes=1, lane_steps=rows, name="sink")
    for i, port in enumerate(ports.values()):
        port.flatten().connect(getattr(sink, f"in{i}"))
    start(source, watchdog)
    say(f"{len(network.layers)} layers of {options.net.name}, {stream.shape[-1]} steps")
    _run(source, stream.shape[-1], watchdog)
    return _collect(network, tracks, samples, steps)


def load(options: argparse.Namespace, steps: int) -> Network:
    """The network, reset every ``steps`` steps in the phase that each layer's delay asks for.

    netx adds a step to the phase for each layer, as each synapse takes one. A network whose first layer is a synapse
    meets its first input at step 2, one that starts with a neuron at step 1, hence the offset.
    """
    arguments: dict[str, Any] = {"num_layers": options.layers, "input_message_bits": options.message_bits}
    network = Network(str(options.net), **arguments)
    if options.no_reset:
        return network
    offset = 0 if isinstance(network.in_layer, Input) else 1
    return Network(str(options.net), reset_interval=steps, reset_offset=offset, **arguments)


def entry(network: Network) -> Any:
    """Where the input goes in: netx leaves the in-port of an input layer with neurons unconnected."""
    return network.in_layer.neuron.a_in if isinstance(network.in_layer, Input) else network.inp


def layer_delays(network: Network) -> list[int]:
    """Time steps of each layer's spikes behind the input: one for each synapse on the way."""
    first = 0 if isinstance(network.in_layer, Input) else 1
    return [first + i for i in range(len(network.layers))]


def _track(port: Any, path: Path, delay: int, rows: int, *, is_packed: bool) -> Track:
    track = Track(int(np.prod(port.shape)), str(path), delay, is_packed)
    with open(path, "wb") as file:
        file.truncate(rows * (-(-track.size // 8) if is_packed else 4 * track.size))
    return track


def _run(process: AbstractProcess, total: int, watchdog: Watchdog) -> None:
    chunk, done = max(1, -(-total // REPORTS)), 0
    try:
        while done < total:
            count = min(chunk, total - done)
            process.run(condition=RunSteps(num_steps=count))
            done += count
            say(f"{done}/{total} steps")
    except RuntimeError:  # Lava names neither process nor cause
        abort(watchdog.cause(), watchdog.scratch)
    watchdog.watch((), ())
    process.stop()


def _collect(network: Network, tracks: dict[str, Track], samples: int, steps: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {"versions": np.array(json.dumps({**versions(), "lava-dl": version("lava-dl")}))}
    arrays["layers"] = np.array(len(network.layers))
    for name, track in tracks.items():
        layer = network.layers[-1 if name == "sums" else int(name.partition("/")[2])]
        shape = tuple(layer.shape)
        if name == "sums":
            values = np.fromfile(track.path, np.int32)
        else:
            packed = np.fromfile(track.path, np.uint8).reshape(samples * steps, -1)
            values = np.unpackbits(packed, axis=-1, count=track.size)
        planes = values.reshape(samples, steps, *shape)
        order = (0, 1, *reversed(range(2, 2 + len(shape))))  # Lava holds (W, H, C), files and everybody else (C, H, W)
        planes = np.ascontiguousarray(planes.transpose(order))
        if name == "sums":
            arrays[name] = planes
        else:
            arrays[name] = np.packbits(planes.reshape(samples, steps, -1), axis=-1)
            arrays[f"shape/{name.partition('/')[2]}"] = np.array(shape[::-1])
    return arrays
