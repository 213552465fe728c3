"""Random layers of `benchmarks/simulator_exactness.py` with their neurons in the Triton kernel, signals in bfloat16.

    TRITON_INTERPRET=1 python -m tests.simulators.cuda.random_layers FOLDER

Each is run twice, with the extremes of its sums (the kernel reads whole sums) and without (it adds the last summand
itself). Exits with an AssertionError where the two differ, with 1 where the reference differs, with 3 where the kernel
was not asked.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks import simulator_exactness
from benchmarks.exactness import compare
from simulators import SimulationResult, simulate
from simulators.cuda.scan import Scan
from simulators.operations import Plan
from simulators.tensor.layout import Layout

RUNS = (["--layers", "25"], ["--arithmetic", "real", "--only", "78"])  # 78: a pool leads straight into neurons


def in_the_kernel(plan: Plan, _: torch.device) -> Layout:
    return Layout(torch.float64, 1, True) if plan.real else Layout(torch.bfloat16, 8, True)


def twice(*args: Any, **options: Any) -> SimulationResult:
    whole = simulate(*args, **options)
    fused = simulate(*args, **options | {"currents": False})
    assert torch.equal(whole.logits, fused.logits) and whole.activity == fused.activity
    assert all(torch.equal(fused.spikes[name], spikes) for name, spikes in whole.spikes.items())
    return whole


def main(folder: Path) -> int:
    asked: list[str] = []
    run = Scan.run

    def noted(self: Scan, *args: Any) -> None:
        asked.append(self.path)
        run(self, *args)

    Layout.of = staticmethod(in_the_kernel)  # type: ignore[method-assign, assignment]
    Scan.run = noted  # type: ignore[method-assign]
    compare.simulate = twice
    for i, what in enumerate(RUNS):
        out = ["--seed", "5", "--engine", "tensor", "--out", str(folder / f"{i}.json")]
        if simulator_exactness.main([*what, *out]):
            return 1
    return 0 if set(asked) == {"float32", "integer", "real"} else 3


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
