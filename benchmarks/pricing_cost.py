"""What pricing a whole test run costs beside simulating it: ``python -m benchmarks.pricing_cost``.

SST-2's test split has 1,821 sentences; the packaged ones are repeated to as many. A prepared simulator runs them once
for each repetition, encoding included; the counts of the run are then priced on every shipped profile, with the dense
networks on devices and by the conventions. Pricing includes reading all profiles from their TOML, which a process does
once. The record for JSON is timed apart: it adds the use of every core and the smallest change that would fit, found by
placing smaller networks.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from hw_profiles import Profile, list_profiles, load_profile
from hw_profiles.discover import find_profile
from hw_profiles.load import parse_profile, read_profile
from simulators import Simulator
from simulators.activity import Activity
from toolkit.bundle.reader import Bundle, open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.pricing.estimates import Assumed, estimates
from toolkit.pricing.model import Model
from toolkit.simulation.run import Run
from toolkit.simulation.source import open_source
from toolkit.simulation.world import World

ROOT = Path(__file__).resolve().parent.parent
SENTENCES, REPEATS, PART, TARGET = 1821, 5, 256, 0.05
STUDENTS = ("sst2-ssa-unmarked", "sst2-sdsa-unmarked")


def main() -> None:
    """Measure and write ``benchmarks/results/pricing-cost.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/pricing-cost.json")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    loading = [_timed(_read_profiles)[0] for _ in range(options.repeats)]
    with tempfile.TemporaryDirectory() as folder:
        students = {name: _student(name, Path(folder), options.repeats, median(loading)) for name in STUDENTS}
    result = {
        "sentences": SENTENCES,
        "repeats": options.repeats,
        "profiles": len(list_profiles()),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "target_share": TARGET,
        "loading_profiles_s": median(loading),
        "students": students,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def _student(name: str, folder: Path, repeats: int, loading: float) -> dict[str, Any]:
    write_bundle(ROOT / "toolkit/students" / name, folder / name)
    bundle, data = open_bundle(folder / name), _table(folder)
    simulation, activity = _simulation(bundle, data, repeats)
    pricing, record, rows = _pricing(bundle, activity, repeats)
    return {
        "simulation_s": median(simulation),
        "pricing_s": median(pricing),
        "share": (loading + median(pricing)) / median(simulation),
        "share_with_record": (loading + median(pricing) + median(record)) / median(simulation),
        "record_s": median(record),
        "rows": rows,
        "simulation_runs_s": simulation,
        "pricing_runs_s": pricing,
    }


def _table(folder: Path) -> Path:
    lines = (ROOT / "toolkit/data/sentences.tsv").read_text(encoding="utf-8").splitlines()
    path = folder / "sentences.tsv"
    rows = islice(cycle(lines[1:]), SENTENCES)
    path.write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    return path


def _simulation(bundle: Bundle, data: Path, repeats: int) -> tuple[list[float], Activity]:
    source = open_source(data, bundle)
    with Simulator(bundle.graph, bundle.manifest.config.steps) as ready:

        def once() -> Activity:
            outcome = Run(bundle, source, ready, PART).execute(World(), lambda _: None)
            assert outcome is not None  # a world of one process is the main one
            return outcome.activity

        once()  # the first batch allocates what the others use again
        timed = [_timed(once) for _ in range(repeats)]
    return [seconds for seconds, _ in timed], timed[-1][1]


def _pricing(bundle: Bundle, activity: Activity, repeats: int) -> tuple[list[float], list[float], int]:
    """Each time on a run that is not known yet, so that nothing is remembered from the time before."""
    profiles, manifest = _profiles(), bundle.manifest
    pricing, record, rows = [], [], 0
    for _ in range(repeats):
        model = Model(bundle.folder.name, replace(activity), None, 0, manifest.config, manifest.facts)
        start = perf_counter()
        found = estimates(model, profiles, Assumed())
        priced = perf_counter()
        rows = len([row.to_dict() for row in found])
        pricing.append(priced - start)
        record.append(perf_counter() - priced)
    return pricing, record, rows


def _read_profiles() -> list[Profile]:
    return [parse_profile(read_profile(find_profile(name)), name) for name in list_profiles()]


def _profiles() -> list[Profile]:
    return [load_profile(name) for name in list_profiles()]


def _timed(call: Any) -> tuple[float, Any]:
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


if __name__ == "__main__":
    main()
