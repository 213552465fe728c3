"""The GPU benchmark where there is no GPU: it refuses, and its parts run on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import simulator_cuda
from simulators.products import CANDIDATES
from tests.simulators.small_student import graph_of, random_inputs, random_student

CPU = torch.device("cpu")


def test_without_cuda_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert simulator_cuda.main([]) == 2
    seen = capsys.readouterr()
    assert not seen.out and seen.err.count("\n") == 1 and "no CUDA device" in seen.err


def test_the_ratio_is_to_products_attention_and_pass_by_hand() -> None:
    row = simulator_cuda.limits(linear=3.0, attention=1.0, neurons=4.0, host=12.0, there=10.0)
    assert (row["limit_seconds"], row["ratio"], row["ratio_from_device"]) == (8.0, 1.5, 1.25)


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_a_row_has_every_part(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_cuda, "COPY_BYTES", 2**20)
    monkeypatch.setattr(simulator_cuda, "TRIALS", 1)
    monkeypatch.setattr(simulator_cuda, "Simulator", _on_tensors)
    s = random_student(np.random.default_rng(0), kind)
    inputs, _ = random_inputs(np.random.default_rng(1), s, 3)
    row = simulator_cuda.compare(graph_of(s), inputs, 1, CPU)
    assert set(row["fastest"].values()) <= set(CANDIDATES)
    assert {"8x8", "8x12", "12x8", "8x3"} == set(row["products"])  # (inputs, outputs) of q to fc2 and the readout
    assert (row["attention_products_seconds"] > 0) == (kind == "ssa")
    parts = row["products_seconds"] + row["attention_products_seconds"] + row["pass_seconds"]
    assert row["limit_seconds"] == pytest.approx(parts) and row["ratio"] > 0


def _on_tensors(*args: object, **options: object) -> object:
    from simulators import Simulator

    return Simulator(*args, engine="tensor", **options)  # type: ignore[arg-type]  # the compiled engine compiles long
