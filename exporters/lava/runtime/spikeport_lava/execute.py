"""Streams samples through the network of a plan: samples back to back, every T steps one in each lane.

A round holds at most ``ROUND`` samples, for Lava's source keeps its whole stream in memory; a network is started
for each round. Within one there is no gap between samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps

from spikeport_lava.config import Config
from spikeport_lava.guard import Watchdog, abort, say
from spikeport_lava.inputs import SpikeReader
from spikeport_lava.network import Round, build_network, has_lanes
from spikeport_lava.one_process import build_turns, step
from spikeport_lava.plan import Plan

ROUND = 512
LANES = 8  # samples side by side where a plan allows it: they share what a process costs a step, and fit the cache
REPORTS = 10
CHANNEL_SLOTS = 8  # messages that a channel has memory for, of Lava's 64; at most two wait in one at a time


def make_stream(spikes: np.ndarray, plan: Plan, lanes: int) -> np.ndarray:
    """The samples (S, T, D + 1, N) as int32 (lanes * N * (D + 1), ceil(S / lanes) * T + latency), token-major.

    Each lane has consecutive samples back to back; what the last one lacks is silence.
    """
    each = -(-len(spikes) // lanes)
    padded = np.zeros((lanes * each, *spikes.shape[1:]), np.int32)
    padded[: len(spikes)] = spikes
    rows = padded.reshape(lanes, each, *spikes.shape[1:]).transpose(0, 4, 3, 1, 2).reshape(-1, each * plan.steps)
    return np.hstack([rows, np.zeros((len(rows), plan.latency), np.int32)])


def make_files(plan: Plan, record: bool, steps: int, folder: Path) -> dict[str, Path]:
    """Preallocates one file per record: bits for spikes, int32 for logits."""
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


def execute(
    plan: Plan, inputs: SpikeReader, files: dict[str, Path], watchdog: Watchdog, *, one_process: bool = False
) -> None:
    """Runs all samples; the sinks' files fill as it goes and are full when it returns.

    Args:
        files: from :func:`make_files`.
        watchdog: a running one; it ends the program if a process fails.
        one_process: run the same process models here and not in a process each.
    """
    run = _run_here if one_process else _run_apart
    for first in range(0, inputs.samples, ROUND):
        count = min(ROUND, inputs.samples - first)
        each = -(-count // min(count, LANES if has_lanes(plan) else 1))
        lanes = -(-count // each)
        stream = make_stream(inputs.read(count), plan, lanes)
        started = time.monotonic()
        rows = range(first * plan.steps, (first + count) * plan.steps)
        processes = build_network(plan, Round(stream, files, rows, lanes, each * plan.steps))
        progress = _Progress(plan, range(first, first + count), inputs.samples, lanes, len(processes), started)
        run(processes[-1], stream.shape[1], plan.steps * max(1, -(-each // REPORTS)), progress, watchdog)


class _Progress:
    """Tells of the start, and then of samples finished."""

    def __init__(self, plan: Plan, now: range, samples: int, lanes: int, processes: int, started: float) -> None:
        self.plan, self.now, self.samples, self.lanes, self.processes = plan, now, samples, lanes, processes
        self.started = started

    def begin(self) -> None:
        say(f"{self.processes} Lava processes started in {time.monotonic() - self.started:.1f} s")
        self.started = time.monotonic()

    def at(self, done: int) -> None:
        each = max(0, done - self.plan.latency) // self.plan.steps
        finished = min(self.now.start + self.lanes * each, self.now.stop)
        rate = 1e3 * (time.monotonic() - self.started) / done
        say(f"{finished}/{self.samples} samples, {self.lanes} at a time, {rate:.1f} ms per step")


def _chunks(total: int, chunk: int, advance: Callable[[int], object], progress: _Progress) -> None:
    done = 0
    while done < total:
        count = min(chunk, total - done)
        advance(count)
        done += count
        progress.at(done)


def _run_here(sink: AbstractProcess, total: int, chunk: int, progress: _Progress, _watchdog: Watchdog) -> None:
    turns = build_turns(sink)
    progress.begin()
    _chunks(total, chunk, lambda count: step(turns, count), progress)


def _run_apart(sink: AbstractProcess, total: int, chunk: int, progress: _Progress, watchdog: Watchdog) -> None:
    start(sink, watchdog)
    progress.begin()
    try:
        _run(sink, total, chunk, progress)
    except RuntimeError:  # Lava names neither process nor cause
        abort(watchdog.cause(), watchdog.scratch)
    watchdog.watch((), ())
    sink.stop()


def start(process: AbstractProcess, watchdog: Watchdog) -> None:
    """Starts the network that ``process`` belongs to, every child of it watched."""
    try:
        executable = process.compile(Config(), {"pypy_channel_size": CHANNEL_SLOTS})
        names = [p.name for p, b in executable.proc_builders.items() if isinstance(b, PyProcessBuilder)]
        watchdog.watch(_Actors(process), names)
        process.create_runtime(executable=executable)
    except Exception:  # of a model's constructor, or of Lava's compiler
        if watchdog.has_failure():
            abort(watchdog.cause(), watchdog.scratch)
        raise


class _Actors(Sequence):
    """Lava's child processes as they start; lava-nc is pinned to one version, this is its only list of them."""

    def __init__(self, process: AbstractProcess) -> None:
        self.process = process

    def _started(self) -> list[Any]:
        runtime = getattr(self.process, "_runtime", None)
        return list(getattr(getattr(runtime, "_messaging_infrastructure", None), "_actors", ()))

    def __getitem__(self, index: int) -> Any:
        return self._started()[index]

    def __len__(self) -> int:
        return len(self._started())


def _run(process: AbstractProcess, total: int, chunk: int, progress: _Progress) -> None:
    _chunks(total, chunk, lambda count: process.run(condition=RunSteps(num_steps=count)), progress)
