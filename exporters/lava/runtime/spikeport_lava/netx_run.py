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
from spikeport_lava.processes.sinks import IntegerSink, SpikeSink
from spikeport_lava.results import versions

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
    sinks = {}
    for i, delay in enumerate(delays):
        sinks[f"spikes/{i}"] = _sink(SpikeSink, network.layers[i].neuron.s_out, scratch, i, delay, rows)
    if options.sums:
        last = network.layers[-1].synapse.a_out
        sinks["sums"] = _sink(IntegerSink, last, scratch, len(delays), delays[-1], rows)
    start(source, watchdog)
    say(f"{len(network.layers)} layers of {options.net.name}, {stream.shape[-1]} steps")
    _run(source, stream.shape[-1], watchdog)
    return _collect(network, sinks, samples, steps)


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


def _sink(kind: type, port: Any, scratch: Path, index: int, delay: int, rows: int) -> AbstractProcess:
    size = int(np.prod(port.shape))
    path = scratch / f"{index}.rows"
    with open(path, "wb") as file:
        file.truncate(rows * (4 * size if kind is IntegerSink else -(-size // 8)))
    sink = kind(size=size, path=str(path), delay=delay, first=0, steps=rows, name=f"sink{index}")
    port.flatten().connect(sink.a_in)
    return sink


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


def _collect(network: Network, sinks: dict[str, AbstractProcess], samples: int, steps: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {"versions": np.array(json.dumps({**versions(), "lava-dl": version("lava-dl")}))}
    arrays["layers"] = np.array(len(network.layers))
    for name, sink in sinks.items():
        path, size = Path(sink.proc_params["path"]), sink.proc_params["size"]
        layer = network.layers[-1 if name == "sums" else int(name.partition("/")[2])]
        shape = tuple(layer.shape)
        if name == "sums":
            values = np.fromfile(path, np.int32)
        else:
            values = np.unpackbits(np.fromfile(path, np.uint8).reshape(samples * steps, -1), axis=-1, count=size)
        planes = values.reshape(samples, steps, *shape)
        order = (0, 1, *reversed(range(2, 2 + len(shape))))  # Lava holds (W, H, C), files and everybody else (C, H, W)
        planes = np.ascontiguousarray(planes.transpose(order))
        if name == "sums":
            arrays[name] = planes
        else:
            arrays[name] = np.packbits(planes.reshape(samples, steps, -1), axis=-1)
            arrays[f"shape/{name.partition('/')[2]}"] = np.array(shape[::-1])
    return arrays
