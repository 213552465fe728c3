"""Runs a command in a session of its own, with a time limit, and leaves nothing behind.

Lava forks some dozens of processes that share memory and can hang without a word. So: an own session,
SIGTERM to the whole group, a grace period, SIGKILL, then removal of the shared memory that only this
group had mapped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0
SHARED_MEMORY = "/dev/shm/psm_"
SESSION_FIELD = 3  # of /proc/PID/stat behind the command name: state, ppid, pgrp, session


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: its exit status, negative for a signal; None if the time limit passed.
        stderr: all it and its children wrote there.
        seconds: wall clock.
    """

    status: int | None
    stderr: str
    seconds: float


def supervise(
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str],
    cwd: Path,
    grace: float = GRACE_SECONDS,
    report: Callable[[str], None] | None = None,
) -> Outcome:
    """Runs ``command`` for at most ``timeout`` seconds; on return none of its processes lives.

    Args:
        command: program and arguments.
        timeout: seconds.
        env, cwd: for the child.
        grace: seconds between SIGTERM and SIGKILL.
        report: gets each line of standard error as it comes.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        lines = _Tail(errors, report)
        try:
            status = _wait(child, started + timeout, lines)
        finally:
            end_session(child, grace)
        return Outcome(status, lines.finish(), time.monotonic() - started)


class _Tail:
    """Reads a growing file; a pipe would stay open as long as any grandchild lives."""

    def __init__(self, file: IO[bytes], report: Callable[[str], None] | None) -> None:
        self.file, self.report = file, report
        self.text = b""
        self.reported = 0

    def read(self) -> None:
        """Takes what is new, reports complete lines."""
        # pread: the children write through the same file offset
        self.text += os.pread(self.file.fileno(), 1 << 24, len(self.text))
        end = self.text.rfind(b"\n") + 1
        if self.report is not None:
            for line in self.text[self.reported : end].decode(errors="replace").splitlines():
                self.report(line)
        self.reported = max(end, self.reported)

    def finish(self) -> str:
        """All of it."""
        self.read()
        return self.text.decode(errors="replace")


def _wait(child: subprocess.Popen[bytes], deadline: float, lines: _Tail) -> int | None:
    while time.monotonic() < deadline:
        status = child.poll()
        lines.read()
        if status is not None:
            return status
        time.sleep(POLL_SECONDS)
    return None


def end_session(child: subprocess.Popen[bytes], grace: float) -> None:
    """Ends all processes of the child's session and removes the shared memory they had mapped."""
    segments = _mapped(_members(child.pid))
    _signal_group(child.pid, signal.SIGTERM)
    # Python's resource tracker ignores SIGTERM: it leaves by itself once it has cleaned up.
    if not _gone(child, grace):
        segments |= _mapped(_members(child.pid))
        _signal_group(child.pid, signal.SIGKILL)
        _gone(child, grace)
    for segment in segments:
        segment.unlink(missing_ok=True)


def _gone(child: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None and not _members(child.pid):
            return True
        time.sleep(POLL_SECONDS / 2)
    return False


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _members(session: int) -> list[int]:
    """Living processes of a session (Linux; elsewhere empty)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[SESSION_FIELD]) == session and fields[0] != "Z":
                found.append(int(entry.parent.name))
    return found


def _mapped(processes: Sequence[int]) -> set[Path]:
    """Shared memory segments that these processes have mapped."""
    found = set()
    for process in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{process}/maps").read_text(errors="replace").splitlines():
                path = line.partition(SHARED_MEMORY)[2]
                if path:
                    found.add(Path(SHARED_MEMORY + path.split()[0]))
    return found
