"""The simulator against real Lava, ``fast`` and ``stock``: the same sentences in one run, medians.

    python -m benchmarks.simulator_lava [--case sdsa ssa-native] [--samples 64] [--rounds 3] [--out FILE.json]

Shipped students, with logits alone; Lava's logits are compared with the simulator's in every round. Lava's seconds a
sample leave out the start of its processes (`benchmarks/lava_modes.py`), those of the simulator the preparation of the
graph: one batch of all samples. Lava runs all token slots, the simulator leaves padded ones out: ``full`` is its time
on the same batch with every sentence filled up by its own tokens. Exit status 1 where logits differ or a target is
missed, 3 without Lava's environment.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.conformance_cases import SHIPPED, texts_of, write_shipped
from benchmarks.lava_modes import measure
from benchmarks.stopwatch import RESULTS, in_turn, machine, seconds, spread, verdict, write_report
from exporters.lava.launch import LavaNotInstalled, find_python
from simulators import Simulator
from toolkit.bundle.reader import Bundle, open_bundle

CASES = ("sdsa", "ssa-native")
MODES = ("fast", "stock")
OURS, FULL = "simulator", "simulator, full"
LEAST_RATIO, AIM, MOST_MILLISECONDS = 50.0, 200.0, 1.0
LEAST_SAMPLES = 40  # five lots of eight lanes: the first and the last two are left out of its pace
FAULTS = ("logit_mismatches", "orphans", "shared_memory_left")
Row = dict[str, Any]


def filled(inputs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each sentence's tokens over and over, until no slot is left: what it costs without padding."""
    full = np.empty_like(inputs)
    for sample, spikes in enumerate(inputs):
        valid = np.flatnonzero(spikes[:, -1].any(axis=0))
        full[sample] = spikes[:, :, np.resize(valid, spikes.shape[2])]
    return full


def compare(bundle: Bundle, inputs: NDArray[np.bool_], args: argparse.Namespace) -> list[Row]:
    """One shipped student on all of them."""
    runs: dict[str, list[Row]] = {mode: [] for mode in args.modes}
    samples = len(inputs)
    simulator = Simulator(bundle.graph, inputs.shape[1], batch_size=samples, device="cpu")

    def lava(mode: str) -> float:
        runs[mode].append(measure(bundle, mode, inputs, recorded=False))
        return runs[mode][-1]["seconds_per_sample"]

    def ours(given: NDArray[np.bool_]) -> float:
        call = partial(simulator.run, given)
        return statistics.median(seconds(call) for _ in range(args.calls)) / samples

    clocks = {mode: partial(lava, mode) for mode in args.modes}
    clocks |= {OURS: partial(ours, inputs), FULL: partial(ours, filled(inputs))}
    ours(inputs)  # the warm-up of the simulator; Lava starts anew in every round
    times = in_turn(clocks, args.rounds, warm_up=0)
    rows = []
    for name, each in times.items():
        row: Row = {"simulator": name, "samples": samples, "seconds_per_sample": statistics.median(each)}
        if name in runs:
            row |= {fault: sum(run[fault] for run in runs[name]) for fault in FAULTS}
            for key in ("start_seconds", "wall_seconds", "cpu_seconds_per_sample", "peak_pss_bytes"):
                row[key] = statistics.median(run[key] for run in runs[name])
            row["ratio"] = statistics.median(each) / statistics.median(times[OURS])
            row["ratio_full"] = statistics.median(each) / statistics.median(times[FULL])
        rows.append(row | {"spread": spread(each)})
    return rows


def judged(rows: list[Row]) -> tuple[bool, list[str]]:
    """Equal logits, nothing left behind, and the three targets; the aim does not count."""
    found = []
    aims = []
    for row in rows:
        what = f"{row['case']}, {row['simulator']}"
        found += [verdict(f"{what}, {fault}", row[fault], 0, at_most=True) for fault in FAULTS if fault in row]
        if row["simulator"] == MODES[0]:
            found.append(verdict(f"{what}, times the simulator's seconds", row["ratio"], LEAST_RATIO, at_most=False))
            aims.append(verdict(f"aim: {what}, times its seconds", row["ratio"], AIM, at_most=False)[1])
        if row["simulator"] in (OURS, FULL):
            value = 1e3 * row["seconds_per_sample"]
            found.append(verdict(f"{what}, ms a sample", value, MOST_MILLISECONDS, at_most=True))
    return all(met for met, _ in found), [line for _, line in found] + aims


def main(given: list[str] | None = None) -> int:
    """Write the bundles, run everybody in turn, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=sorted(SHIPPED), default=list(CASES))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--samples", type=int, default=64, help="at most the 128 sentences that come along")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=5, help="of the simulator in a round, of which the median counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS / "simulator-lava.json")
    args = parser.parse_args(given)
    if args.samples < LEAST_SAMPLES:
        parser.error(f"--samples {args.samples}: Lava's pace is measured from {LEAST_SAMPLES} on; choose more")
    torch.set_num_threads(args.threads)
    try:
        find_python()
    except LavaNotInstalled as error:
        print(error, file=sys.stderr)
        return 3
    content: Row = {"machine": machine(), "rounds": args.rounds, "calls_a_round": args.calls}
    rows: list[Row] = []
    for name in args.case:
        with tempfile.TemporaryDirectory() as folder:
            case = write_shipped(name, Path(folder))
            bundle = open_bundle(case.parent / name)
            batch = bundle.encoder.encode(texts_of(None, args.samples))
            valid = float(np.mean(batch.valid > 0))
            found = compare(bundle, batch.spikes, args)
        rows += [{"case": name, "valid_share": valid, **row} for row in found]
        for row in rows[-len(found) :]:
            ratio = f", {row['ratio']:.0f} times (full {row['ratio_full']:.0f})" if "ratio" in row else ""
            print(f"{name}, {row['simulator']}: {1e3 * row['seconds_per_sample']:.2f} ms a sample{ratio}", flush=True)
    met, lines = judged(rows)
    write_report(args.out, content | {"rows": rows, "targets_met": met, "targets": lines})
    print("\n".join(lines))
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
