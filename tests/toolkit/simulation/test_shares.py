"""Two launched processes leave the files that one leaves. Of CPU processes, accelerate launches one; torchrun, both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolkit.conftest import Command
from toolkit.errors import SpikeportError
from toolkit.simulation.world import World, device_of, launched

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]


def test_two_processes_leave_the_files_of_one(
    command: Command, repository: Path, light_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate")
    data = tmp_path / "rows.tsv"
    data.write_text("text\tlabel\n" + "".join(f"film {i} and {i * i}\t{i % 2}\n" for i in range(23)))
    words = ["simulate", str(data), "--bundle", str(light_bundle), "--device", "cpu", "--part-size", "3", "--json"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    module = ["--master_port", port, "-m", "toolkit"]
    ended = subprocess.run(
        [*LAUNCH, *module, *words, "--out", str(tmp_path / "two")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    one = command(*words, "--out", tmp_path / "one")
    assert json.loads(ended.stdout) == one.json | {"out": str(tmp_path / "two")}  # one object: the main process's
    names = [path.name for path in sorted((tmp_path / "one").iterdir())]
    assert names == [path.name for path in sorted((tmp_path / "two").iterdir())]
    assert [name for name in names if name.startswith("part")] == [f"part-{i:05}.npz" for i in range(8)]
    for name in ("run.json", "result.json", "logits.npz"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def test_every_part_is_in_one_share() -> None:
    shares = [list(World(rank, 3, rank).share(8)) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_several_processes_need_a_folder(
    command: Command, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launched()  # a launcher may start one
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = command("simulate", tmp_path / "rows.tsv", "--bundle", light_bundle)
    assert ended.status == 2 and "several processes" in ended.error and "--out" in ended.error


def test_each_process_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert device_of(None, 0) == "cuda" and device_of("cpu", 0) == "cpu"
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert device_of(None, 1) == device_of("cuda", 1) == "cuda:1"
    with pytest.raises(SpikeportError, match="2 GPUs"):
        device_of(None, 2)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert device_of(None, 2) == "cpu"
