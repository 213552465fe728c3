"""How far unseen sentences exceed the currents measured on others: what a margin is worth.

    python benchmarks/calibration_margin.py DATA BUNDLE... [--json FILE]

Random splits of one file: the largest current of each layer on one part, and the share of the
other part's sentences that exceed it, times a margin, in any layer. A calibrated bundle whose limit were exactly the
measured current times the margin in every layer would refuse that share.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import simulate
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.distillation.corpus import read_texts

CHUNK = 256
MARGINS = (1.0, 1.1, 1.25, 1.5)
MEASURED_ON = (200, 436)
SPLITS = 200
BEFORE_THE_NETWORK = ("code", "valid")  # relays of the input: their currents are 0 or 2


def largest(bundle: Bundle, data: Path) -> NDArray[np.float64]:
    """Largest |current| of every sentence in every layer, (S, L)."""
    texts = read_texts(data, len(bundle.manifest.labels))
    parts = []
    for start in range(0, len(texts), CHUNK):
        spikes = bundle.encoder.encode(texts[start : start + CHUNK]).spikes
        seen = simulate(bundle.graph, spikes, currents=True).currents
        columns = [x.abs().amax(dim=1).numpy() for name, x in seen.items() if name not in BEFORE_THE_NETWORK]
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def refused(currents: NDArray[np.float64], count: int, splits: int = SPLITS) -> dict[str, dict[str, float]]:
    """By margin, the share of the sentences beyond ``count`` that exceed it: mean over splits, and the worst split."""
    rng = np.random.default_rng(0)
    shares: dict[float, list[float]] = {margin: [] for margin in MARGINS}
    for _ in range(splits):
        order = rng.permutation(len(currents))
        seen, rest = currents[order[:count]].max(axis=0), currents[order[count:]]
        for margin, found in shares.items():
            found.append(float((rest > margin * seen).any(axis=1).mean()))
    return {f"{m:g}": {"mean": float(np.mean(found)), "worst": max(found)} for m, found in shares.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="sentences, TSV or one a line")
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/calibration_margin.json"))
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    for path in args.bundles:
        currents = largest(open_bundle(path), args.data)
        for count in (count for count in MEASURED_ON if count < len(currents)):
            found.append({"bundle": path.name, "sentences": len(currents), "measured_on": count})
            found[-1]["refused"] = refused(currents, count)
            print(json.dumps(found[-1]))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"splits": SPLITS, "runs": found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
