"""The command as a process of its own: bytes that are no text, another hash seed, a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.toolkit.conftest import snapshot

MAIN = "from toolkit.cli.main import main; main()"
TWO = """
import json, sys
from toolkit.cli.main import run
first = run(["export", "nir", "out", "--student", sys.argv[1]])
print(json.dumps([first, run(["classify", sys.argv[2], "--bundle", "out"])]))
"""


def test_another_process_writes_the_same_bytes_and_refuses_an_argument_that_is_not_utf_8(
    repository: Path, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    settings = {"PYTHONPATH": str(repository), "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}
    words = [sys.executable, "-W", "error", "-c", TWO, small, b"caf\xe9"]
    ended = subprocess.run(
        words, cwd=tmp_path, env=os.environ | settings, capture_output=True, timeout=120, check=False
    )
    assert ended.stdout == b"[0, 2]\n", ended.stderr
    assert snapshot(tmp_path / "out") == snapshot(small_bundle)
    exported, attention, refused = ended.stderr.decode().splitlines()
    assert (
        exported.startswith("out: ")
        and attention.startswith("attention in ")
        and refused.startswith("spikeport: sentence")
        and "UTF-8" in refused
    )


def test_a_reader_that_leaves_early_gets_no_traceback(repository: Path, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "{MAIN}" profiles show loihi1 | true; echo "${{PIPESTATUS[0]}}"'
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert ended.stderr == b"" and ended.stdout.strip() in (b"0", b"1")  # 1 where the pipe closed first


def test_nothing_heavy_is_loaded_for_help(repository: Path, tmp_path: Path) -> None:
    code = "import sys; from toolkit.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert not {"torch", "transformers", "nir", "lava", "snntorch", "h5py"} & set(ended.stderr.decode().split())


def test_launchers_find_the_command_as_a_module(repository: Path) -> None:
    words = [sys.executable, "-m", "toolkit", "profiles", "list", "--json"]
    ended = subprocess.run(words, cwd=repository, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 0 and b"loihi2" in ended.stdout, ended.stderr
