"""The options of every verb that has Lava as a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

from toolkit.errors import SpikeportError

MODES = ("stock", "fast")
EXECUTORS = ("multi-process", "one-process")


def _among(option: str, names: Sequence[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            raise SpikeportError(f"{option} {value}: not known; choose one of {', '.join(names)}")
        return value

    return check


LAVA_MODE = typer.Option(
    "fast",
    "--lava-mode",
    callback=_among("--lava-mode", MODES),
    help="stock: only processes that Lava ships; fast: custom ones too, CPU only.",
)
LAVA_EXECUTOR = typer.Option(
    "multi-process",
    "--lava-executor",
    callback=_among("--lava-executor", EXECUTORS),
    help="multi-process: real Lava; one-process: its process models called in turn, for tests.",
)
