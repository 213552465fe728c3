"""The Triton kernel: under Triton's interpreter where there is no GPU, compiled where there is one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton here: pip install triton")
CASES = ["exact_cases", "loihi2_cases", "rounding_cases", "real_cases"]


def run_cases(repository: Path, environment: dict[str, str], *device: str) -> str:
    command = [sys.executable, "-m", "tests.simulators.cuda.kernel_cases", *device]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    ended = subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout


@pytest.mark.slow
def test_interpreted_the_kernel_equals_the_arithmetic(repository: Path) -> None:
    """In a process of its own: Triton reads TRITON_INTERPRET once, when kernels are defined."""
    lines = run_cases(repository, {"TRITON_INTERPRET": "1"}).splitlines()
    assert [line.split(":")[0] for line in lines] == CASES


@pytest.mark.gpu
def test_compiled_the_kernel_equals_the_arithmetic(repository: Path) -> None:
    lines = run_cases(repository, {"TRITON_INTERPRET": "0"}, "cuda").splitlines()
    assert [line.split(":")[0] for line in lines] == CASES


@pytest.mark.slow
def test_random_layers_through_the_interpreted_kernel_are_the_references(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.simulators.cuda.random_layers", str(tmp_path)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": "1"}
    ended = subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
