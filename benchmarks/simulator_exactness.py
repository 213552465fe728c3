"""The simulator against a plain numpy reference on random layers, in both arithmetics.

    python -m benchmarks.simulator_exactness
    python -m benchmarks.simulator_exactness --layers 1000 --seed 7 --engine compiled
    python -m benchmarks.simulator_exactness --arithmetic loihi2 --seed 1 --only 4711

A layer is a small graph: linears over one or several tokens, biases from a valid train, residual sums, selections,
pools, attention of both kinds, neurons. Its sizes, weights, thresholds and inputs are drawn with all extremes that the
arithmetic allows. Every spike, every logit and the extremes of every neuron's sums must be equal, bit for bit. In
``real`` that is so for the 7 in 10 layers whose sums are exact in any order (dyadic weights); of the others, spikes
whose membrane lies closer to the threshold than float64's rounding are left out and counted, all other spikes must be
equal, and sums must lie within the bound on rounding. The reference is ``benchmarks/exactness/reference.py``. Exit
status 1 where something differs; the first neuron that does is printed with all that enters it. The JSON says how many
layers had what.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from benchmarks.exactness.compare import compare
from benchmarks.exactness.layers import ARITHMETICS, draw

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 5  # differences printed in full


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=10_000, help="of each arithmetic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arithmetic", nargs="+", choices=ARITHMETICS, default=ARITHMETICS)
    parser.add_argument("--only", type=int, help="one layer of the series, by its number")
    parser.add_argument("--engine", choices=("auto", "compiled", "tensor"), help="default: what simulate chooses")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON; default: benchmarks/results/simulator-exactness.json for a "
                        "full run, none for --only")  # fmt: skip
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Draw, run, compare, write."""
    args = arguments(given)
    torch.set_num_threads(args.threads)
    how: dict[str, Any] = {"device": args.device} | ({"engine": args.engine} if args.engine else {})
    numbers = range(args.layers) if args.only is None else [args.only]
    report: dict[str, Any] = {"command": vars(args) | {"out": None}, "torch": torch.__version__, "arithmetics": {}}
    for arithmetic in args.arithmetic:
        report["arithmetics"][arithmetic] = series(arithmetic, args.seed, numbers, how)
        print(json.dumps({arithmetic: report["arithmetics"][arithmetic]}), file=sys.stderr)
    out = args.out or (ROOT / "benchmarks" / "results" / "simulator-exactness.json" if args.only is None else None)
    if out:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(any(part["different"] for part in report["arithmetics"].values()))


def series(arithmetic: str, seed: int, numbers: range | list[int], how: dict[str, Any]) -> dict[str, Any]:
    """Compare layer after layer."""
    features: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    different: list[int] = []
    start = time.perf_counter()
    for number in numbers:
        verdict = compare(draw(arithmetic, seed, number), how)
        features.update(verdict.seen)
        totals.update(neurons=verdict.layers, compared=verdict.compared, undecided=verdict.undecided)
        totals.update(mixed=sum(0 < rate < 1 for rate in verdict.rates))
        if verdict.wrong:
            different.append(number)
            if len(different) <= SHOWN:
                print(verdict.wrong, file=sys.stderr)
    return {
        "layers": len(numbers),
        "different": len(different),
        "numbers_that_differ": different[:100],
        "spiking_layers": totals["neurons"],
        "of_them_neither_silent_nor_full": totals["mixed"],
        "values_compared": totals["compared"],
        "undecided_spikes": totals["undecided"],
        "layers_that_had": dict(sorted(features.items())),
        "seconds": round(time.perf_counter() - start, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
