"""``spikeport simulate``: a file through the simulated chip, of any length, interrupted or shared out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import cut, emit, say, tell
from toolkit.errors import MissingComponentError, SpikeportError

if TYPE_CHECKING:
    from toolkit.bundle.reader import Bundle
    from toolkit.simulation.run import Outcome
    from toolkit.simulation.source import Source

PART = 256  # samples: input spikes are large, what is kept of them is not


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(simulate)


def simulate(
    data: Path = typer.Argument(help="TSV with the column text, and label if known; or NPZ from spikeport encode."),
    bundle: Path = BUNDLE,
    out: Path | None = typer.Option(None, "--out", help="Folder of the run: parts, result; start again to go on."),
    part_size: int | None = typer.Option(None, min=1, help="Samples of a part; 256, or a batch with --record."),
    batch_size: int = typer.Option(64, min=1, help="Samples simulated at a time; the result is the same."),
    memory_limit: str | None = typer.Option(None, help="What a batch's signals may take, such as 4GiB."),
    device: str | None = typer.Option(None, help="cpu or cuda; CUDA where present by default."),
    threads: int | None = typer.Option(None, min=1, help="Threads of the compiled engine."),
    engine: str = typer.Option("auto", help="auto, compiled or tensor; the result is the same."),
    record: bool = typer.Option(False, "--record", help="Keep the spikes of every layer in the folder (large)."),
    raster: Path | None = typer.Option(None, help="Draw a sample's spikes into this file (png, pdf, svg)."),
    sample: int = typer.Option(0, min=0, help="Which sample --raster draws, from 0."),
    trace: bool = typer.Option(False, "--trace", help="Say how each layer was computed, and why."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Classify a file on the simulated chip: accuracy and activity.

    Several GPUs or machines, with a folder that all see: accelerate launch -m toolkit simulate ... --out DIR
    """
    from simulators import Simulator
    from toolkit.bundle.reader import open_bundle
    from toolkit.simulation.folder import RunFolder
    from toolkit.simulation.run import Run
    from toolkit.simulation.sizes import parse_size
    from toolkit.simulation.source import open_source
    from toolkit.simulation.world import World, device_of, launched

    limit = None if memory_limit is None else parse_size(memory_limit)
    if out is None and (record or launched()):
        raise SpikeportError(f"{'--record' if record else 'several processes'}: no folder to write to; give --out DIR")
    opened = open_bundle(bundle)
    source = open_source(data, opened)
    world = World.join()
    where = device_of(device, world.local_rank)
    common: dict[str, Any] = {"device": where, "engine": engine, "threads": threads, "memory_limit": limit}
    part = part_size or (batch_size if record else PART)
    with Simulator(opened.graph, opened.manifest.config.steps, batch_size=batch_size, record=record, **common) as ready:
        if raster is not None and world.main:
            _draw(raster, sample, opened, source, common)
        settings = {"part_size": part, "record": record, "engine": engine, "device": where.split(":")[0]}
        folder = None if out is None else RunFolder.open(out, _identity(opened, data, len(source.labels), settings))
        run = Run(opened, source, ready, part, record, folder)
        outcome = run.execute(world, say if world.main else _nothing)
    if outcome is not None:
        files = {"out": str(out)} if out else {}
        files |= {"raster": str(raster)} if raster else {}
        how = {"trace": [asdict(layer) for layer in outcome.trace]} if trace else {}
        emit(outcome.summary() | files | how, json)
        _tell(outcome, opened, trace)
    world.leave()


def _nothing(_: str) -> None:
    """What a process says that is not the main one."""


def _identity(bundle: Bundle, data: Path, samples: int, settings: dict[str, Any]) -> dict[str, Any]:
    """What a run is a run of."""
    import numpy as np
    import torch

    from toolkit.bundle.encoder import ENCODER_FILE
    from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
    from toolkit.bundle.writer import tool_version
    from toolkit.simulation.source import sha256_of

    names = (GRAPH_FILE, ENCODER_FILE, MANIFEST_FILE)
    return {
        "bundle": {name: sha256_of(bundle.folder / name) for name in names},
        "data": {"sha256": sha256_of(data), "samples": samples},
        "settings": settings,
        "versions": {"spikeport": tool_version(), "torch": torch.__version__, "numpy": np.__version__},
    }


def _draw(path: Path, sample: int, bundle: Bundle, source: Source, common: dict[str, Any]) -> None:
    """Draw one sample, which is simulated for it alone: before the run, so that a bad file name costs nothing."""
    from simulators import simulate as run
    from simulators.raster import save_raster

    if sample >= len(source.labels):
        raise SpikeportError(f"--sample {sample}: {len(source.labels)} samples, counted from 0; choose a smaller one")
    spikes, _ = source.part(sample, sample + 1)
    try:
        save_raster(path, run(bundle.graph, spikes, record=True, **common).spikes)
    except ModuleNotFoundError as error:
        raise MissingComponentError(str(error)) from None


def _tell(outcome: Outcome, bundle: Bundle, trace: bool) -> None:
    if trace:
        for layer in outcome.trace:
            tell(f"{layer.name}: {layer.product}, {layer.neuron}: {layer.why}")
    figures = outcome.summary()
    too_long = cut(outcome.truncated, bundle.encoder.limit)
    known = outcome.accuracy
    accuracy = "" if known is None else f"integer accuracy {100 * known:.2f} %, "
    tell(
        f"{figures['examples']} sentences{too_long}, {accuracy}{figures['spikes_per_inference']:.0f} spikes and "
        f"{figures['synops_per_inference']:.0f} synaptic operations per inference"
    )
