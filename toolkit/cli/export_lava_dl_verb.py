"""``spikeport export lava-dl``: a sequential part of a graph as a lava-dl network file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, say, tell

if TYPE_CHECKING:
    from exporters.nir.graph import Graph


def export_lava_dl(
    out: Path = typer.Argument(help="Network file to write, NAME.net."),
    bundle: Path = BUNDLE,
    graph: Path | None = typer.Option(None, help="NIR file of the portable profile, in place of a bundle."),
    subgraph: str | None = typer.Option(None, help="FIRST:LAST layer, such as block0.fc1:block0.fc2; else all."),
    steps: int | None = typer.Option(None, help="Time steps, where the file does not say them."),
    check: Path | None = typer.Option(
        None, help="Input spikes (NPZ of `spikeport encode`): run them in lava-dl's netx and in the simulator, compare."
    ),
    samples: int = typer.Option(8, min=1, help="With --check: use the first so many samples."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Write the .net file of a sequential part; attention and residual sums are refused by name."""
    from exporters.lava_dl import facts, form, select, write_net

    source = _graph(bundle, graph)
    net = form(select(source, subgraph, steps))
    write_net(net, out)
    told: dict[str, Any] = {"net": str(out), "bytes": out.stat().st_size, **facts(net)}
    tell(f"{out}: {len(net.layers)} {net.kind} layers, T = {net.chain.steps}, weights times {2**net.exponent}")
    if net.valid_copies:
        tell(f"input: {net.chain.channels} channels of {net.chain.entry}, then {net.valid_copies} of the valid train")
    if check is None:
        emit(told, json)
        return
    found = _compare(source, net, out, check, samples)
    emit(told | {"check": found}, json)
    for layer in found["layers"]:
        tell(f"{layer['name']}: {layer['mismatches']} of {layer['compared']} values differ from netx's")
    if found["mismatches"]:
        raise typer.Exit(1)


def _graph(bundle: Path, graph: Path | None) -> Graph:
    from exporters.nir.read import read_graph
    from toolkit.bundle.reader import open_bundle

    return read_graph(graph) if graph is not None else open_bundle(bundle).graph


def _compare(source: Graph, net: Any, out: Path, inputs: Path, samples: int) -> dict[str, Any]:
    from toolkit.netx.check import check_net
    from toolkit.netx.inputs import read_spikes

    found = check_net(source, net, out, read_spikes(inputs)[:samples], report=say)
    return {
        "samples": found.samples,
        "mismatches": found.mismatches,
        "layers": [asdict(layer) for layer in found.layers],
        "versions": found.versions,
        "seconds": found.seconds,
    }
