"""The supervisor leaves no process and no shared memory behind, whatever the child does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from exporters.lava.launch import LavaNotInstalled, find_python, run
from exporters.lava.plan import PlanError
from exporters.lava.supervise import supervise
from tests.exporters.lava.test_lava_delays import student_plan

STUBBORN = """
import os, signal, sys, time
from multiprocessing import resource_tracker, shared_memory
signal.signal(signal.SIGTERM, signal.SIG_IGN)
memory = shared_memory.SharedMemory(create=True, size=64)
resource_tracker.unregister(memory._name, "shared_memory")
print(memory.name, os.getpid(), os.fork(), file=sys.stderr, flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_child_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUBBORN]
    outcome = supervise(command, timeout=4.0, env=os.environ, cwd=tmp_path, grace=0.5)
    assert outcome.status is None
    assert outcome.seconds < 60
    lines = outcome.stderr.splitlines()
    name, *pids = lines[0].split()
    assert name.startswith("psm_") and not Path("/dev/shm", name).exists()
    assert not any(alive(int(pid)) for pid in pids if int(pid))


def test_orphans_of_a_finished_child_are_ended(tmp_path: Path) -> None:
    script = "sleep 600 & echo $! >&2; exit 7"
    outcome = supervise(["sh", "-c", script], timeout=60, env=os.environ, cwd=tmp_path)
    assert outcome.status == 7
    assert not alive(int(outcome.stderr))
    assert outcome.seconds < 60


def test_lines_are_reported_once_each(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "for i in 1 2 3; do echo line $i >&2; sleep 0.15; done"
    supervise(["sh", "-c", script], timeout=60, env=os.environ, cwd=tmp_path, report=lines.append)
    assert lines == ["line 1", "line 2", "line 3"]


def test_a_missing_interpreter_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", str(tmp_path / "python"))
    with pytest.raises(LavaNotInstalled, match="make lava-env"):
        find_python()
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", sys.executable)
    assert find_python() == Path(sys.executable)


def test_an_interpreter_without_lava_is_lava_not_installed() -> None:
    import numpy as np

    plan = student_plan("ssa", 1)
    inputs = np.zeros((1, plan.steps, plan.channels, plan.tokens), bool)
    with pytest.raises(LavaNotInstalled, match=r"not installed in .*make lava-env"):
        run(plan, inputs, python=sys.executable)
    with pytest.raises(PlanError, match=r"needs bool \(samples, 4, 9, 4\)"):
        run(plan, inputs[:, :, :-1], python=sys.executable)
