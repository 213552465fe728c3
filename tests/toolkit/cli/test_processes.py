"""The command as a process of its own: bytes that are no text, another hash seed, a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.toolkit.conftest import snapshot

MAIN = "from toolkit.cli.main import main; main()"


def spikeport(
    repository: Path, folder: Path, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in ``folder``."""
    words = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    return subprocess.run(
        [sys.executable.encode(), b"-W", b"error", b"-c", MAIN.encode(), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository), **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_an_argument_that_is_not_utf_8_is_refused_in_one_line(
    repository: Path, light_bundle: Path, tmp_path: Path
) -> None:
    ended = spikeport(repository, tmp_path, "classify", b"caf\xe9", "--bundle", light_bundle)
    assert ended.returncode == 2 and ended.stdout == b""
    assert ended.stderr.startswith(b"spikeport: ") and ended.stderr.count(b"\n") == 1 and b"UTF-8" in ended.stderr
    assert not any(tmp_path.iterdir())


def test_another_process_with_another_hash_seed_writes_the_same_bytes(
    repository: Path, small: Path, small_bundle: Path, tmp_path: Path
) -> None:
    command = ("export", "nir", "out", "--student", small, "--json")
    ended = spikeport(repository, tmp_path, *command, PYTHONHASHSEED="77", TZ="Asia/Tokyo", LC_ALL="C")
    assert ended.returncode == 0, ended.stderr
    assert snapshot(tmp_path / "out") == snapshot(small_bundle)


def test_a_reader_that_leaves_early_is_no_error(repository: Path, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "{MAIN}" profiles show loihi1 | true; echo "${{PIPESTATUS[0]}}"'
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert b"Traceback" not in ended.stderr and ended.stdout.strip() == b"0", ended.stderr


def test_nothing_heavy_is_loaded_for_help(repository: Path, tmp_path: Path) -> None:
    code = "import sys; from toolkit.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert not {"torch", "transformers", "nir", "lava", "snntorch", "h5py"} & set(ended.stderr.decode().split())
