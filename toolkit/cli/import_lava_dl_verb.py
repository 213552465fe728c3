"""``spikeport import lava-dl``: a lava-dl network file as a NIR file of stock nodes."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import emit, tell


def import_lava_dl(
    net: Path = typer.Argument(help="Network file that lava-dl exported, NAME.net."),
    out: Path = typer.Option(..., help="NIR file to write."),
    layers: int | None = typer.Option(None, min=1, help="Read only so many entries of the file."),
    input_shape: str | None = typer.Option(None, help="C,H,W, for a file that starts with a convolution."),
    json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Write a .net file's dense and convolution layers as stock NIR nodes, and say how far they are exact."""
    import nir

    from exporters.lava_dl.neurons import DT
    from exporters.lava_dl.to_nir import import_net

    found = import_net(net, layers, _shape(input_shape))
    nir.write(out, found.graph)
    emit(
        {
            "graph": str(out),
            "nodes": list(found.graph.nodes),
            "neurons": found.neurons,
            "dt": DT,
            "loads_in_nir": found.loads_in_nir,
            "transform": found.transform,
            "exact_steps": found.exact_steps,
            "exact_reason": found.reason,
        },
        json,
    )
    tell(f"{out}: {len(found.neurons)} layers of neurons, dt {DT:g} s")
    if not found.loads_in_nir:
        tell("a kernel is not square: simulate_nir runs the file, nir.read (1.0.8) refuses it")
    if found.transform is not None:
        tell(f"its input is a current: a host makes it as {found.transform['weight']} x + {found.transform['bias']}")
    how = "simulate_nir(..., arithmetic='loihi2') computes in netx's integers"
    if found.exact_steps is None:
        tell(f"NIR's real-valued equations are proved to give netx's spikes: {found.reason}")
    else:
        tell(f"NIR's real-valued equations are proved to give netx's spikes for {found.exact_steps} steps only")
        tell(found.reason)
        tell(f"for longer runs {how}")


def _shape(text: str | None) -> tuple[int, ...] | None:
    from toolkit.errors import SpikeportError

    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise SpikeportError(f"input shape {text!r}: needs three numbers of at least 1, C,H,W, such as 2,34,34")
    return tuple(int(part) for part in parts)
