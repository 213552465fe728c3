"""Programs as classifiers: answers of real processes, and every way in which one can fail to answer."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from toolkit.backends.command import CommandLabels
from toolkit.backends.protocol import LabelBackend
from toolkit.errors import SpikeportError

LABELS = ("negative", "positive")


def program(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


ECHO = "import sys\nfor line in sys.stdin: print({answer})"


def test_numbers_and_names_are_labels() -> None:
    texts = ["a", "good film", "ünïcode — text"]
    numbers = CommandLabels(program(ECHO.format(answer="int('good' in line)")), LABELS)
    assert isinstance(numbers, LabelBackend)
    assert numbers.labels(texts) == [0, 1, 0]
    names = CommandLabels(program(ECHO.format(answer="'positive' if len(line) > 5 else 'negative'")), LABELS)
    assert names.labels(texts) == [0, 1, 1]


def test_every_sentence_arrives_as_its_own_line(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = (
        f"import sys\ntext = sys.stdin.buffer.read()\nopen({str(seen)!r}, 'wb').write(text)\nprint('0\\n' * 2, end='')"
    )
    assert CommandLabels(program(code), LABELS).labels(["naïve “quote”", "; rm -rf $HOME `x`"]) == [0, 0]
    assert seen.read_text(encoding="utf-8") == "naïve “quote”\n; rm -rf $HOME `x`\n"


def test_no_shell_is_run(tmp_path: Path) -> None:
    backend = CommandLabels(program(ECHO.format(answer="0")) + f" ; touch {tmp_path / 'here'}", LABELS)
    assert backend.labels(["a"]) == [0]
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print(0)", "1 lines for 2"),
        ("print('0\\n0\\n0')", "3 lines for 2"),
        ("print('0\\nmaybe')", "'maybe' is no label"),
        ("print('0\\n-1')", "'-1' is no label"),
        ("print('0\\n1.0')", "'1.0' is no label"),
        ("print('0\\n' + '9' * 40)", "is no label"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n0\\n')", "no UTF-8"),
        ("print('x' * (1 << 25))", "bytes of answers"),
        ("import sys; sys.exit('out of memory')", "exit status 1 .out of memory"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
    ],
)
def test_nonsense_is_refused_in_one_line(code: str, why: str) -> None:
    with pytest.raises(SpikeportError, match=why) as refusal:
        CommandLabels(program(code), LABELS).labels(["a", "b"])
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


def test_a_program_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(child)!r}, 'w').write(str(p.pid))\n"
        "time.sleep(60)"
    )
    start = time.monotonic()
    with pytest.raises(SpikeportError, match="no answer within 3 s"):
        CommandLabels(program(code), LABELS, timeout=3).labels(["a"])
    assert time.monotonic() - start < 20
    number = int(child.read_text())
    for _ in range(50):  # an orphan is reaped by init, not by us
        state = Path(f"/proc/{number}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    os.kill(number, 9)
    pytest.fail("the child outlived its parent")


def test_what_cannot_be_started_or_asked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no-program").write_text("text")
    for command in ("/nonexistent/program", str(tmp_path / "no-program")):
        with pytest.raises(SpikeportError, match="cannot be started"):
            CommandLabels(command, LABELS).labels(["a"])
    for command, why in (("", "empty"), ("'open quote", "quotes")):
        with pytest.raises(SpikeportError, match=why):
            CommandLabels(command, LABELS)
    with pytest.raises(SpikeportError, match="time limit"):
        CommandLabels("true", LABELS, timeout=0)
    for text in ("one\ntwo", "one\n", "one\r", "\n"):
        with pytest.raises(SpikeportError, match="line break"):
            CommandLabels("true", LABELS).labels([text])


def test_a_program_that_never_stops_writing_is_stopped_early() -> None:
    start = time.monotonic()
    with pytest.raises(SpikeportError, match="bytes of answers"):
        CommandLabels("yes", LABELS, timeout=60).labels(["a"])
    assert time.monotonic() - start < 30
