"""Any program as a classifier: sentences on its standard input, labels on its standard output. The black-box case.

One sentence a line in, one label a line out, a number or a label's name. The program runs without a shell, in a
process group of its own, with a time limit; when that is over, the whole group is killed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from toolkit.errors import SpikeportError

TIMEOUT = 600.0
"""Seconds of one call, where none are given: a slow device may need minutes, a hung one must not take forever."""

MAX_ANSWER_BYTES = 1 << 24
"""Labels of thousands of sentences are some kilobytes; what writes more does not write labels."""

LOOK_EVERY = 0.2
"""Seconds between two looks at how much a program has written."""

SHOWN = 60


class CommandLabels:
    """A ``LabelBackend`` around a command line.

    Args:
        command: program and arguments, split as a POSIX shell would, with no shell run.
        labels: label names in order; names among the answers are looked up here, numbers are taken as they are.
        timeout: seconds for one call.

    Raises:
        SpikeportError: the command is empty or cannot be split, or the time limit is not above 0.
    """

    def __init__(self, command: str, labels: Sequence[str], timeout: float = TIMEOUT) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise SpikeportError(f"command {command!r:.{SHOWN}}: {error}; correct its quotes") from None
        if not self._arguments:
            raise SpikeportError('command: empty, a program is needed; give command:"PROGRAM ARGUMENTS"')
        if not timeout > 0:
            raise SpikeportError(f"command: time limit {timeout} s, must be above 0; raise --timeout")
        self.name = f"command {Path(self._arguments[0]).name}"
        self._numbers = {name: number for number, name in enumerate(labels)}
        self._timeout = timeout

    def labels(self, texts: list[str]) -> list[int]:
        """One label for each text, in order.

        Raises:
            SpikeportError: a text holds a line break, or the program cannot be started, fails, takes too long or
                answers anything but one label a text.
        """
        broken = next((text for text in texts if text.splitlines() not in ([], [text])), None)
        if broken is not None:
            raise SpikeportError(
                f"{self.name}: text {broken!r:.{SHOWN}} holds a line break, which shifts the answers; join its lines"
            )
        answers = self._ask("".join(f"{text}\n" for text in texts)).splitlines()
        if len(answers) != len(texts):
            raise SpikeportError(
                f"{self.name}: {len(answers)} lines for {len(texts)} sentences; it must write one label a line"
            )
        return [self._number(answer) for answer in answers]

    def _number(self, answer: str) -> int:
        answer = answer.strip()
        if answer in self._numbers:
            return self._numbers[answer]
        if answer.isascii() and answer.isdigit() and len(answer) <= 9:
            return int(answer)
        raise SpikeportError(
            f"{self.name}: answer {answer!r:.{SHOWN}} is no label; it must write a number or one of "
            f"{', '.join(self._numbers)}"
        )

    def _ask(self, text: str) -> str:
        # Files, not pipes: a program that writes before it has read everything cannot block us, nor we it.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
            given.write(text.encode("utf-8", "surrogatepass"))
            given.seek(0)
            status = self._run(given, told, said)
            if status != 0:
                raise SpikeportError(f"{self.name}: exit status {status} ({_last_line(said)}); run it by hand")
            return self._read(told)

    def _run(self, given: IO[bytes], told: IO[bytes], said: IO[bytes]) -> int:
        try:
            process = subprocess.Popen(self._arguments, stdin=given, stdout=told, stderr=said, start_new_session=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SpikeportError(f"{self.name}: cannot be started ({reason}); give a program that runs") from None
        try:
            return self._wait(process, told)
        finally:
            _kill_group(process)

    def _wait(self, process: subprocess.Popen[bytes], told: IO[bytes]) -> int:
        """Exit status; looks now and then whether the answers have outgrown what labels can be."""
        end = time.monotonic() + self._timeout
        while True:
            self._check_size(told)
            try:
                return process.wait(max(min(LOOK_EVERY, end - time.monotonic()), 0.0))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= end:
                    raise SpikeportError(
                        f"{self.name}: no answer within {self._timeout:g} s; raise --timeout, or run it by hand"
                    ) from None

    def _check_size(self, told: IO[bytes]) -> None:
        size = os.fstat(told.fileno()).st_size
        if size > MAX_ANSWER_BYTES:
            raise SpikeportError(
                f"{self.name}: {size} bytes of answers, at most {MAX_ANSWER_BYTES} are read; it must write labels only"
            )

    def _read(self, told: IO[bytes]) -> str:
        self._check_size(told)
        told.seek(0)
        try:
            return told.read().decode("utf-8")
        except UnicodeDecodeError:
            raise SpikeportError(f"{self.name}: its answers are no UTF-8 text; it must write labels only") from None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever the program started and left, then the program itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(size - 4096, 0))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return f"{lines[-1]:.{SHOWN}}" if lines else "it said nothing"
