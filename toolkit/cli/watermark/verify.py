"""``spikeport watermark verify``: the pre-registered test on one backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, say, tell
from toolkit.cli.lava_options import LAVA_MODE
from toolkit.cli.watermark.options import CARRIERS, CLEAN, JSON, KEY, ownership_test

if TYPE_CHECKING:
    from toolkit.backends.protocol import SpikeBackend


def verify(
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    carriers: Path | None = CARRIERS,
    backend: str = typer.Option("simulator", help="simulator or lava."),
    lava_mode: str = LAVA_MODE,
    json: bool = JSON,
) -> None:
    """Test whether a bundle carries the key's watermark; exit status 1 where it is not proven."""
    from toolkit.backends.labels import EncodedLabels
    from toolkit.backends.lava import Lava
    from toolkit.backends.lava_options import LavaOptions
    from toolkit.backends.simulator import Simulator
    from toolkit.errors import SpikeportError

    if backend not in ("simulator", "lava"):
        raise SpikeportError(f"--backend {backend}: unknown; choose simulator or lava")
    _, opened, test, secret = ownership_test(bundle, clean, key, carriers)
    calibrated = opened.manifest.calibrated
    runner: SpikeBackend = Simulator(opened.graph)
    if backend == "lava":
        runner = Lava(opened.graph, say, calibrated, LavaOptions(lava_mode))
    name = f"{backend} {opened.manifest.student_sha256[:12]}"
    evidence = test.evidence(secret, EncodedLabels(name, opened.encoder, runner))
    entry = evidence.to_dict() | {"mode": runner.mode}
    emit(entry, json)
    level = entry["key_level"]
    tell(
        f"{entry['hits']} of {entry['queries']} triggered queries hit (WESR {100 * entry['wesr']:.1f} %), "
        f"null at most {100 * entry['p0']:.1f} %, p = {entry['p_value']:.2g}; {level['passes']} of "
        f"{level['keys']} random keys pass (rate at most {100 * level['bound']:.1f} %): {entry['verdict']}"
    )
    if not evidence.passed:
        raise typer.Exit(1)
