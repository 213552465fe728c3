"""Models side by side: devices folded, ratios of what both have, what no model has named once."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from tests.toolkit.pricing.test_plots import UNKNOWN, entry, interval
from toolkit.pricing.comparison import compared, print_comparison
from toolkit.pricing.record import drawn


def record(name: str, scale: float) -> Any:
    sizes = {"FP32": 4.0, "INT8": 1.0}
    energy = [entry("chip", (scale, 2 * scale, 4 * scale))]
    energy += [
        entry(f"gpu: teacher (NAME's shape), {p}, dense", (j * scale,) * 3, basis="device") for p, j in sizes.items()
    ]
    energy.append(entry("cpu: teacher (NAME's shape), FP32, dense", UNKNOWN, basis="device"))
    run = {"sentences": 8, "spikes": 1000, "steps": 4}
    return {"model": name, "accuracy": 0.8, "assumed": {}, "simulated": run, "energy": energy}


def test_precisions_are_lines_of_one_row_with_ratios_of_their_own() -> None:
    stream = io.StringIO()
    print_comparison(compared([record("one", 1.0), record("two", 0.5)]), Console(file=stream, width=100))
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    rows = [line.split() for line in lines if line.startswith(("gpu", "INT8"))]
    assert [" ".join(row) for row in rows] == [
        "gpu: teacher FP32 4 J (x 1) FP32 2 J (x 0.5)",
        "INT8 1 J (x 1) INT8 500 mJ (x 0.5)",
    ]
    assert "No figure for any model: cpu" in lines


class Met:
    def __init__(self, against: str, high: float | None) -> None:
        self.against, self.baseline = against, Side(high)


class Side:
    def __init__(self, high: float | None) -> None:
        self.complete = high is not None


def test_a_plot_takes_the_first_batch_of_the_lowest_precision() -> None:
    """In the order of the table: precisions from wide to narrow, in each the batches as they were named."""
    names = [f"{d}: s, {p}, dense{b}" for d in ("a", "b") for p in ("FP32", "INT8") for b in ("", ", batch 8")]
    met: Any = [Met(name, None if name.startswith("a") else 1.0) for name in names]
    last: Any = [Met("45 nm FP32", 1.0), Met("45 nm INT8", 1.0)]
    assert [one.against for one in drawn([*met, *last])] == [
        "b: s, INT8, dense",
        "a: s, INT8, dense",
        "45 nm FP32",
        "45 nm INT8",
    ]


def test_an_interval_keeps_its_sides() -> None:
    row = compared([record("one", 1.0), record("two", 0.5)])["rows"][0]
    assert row["models"][1]["joules"] == interval((0.5, 1.0, 2.0)) and row["models"][1]["ratio"] == 0.5
