"""Streams samples through the network of a plan: samples back to back, every T steps one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from spikeport_lava.guard import Watchdog, abort, say
from spikeport_lava.network import build_network
from spikeport_lava.plan import InputError, Plan

REPORTS = 10


def make_stream(spikes: np.ndarray, plan: Plan) -> np.ndarray:
    """The samples (S, T, D + 1, N) back to back, int32 (N * (D + 1), S * T + latency), token-major.

    Raises:
        InputError: if the shape or type does not fit the plan.
    """
    expected = (plan.steps, plan.channels, plan.tokens)
    if spikes.ndim != 4 or spikes.shape[1:] != expected or spikes.dtype != np.bool_ or not len(spikes):
        raise InputError(f"spikes: {spikes.dtype} {spikes.shape}, this plan needs bool (samples, *{expected})")
    rows = spikes.transpose(3, 2, 0, 1).reshape(plan.tokens * plan.channels, -1)
    stream = np.zeros((rows.shape[0], rows.shape[1] + plan.latency), np.int32)
    stream[:, : rows.shape[1]] = rows
    return stream


def make_files(plan: Plan, record: bool, steps: int, folder: Path) -> dict[str, Path]:
    """Preallocates one file per sink: bits for spikes, int32 for logits."""
    files = {}
    for index, spec in enumerate(plan.processes):
        size = plan.tokens * spec.get("channels", 0)
        if spec["kind"] == "integer_sink":
            row = 4 * size
        elif spec["kind"] == "spike_sink" and record:
            row = -(-size // 8)
        else:
            continue
        files[spec["name"]] = folder / f"{index}.rows"
        with open(files[spec["name"]], "wb") as file:
            file.truncate(steps * row)
    return files


def execute(plan: Plan, spikes: np.ndarray, files: dict[str, Path], watchdog: Watchdog) -> None:
    """Runs all samples; the sinks' files are filled when it returns.

    Args:
        spikes: bool (S, T, D + 1, N).
        files: from :func:`make_files`.
        watchdog: a running one; it ends the program if a process fails.
    """
    stream = make_stream(spikes, plan)
    samples = len(spikes)
    started = time.monotonic()
    processes = build_network(plan, stream, files, samples * plan.steps)
    sink = processes[next(s["name"] for s in plan.processes if s["kind"] == "integer_sink")]
    start(sink, watchdog)
    say(f"{len(processes)} Lava processes started in {time.monotonic() - started:.1f} s")
    try:
        _run(sink, plan, stream.shape[1], samples)
    except RuntimeError:  # Lava names neither process nor cause
        abort(watchdog.cause(), watchdog.scratch)
    watchdog.watch((), ())
    sink.stop()


def start(process: AbstractProcess, watchdog: Watchdog) -> None:
    """Starts the network that ``process`` belongs to, every child of it watched."""
    executable = process.compile(Loihi2SimCfg(select_tag="fixed_pt"))
    names = [p.name for p, b in executable.proc_builders.items() if isinstance(b, PyProcessBuilder)]
    process.create_runtime(executable=executable)
    # lava-nc is pinned to one version: this is its only list of child processes
    watchdog.watch(process.runtime._messaging_infrastructure.actors, names)


def _run(process: AbstractProcess, plan: Plan, total: int, samples: int) -> None:
    chunk = plan.steps * max(1, -(-samples // REPORTS))
    started, done = time.monotonic(), 0
    while done < total:
        count = min(chunk, total - done)
        process.run(condition=RunSteps(num_steps=count))
        done += count
        finished = max(0, done - plan.latency) // plan.steps
        rate = 1e3 * (time.monotonic() - started) / done
        say(f"{finished}/{samples} samples, {rate:.1f} ms per step")
