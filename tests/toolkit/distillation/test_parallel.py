"""Several processes and accumulated steps: the loss curve of one process with the same batch."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from tests.toolkit.distillation.conftest import Start, wait
from tests.toolkit.distillation.world import World, curve, curve_in_a_process

pytestmark = pytest.mark.slow

TABLES: dict[str, Any] = {
    "stage1": {"steps": 6, "evaluations": 6},
    "stage2": {"epochs": 1, "evaluations": 50},
    "data": {"train": ["train.tsv"], "unlabelled_lines": 0},
    "augment": None,
}
# Sums in another order: float32 rounding, which spikes at their threshold and Adam's division by small
# moments magnify from step to step (seen: 5e-7).
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}


def norm(kind: str) -> dict[str, Any]:
    """Layer normalisation has no statistics of the batch, nor an integer form."""
    return {**TABLES, "student": {"norm": kind}}


def two_processes(world: World, work: Path, changes: dict[str, Any], start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = [start(curve_in_a_process, world.folder, work, changes, rank, 2, port) for rank in range(2)]
    for rank, process in enumerate(pair):
        assert wait(process, work / f"log{rank}.txt") == 0


def assert_same_curve(seen: Path, wanted: Path) -> None:
    for stage in ("stage1", "stage2"):
        curves = np.array(curve(seen / stage)), np.array(curve(wanted / stage))
        assert len(curves[1]) == 6
        np.testing.assert_allclose(*curves, **TOLERANCE, err_msg=stage)


@pytest.mark.parametrize("kind", ["layer", "batch"])
def test_two_processes_are_one_with_the_same_batch(world: World, tmp_path: Path, start: Start, kind: str) -> None:
    """Loss and gradient norm of every step of stages 1 and 2; statistics of a batch are those of the whole one."""
    assert wait(start(curve_in_a_process, world.folder, tmp_path / "one", norm(kind)), tmp_path / "one/log0.txt") == 0
    two_processes(world, tmp_path / "two", norm(kind), start)
    assert_same_curve(tmp_path / "two", tmp_path / "one")


def test_accumulated_steps_are_one_step(world: World, tmp_path: Path, start: Start) -> None:
    """With layer normalisation only: batch statistics of a half are not those of the whole."""
    halves = norm("layer")
    for stage in ("stage1", "stage2"):
        halves[stage] = {**halves[stage], "accumulation": 2}
    works = {"one": norm("layer"), "halves": halves}
    for name, changes in works.items():
        log = tmp_path / name / "log0.txt"
        assert wait(start(curve_in_a_process, world.folder, tmp_path / name, changes), log) == 0
    assert_same_curve(tmp_path / "halves", tmp_path / "one")
