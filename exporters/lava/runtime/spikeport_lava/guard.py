"""Lava hangs without a word when a process model raises: this notices, reports and ends everything."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

POLL_SECONDS = 0.25
GRACE_SECONDS = 3.0
_leaving = threading.RLock()


def say(message: str) -> None:
    """One line to standard error, at once."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def abort(message: str, scratch: Path | None = None, status: int = 1) -> NoReturn:
    """Reports, ends all child processes, leaves. Never returns to Lava, whose stop() would hang.

    Python's resource tracker, which is no such child, then releases their shared memory.
    """
    _leaving.acquire()  # once: the watchdog and the main thread may both notice; a signal's handler may enter again
    say(f"error: {message}")
    for end in (multiprocessing.Process.terminate, multiprocessing.Process.kill):
        for child in multiprocessing.active_children():
            end(child)
        deadline = time.monotonic() + GRACE_SECONDS
        while multiprocessing.active_children() and time.monotonic() < deadline:
            time.sleep(0.05)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(status)


def end_children_on_signal(scratch: Path) -> None:
    """SIGTERM and SIGINT end the children too; they themselves keep the default behaviour."""

    def handle(number: int, _frame: FrameType | None) -> None:
        abort(f"stopped by {signal.Signals(number).name}", scratch)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    os.register_at_fork(after_in_child=_default_signals)


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _exception(actor: Any) -> tuple[Exception, str] | None:
    """What the model of this process raised, with its traceback."""
    try:
        return actor.exception
    except (OSError, EOFError, ValueError):  # closed by Lava at this moment
        return None


class Watchdog(threading.Thread):
    """Ends the run when a child process ends early, the time limit passes or the parent dies.

    Args:
        time_limit: seconds from now; 0 for none.
        scratch: folder to remove before leaving.
        parent: process to end with; 0 for none.
    """

    def __init__(self, time_limit: float, scratch: Path, parent: int = 0) -> None:
        super().__init__(daemon=True)
        self.deadline = time.monotonic() + time_limit if time_limit else float("inf")
        self.time_limit = time_limit
        self.scratch = scratch
        self.parent = parent
        self.actors: Sequence[Any] = ()
        self.names: Sequence[str] = ()

    def watch(self, actors: Sequence[Any], names: Sequence[str]) -> None:
        """From now on none of these processes may end; an empty list ends the watch."""
        self.actors, self.names = actors, names

    def run(self) -> None:
        while True:
            if self._any_ended() and self.actors:  # asked after: a watch that was ended meanwhile does not count
                abort(self.cause(), self.scratch)
            if self.parent and os.getppid() != self.parent:
                abort(f"process {self.parent}, which started this run, has ended", self.scratch)
            if time.monotonic() > self.deadline:
                abort(f"the run exceeded its time limit of {self.time_limit:.0f} s", self.scratch)

    def _any_ended(self) -> bool:
        """Waits a moment; also true where Lava itself has noticed and closed the process object."""
        if not self.actors:
            time.sleep(POLL_SECONDS)
            return False
        try:
            return bool(wait([actor.sentinel for actor in self.actors], timeout=POLL_SECONDS))
        except (OSError, ValueError):
            return True

    def has_failure(self) -> bool:
        """Whether a watched process has reported an exception."""
        time.sleep(POLL_SECONDS)  # it travels by a pipe of its own
        return any(_exception(actor) is not None for actor in self.actors)

    def cause(self) -> str:
        """Which watched process raised what; its traceback goes to standard error."""
        time.sleep(POLL_SECONDS)  # the exception travels by a pipe of its own
        for index, actor in enumerate(self.actors):
            failure = _exception(actor)
            if failure is not None:
                name = self.names[index] if index < len(self.names) else "the runtime service"
                say(failure[1].rstrip())
                return f"process {name!r} raised {type(failure[0]).__name__}: {failure[0]}"
        return "a Lava process ended without an exception (killed, or out of memory)"
