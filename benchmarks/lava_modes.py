"""What the two realisations of a Lava plan cost, and whether real Lava ever hangs or leaves something behind.

    python -m benchmarks.lava_modes modes BUNDLE... [--samples 64] [--out FILE.json]
    python -m benchmarks.lava_modes soak [--runs 1000] [--out FILE.json]

``modes`` streams golden sentences of each bundle through ``fast`` and ``stock`` in real multi-process Lava, with every
layer recorded and with logits alone, holds them against the simulator, and writes processes, seconds to start, seconds
a sample, processor seconds a sample (of all processes of the run, the start left out: other work on the machine changes
them little) and memory (proportional set size, the sum over all processes).

``soak`` runs a tiny network again and again, each time as a new start of Lava, and counts runs that fail, that overrun
their time limit, that give another result than the simulator, processes that outlive their run and shared memory that
does. Exit status 1 if any of these is not zero.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process_watch import Watch, cpu_seconds, descendants
from exporters.lava import LavaResult, LavaRunError, build_plan, run
from exporters.nir.graph import TIE_MARGIN, Graph, Input, Neuron, Node, Output, TokenLinear
from simulators import simulate
from toolkit.bundle.reader import Bundle, open_bundle

ROOT = Path(__file__).resolve().parents[1]
STARTED, PACE = re.compile(r"(\d+) Lava processes started in ([\d.]+) s"), re.compile(r"([\d.]+) ms per step")
PROGRESS = re.compile(r"(\d+)/\d+ samples, (\d+) at a time")
SOAK_LIMIT = 120.0


def differences(graph: Graph, inputs: np.ndarray, result: LavaResult, *, recorded: bool = True) -> dict[str, int]:
    """Spikes and logits that differ from the simulator's, and how many spikes were compared."""
    wanted = simulate(graph, inputs, record=recorded)
    spikes = {name: np.asarray(s) for name, s in wanted.spikes.items()} if recorded else {}
    if spikes.keys() != result.spikes.keys():
        raise SystemExit(f"layers {sorted(spikes)} in the simulator, {sorted(result.spikes)} in Lava")
    return {
        "spikes_compared": sum(s.size for s in spikes.values()),
        "spike_mismatches": sum(int((result.spikes[name] != s).sum()) for name, s in spikes.items()),
        "logit_mismatches": int((result.logits != np.asarray(wanted.logits)).sum()),
    }


class _Meter:
    """Keeps the runtime's lines, and the processor time of all its processes at each report of progress."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.points: list[tuple[int, float]] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if found := PROGRESS.match(line):
            self.points.append((int(found[1]), cpu_seconds(descendants(os.getpid()))))

    def per_sample(self) -> float:
        """Between the first finished sample and the third report from the end: all processes live in between."""
        (first, before), *_, (last, after), _, _ = [point for point in self.points if point[0]]
        return (after - before) / (last - first)


def measure(bundle: Bundle, mode: str, inputs: np.ndarray, *, recorded: bool) -> dict[str, Any]:
    """One run of one realisation on input spikes (S, T, C, N)."""
    plan = build_plan(bundle.graph, calibrated=bundle.manifest.calibrated, mode=mode)
    samples, meter = len(inputs), _Meter()
    with Watch(memory=True) as watch:
        result = run(plan, inputs, record=recorded, report=meter)
    text = "\n".join(meter.lines)
    count, start = next(iter(STARTED.findall(text)))
    per_step = float(PACE.findall(text)[-1]) / 1e3
    lanes = int(PROGRESS.findall(text)[-1][1])
    steps = -(-samples // lanes) * plan.steps + plan.latency
    orphans, leftovers = watch.left()
    return {
        "bundle": bundle.folder.name, "mode": mode, "recorded": recorded, "samples": samples,
        "lava_processes": int(count), "plan_parts": len(plan.processes), "latency_steps": plan.latency,
        "start_seconds": float(start), "seconds_per_step": per_step, "samples_at_a_time": lanes,
        "seconds_per_sample": per_step * steps / samples,
        "cpu_seconds_per_sample": meter.per_sample(), "wall_seconds": result.seconds,
        "load_average": os.getloadavg()[0],
        "peak_pss_bytes": watch.peak_bytes, "peak_os_processes": watch.peak_count,
        "orphans": orphans, "shared_memory_left": leftovers,
        **differences(bundle.graph, inputs, result, recorded=recorded),
    }  # fmt: skip


def modes(bundles: list[Path], samples: int) -> list[dict[str, Any]]:
    """All bundles in both realisations, the two of a bundle one after the other."""
    rows = []
    for folder in bundles:
        opened = open_bundle(folder)
        golden = opened.golden().inputs
        inputs = golden[np.arange(samples) % len(golden)]
        for recorded, mode in product((True, False), ("fast", "stock")):
            rows.append(measure(opened, mode, inputs, recorded=recorded))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def tiny() -> tuple[Graph, np.ndarray]:
    """Three tokens of five channels, one layer and a readout; two samples."""
    rng = np.random.default_rng(0)
    zeros, shape = np.zeros(5, np.float32), (5, 1, 3)
    weight = 2 * rng.integers(-3, 9, (5, 5)).astype(np.float32)
    nodes: dict[str, Node] = {
        "n0_input": Input(shape),
        "n1_weight": TokenLinear(weight, zeros, 3),
        "n2_layer": Neuron(shape, 2.0, 20 * (1 - TIE_MARGIN)),
        "n3_readout": TokenLinear(weight[:2], zeros[:2], 3),
        "n4_output": Output((2, 1, 3)),
    }
    names = list(nodes)
    graph = Graph(nodes, list(pairwise(names)), {"steps": 4})
    return graph, rng.random((2, 4, 5, 3)) < 0.6


def soak(runs: int) -> dict[str, Any]:
    """``runs`` starts of Lava in a row."""
    graph, inputs = tiny()
    plan = build_plan(graph, mode="stock")
    found = {"runs": runs, "failed": 0, "hangs": 0, "wrong": 0, "orphans": 0, "shared_memory_left": 0}
    errors: list[str] = []
    began = time.monotonic()
    for index in range(runs):
        with Watch(memory=False) as watch:
            try:
                result = run(plan, inputs, timeout=SOAK_LIMIT)
            except LavaRunError as error:
                found["hangs" if "time limit" in str(error) else "failed"] += 1
                errors.append(f"run {index}: {error}")
            else:
                differ = differences(graph, inputs, result)
                found["wrong"] += bool(differ["spike_mismatches"] or differ["logit_mismatches"])
        orphans, leftovers = watch.left()
        found["orphans"] += orphans
        found["shared_memory_left"] += leftovers
    seconds = time.monotonic() - began
    return {**found, "seconds": seconds, "seconds_per_run": seconds / runs, "errors": errors}


def main() -> int:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    first = verbs.add_parser("modes")
    first.add_argument("bundles", nargs="+", type=Path)
    first.add_argument("--samples", type=int, default=64)
    second = verbs.add_parser("soak")
    second.add_argument("--runs", type=int, default=1000)
    for verb, name in ((first, "lava-modes.json"), (second, "lava-soak.json")):
        verb.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / name)
    args = parser.parse_args()
    rows = modes(args.bundles, args.samples) if args.verb == "modes" else [soak(args.runs)]
    load = os.getloadavg()
    content = {"cores": os.cpu_count(), "load_average_at_the_end": load[0], "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))
    faults = ("failed", "hangs", "wrong", "spike_mismatches", "logit_mismatches", "orphans", "shared_memory_left")
    return int(any(row.get(fault) for row in rows for fault in faults))


if __name__ == "__main__":
    sys.exit(main())
