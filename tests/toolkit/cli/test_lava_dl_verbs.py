"""``export lava-dl`` and ``import lava-dl``: what they write and say, and how they end."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from simulators import simulate_nir
from tests.exporters.lava_dl.netx_by_hand import run_file
from tests.toolkit.conftest import Command
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import open_bundle
from toolkit.netx.check import entry_messages


def test_a_subgraph_of_a_bundle(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    """The file, run by the published equations, gives the golden spikes of both layers."""
    out = tmp_path / "mlp.net"
    ended = command("export", "lava-dl", out, "--bundle", light_bundle, "--subgraph", "block0.fc1:block0.fc2", "--json")
    assert ended.status == 0, ended.err
    told = ended.json
    assert (told["net"], told["bytes"], told["kind"]) == (str(out), out.stat().st_size, "conv")
    assert [layer["name"] for layer in told["layers"]] == ["block0.fc1", "block0.fc2"]  # type: ignore[attr-defined]
    bundle = open_bundle(light_bundle)
    from exporters.lava_dl import form, net_inputs, select
    from simulators import simulate

    spikes = bundle.encoder.encode(["a fine film", "dull"]).spikes
    here = simulate(bundle.graph, spikes, record=True)
    net = form(select(bundle.graph, "block0.fc1:block0.fc2"))
    messages = entry_messages(bundle.graph, net.chain.entry, spikes, here)
    found, _, _ = run_file(out, net_inputs(net, messages, spikes[:, :, -1]).astype(np.int64))
    for layer, values in zip(net.layers, found, strict=True):
        assert np.array_equal(values[:, :, : layer.channels, 0], here.spikes[layer.name].numpy())
        assert values.any()


def test_a_graph_file_in_place_of_a_bundle(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    for name, source in (("a", ("--bundle", light_bundle)), ("b", ("--graph", light_bundle / GRAPH_FILE))):
        layers = ("--subgraph", "block0.fc2:block0.fc2")
        assert command("export", "lava-dl", tmp_path / f"{name}.net", *source, *layers).status == 0
    with h5py.File(tmp_path / "a.net") as a, h5py.File(tmp_path / "b.net") as b:
        assert np.array_equal(a["layer/1/weight"][()], b["layer/1/weight"][()])


def test_refusals_write_nothing(command: Command, light_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.net"
    ended = command("export", "lava-dl", out, "--bundle", light_bundle)
    assert ended.status == 2 and "a second branch from" in ended.error
    ended = command("export", "lava-dl", out, "--bundle", light_bundle, "--subgraph", "block0.q:block0.fc1")
    assert ended.status == 2 and "an attention" in ended.error
    ended = command("import", "lava-dl", tmp_path / "none.net", "--out", tmp_path / "a.nir")
    assert ended.status == 2 and "no such file" in ended.error
    assert not any(tmp_path.iterdir())


def test_the_check_without_lava_names_the_command(
    command: Command, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", str(tmp_path / "no-python"))
    with (tmp_path / "in.npz").open("wb") as file:
        np.savez(file, spikes=open_bundle(light_bundle).encoder.encode(["fine"]).spikes)
    layers = ("--subgraph", "block0.fc2:block0.fc2")
    ended = command(
        "export", "lava-dl", tmp_path / "a.net", "--bundle", light_bundle, *layers, "--check", tmp_path / "in.npz"
    )
    assert ended.status == 3 and "make lava" in ended.err
    (tmp_path / "in.npz").write_bytes(b"no archive")
    ended = command(
        "export", "lava-dl", tmp_path / "a.net", "--bundle", light_bundle, *layers, "--check", tmp_path / "in.npz"
    )
    assert ended.status == 2 and "no NPZ file with spikes" in ended.err


@pytest.mark.lava
def test_the_check_runs_netx(
    command: Command, light_bundle: Path, tmp_path: Path, lava_dl_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", str(lava_dl_python))
    with (tmp_path / "in.npz").open("wb") as file:
        np.savez(file, spikes=open_bundle(light_bundle).encoder.encode(["a fine film", "dull"]).spikes)
    ended = command(
        *("export", "lava-dl", tmp_path / "a.net", "--bundle", light_bundle, "--subgraph", "block0.fc2:block0.fc2"),
        *("--check", tmp_path / "in.npz", "--json"),
    )
    assert ended.status == 0, ended.err
    check = ended.json["check"]
    assert check["mismatches"] == 0 and check["samples"] == 2  # type: ignore[index]


def test_an_imported_file_runs(command: Command, tmp_path: Path) -> None:
    from tests.exporters.lava_dl.test_lava_dl_import import drive, network

    net = network(tmp_path / "a.net", 4096, 1024)
    ended = command("import", "lava-dl", net, "--out", tmp_path / "a.nir", "--json")
    assert ended.status == 0, ended.err
    told = ended.json
    assert (told["exact_steps"], told["loads_in_nir"], told["dt"]) == (4, False, 1e-4)
    assert "for 4 steps only" in ended.err
    x = drive(1, (2, 7, 6), 20)
    expected, _, _ = run_file(net, x)
    assert np.array_equal(simulate_nir(tmp_path / "a.nir", x, arithmetic="loihi2").output.numpy(), expected[-1])
    assert "needs three numbers" in command("import", "lava-dl", net, "--out", "x", "--input-shape", "2,3").error
    fewer = command("import", "lava-dl", net, "--out", tmp_path / "b.nir", "--layers", 2, "--json")
    assert fewer.json["neurons"] == ["01_neuron"]
