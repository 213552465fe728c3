"""A network file read as NIR: its spikes are those of the published equations, and what is not held is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from exporters.lava_dl import LavaDlError
from exporters.lava_dl.to_nir import import_net
from simulators import simulate_nir
from tests.exporters.lava_dl.netx_by_hand import run_file


def write(path: Path, *layers: dict[str, Any]) -> Path:
    """A file of these entries; keys with a slash go into a group, ``type`` as slayer writes it."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for key, value in layer.items():
                if key.endswith("type"):
                    group.create_dataset(key, (1,), "S10", [value.encode()])
                else:
                    group[key] = value
    return path


def cuba(i: int, v: int, vth: int, kind: str = "CUBA") -> dict[str, Any]:
    values = {"type": kind, "iDecay": i, "vDecay": v, "vThMant": vth, "refDelay": 1, "gradedSpike": False}
    return {f"neuron/{key}": value for key, value in values.items()}


def even(rng: np.random.Generator, *shape: int, high: int = 20) -> np.ndarray:
    return (2 * rng.integers(-high // 3, high // 2 + 1, shape)).astype(np.float32)


def conv(rng: np.random.Generator, out: int, into: int, shape: tuple[int, ...], **values: Any) -> dict[str, Any]:
    base = {"type": "conv", "shape": np.array(shape), "weight": even(rng, out, into, 3, 2)}
    return base | {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1} | values


def network(path: Path, i: int, v: int, seed: int = 0, bias: bool = True) -> Path:
    """Convolutions with stride, padding, dilation and groups; flatten; two dense layers."""
    rng = np.random.default_rng(seed)
    biases = {"bias": even(rng, 6)} if bias else {}
    return write(
        path,
        {"type": "input", "shape": np.array([2, 7, 6])},
        conv(rng, 4, 2, (4, 4, 5), stride=[2, 1], padding=[1, 0]) | cuba(i, v, 25),
        conv(rng, 6, 2, (6, 2, 3), dilation=[1, 2], groups=2) | cuba(i, v, 30, "LOIHI") | biases,
        {"type": "flatten", "shape": np.array([1, 1, 36])},
        {"type": "dense", "shape": np.array([8, 1, 1]), "weight": even(rng, 8, 36)} | cuba(i, v, 60 * 4096 // i),
        {"type": "dense", "shape": np.array([3]), "weight": even(rng, 24)} | cuba(i, v, 20),
    )


def drive(seed: int, shape: tuple[int, ...], steps: int, samples: int = 4) -> np.ndarray:
    return (np.random.default_rng(seed).random((samples, steps, *shape)) < 0.3).astype(np.int64)


@pytest.mark.parametrize("decays", [(4096, 2048), (4096, 1024), (1024, 1024), (700, 123), (4095, 4096), (2048, 4095)])
@pytest.mark.parametrize("stored", [False, True])
def test_every_spike_is_that_of_the_equations(decays: tuple[int, int], stored: bool, tmp_path: Path) -> None:
    path, x = network(tmp_path / "a.net", *decays), drive(1, (2, 7, 6), 30)
    expected, _, _ = run_file(path, x)
    found = import_net(path)
    graph: Any = found.graph
    if stored:
        nir.write(tmp_path / "a.nir", graph)
        graph = tmp_path / "a.nir"
    seen = simulate_nir(graph, x, arithmetic="loihi2", record=True)
    assert len(found.neurons) == len(expected) == 4
    for name, spikes in zip(found.neurons, expected, strict=True):
        assert 0.01 < spikes.mean() < 0.95, name
        assert np.array_equal(seen.spikes[name].numpy(), spikes), name


@pytest.mark.parametrize(
    ("decays", "steps"), [((4096, 2048), 8), ((4096, 1024), 4), ((1024, 1024), 4), ((4096, 123), 1)]
)
def test_real_arithmetic_is_exact_for_the_steps_that_are_claimed(
    decays: tuple[int, int], steps: int, tmp_path: Path
) -> None:
    """Even weights: seven bits to lose, and a decay by 2^-k loses k of them a step."""
    path = network(tmp_path / "a.net", *decays, seed=3)
    found = import_net(path)
    assert found.exact_steps == steps and f"from step {steps + 1} on" in found.reason
    told = json.loads(found.graph.metadata["spikeport"])
    assert (told["exact_steps"], told["exact_reason"]) == (steps, found.reason)
    x = drive(2, (2, 7, 6), steps, samples=60)
    expected, _, _ = run_file(path, x)
    seen = simulate_nir(found.graph, x, record=True)
    assert all(np.array_equal(seen.spikes[n].numpy(), s) for n, s in zip(found.neurons, expected, strict=True))
    assert sum(int(s.sum()) for s in expected) > 50


def test_only_square_kernels_load_in_nir(tmp_path: Path) -> None:
    """The file must be refused by ``nir.read`` or be read right; nir 1.0.8 gets the shape of others wrong."""
    rng, square = np.random.default_rng(0), tmp_path / "square.net"
    first = conv(rng, 4, 2, (4, 5, 4), weight=even(rng, 4, 2, 3, 3)) | cuba(4096, 2048, 9)
    write(square, {"type": "input", "shape": np.array([2, 7, 6])}, first)
    for path, loads in ((square, True), (network(tmp_path / "a.net", 4096, 2048), False)):
        found = import_net(path)
        assert found.loads_in_nir is loads
        nir.write(tmp_path / "a.nir", found.graph)
        if loads:
            assert set(nir.read(tmp_path / "a.nir").nodes) == set(found.graph.nodes)
        else:
            with pytest.raises(ValueError, match="mismatch"):
                nir.read(tmp_path / "a.nir")


def test_beyond_them_rounding_shows(tmp_path: Path) -> None:
    path, x = network(tmp_path / "a.net", 700, 123, seed=3), drive(2, (2, 7, 6), 60, samples=40)
    expected, _, _ = run_file(path, x)
    seen = simulate_nir(import_net(path).graph, x, record=True).spikes
    assert not all(np.array_equal(s.numpy(), e) for s, e in zip(seen.values(), expected, strict=True))


def test_without_a_decay_that_rounds_any_run_is_exact(tmp_path: Path) -> None:
    found = import_net(network(tmp_path / "a.net", 4096, 4096))
    assert found.exact_steps is None and "however long" in found.reason


def test_delays_of_outputs_and_of_inputs(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    delay = np.array([0, 3, 1, 5, 2], np.float32)
    path = write(
        tmp_path / "a.net",
        {"type": "input", "shape": np.array([1, 1, 4])},
        {"type": "flatten"},
        {"type": "dense", "shape": [5, 1, 1], "weight": even(rng, 5, 4), "delay": delay} | cuba(1024, 1024, 20),
    )
    x = drive(5, (4,), 25)
    expected, _, _ = run_file(path, x)
    assert 0.05 < expected[0].mean() < 0.9
    assert np.array_equal(simulate_nir(import_net(path).graph, x, arithmetic="loihi2").output.numpy(), expected[0])
    weight = even(rng, 3, 5)
    by_inputs = write(
        tmp_path / "b.net",
        {"type": "dense", "shape": [3], "weight": weight, "delay": delay} | cuba(4096, 2048, 9),
    )
    x = drive(6, (5,), 25)
    late = np.zeros_like(x)
    for channel, d in enumerate(delay.astype(int)):
        late[:, d:, channel] = x[:, : 25 - d, channel]
    plain = write(tmp_path / "c.net", {"type": "dense", "shape": [3], "weight": weight} | cuba(4096, 2048, 9))
    expected, _, _ = run_file(plain, late)
    assert np.array_equal(simulate_nir(import_net(by_inputs).graph, x, arithmetic="loihi2").output.numpy(), expected[0])


def test_an_input_layer_with_neurons_takes_a_current(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    entry = {"type": "input", "shape": np.array([6]), "weight": [76.0], "bias": [64.0]} | cuba(4096, 123, 80)
    path = write(tmp_path / "a.net", entry, {"type": "dense", "shape": [4], "weight": even(rng, 4, 6)})
    found = import_net(path)
    assert found.transform == {"weight": 76, "bias": 64}
    x = rng.integers(0, 140, (3, 20, 6))
    (expected,), sums, _ = run_file(path, x)
    seen = simulate_nir(found.graph, x, arithmetic="loihi2", record=True)
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(seen.spikes["00_neuron"].numpy(), expected)
    assert np.array_equal(seen.output.numpy(), np.cumsum(sums, axis=1)), "a dense layer without neurons adds up"


DENSE = {"type": "dense", "shape": [2], "weight": np.array([[2, -4], [6, 8]], np.float32)}


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"type": "average", "shape": [2]}, ["layer 0 (average)", "--layers 0"]),
        ({"type": "pool", "shape": [2]}, ["layer 0 (pool)"]),
        (DENSE | {"type": "dense_rec"} | cuba(4096, 2048, 9), ["layer 0 (dense_rec)"]),
        (DENSE | cuba(4096, 2048, 9, "SDNN"), ["layer 0 (dense)", "SDNN", "CUBA or LOIHI"]),
        (DENSE | cuba(4096, 2048, 9, "RF"), ["neurons of type RF"]),
        (DENSE | cuba(4096, 2048, 9) | {"neuron/refDelay": 2}, ["refDelay is 2", "needs 1"]),
        (DENSE | cuba(4096, 2048, 9) | {"neuron/gradedSpike": True}, ["gradedSpike"]),
        (DENSE | cuba(4096, 2048, 9) | {"neuron/wgtExp": 2}, ["wgtExp is 2"]),
        (DENSE | cuba(4096, 5000, 9), ["vDecay is 5000", "0..4096"]),
        (DENSE | cuba(0, 2048, 9), ["iDecay 0"]),
        (DENSE | cuba(1024, 0, 9), ["iDecay 1024 with vDecay 0"]),
        (DENSE | cuba(4096, 2048, 300_000), ["vThMant is 300000"]),
        (DENSE | {"weight": np.array([[2.5, 2], [2, 2]])} | cuba(4096, 2048, 9), ["weight 2.5"]),
        (DENSE | {"weight": np.array([[300, -2], [2, 2]])} | cuba(4096, 2048, 9), ["weight 300", "clips"]),
        (
            DENSE | {"weight": np.array([[-256, -4], [-2, -2]])} | cuba(4096, 2048, 9),
            ["weight -256 at (0, 0) becomes -254"],
        ),
        (DENSE | {"weight": np.zeros((2, 2))} | cuba(4096, 2048, 9), ["all weights are 0"]),
        (DENSE | {"bias": [2, 5000]} | cuba(4096, 2048, 9), ["bias 5000"]),
        (DENSE | {"delay": [2, 63]} | cuba(4096, 2048, 9), ["delay 63", "0..62"]),
        (DENSE | {"delay": [2, 1], "bias": [2, 2]} | cuba(4096, 2048, 9), ["delays and a bias"]),
    ],
)
def test_what_is_not_held_is_named(layer: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(LavaDlError) as refused:
        import_net(write(tmp_path / "a.net", layer))
    text = str(refused.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_a_readout_in_the_middle_and_a_missing_flatten(tmp_path: Path) -> None:
    with pytest.raises(LavaDlError, match=r"layer 1 \(dense\): follows layer 0"):
        import_net(write(tmp_path / "a.net", DENSE, DENSE | cuba(4096, 2048, 9)))
    rng = np.random.default_rng(0)
    first = conv(rng, 4, 2, (4, 5, 5)) | cuba(4096, 2048, 9)
    dense = {"type": "dense", "shape": [2], "weight": even(rng, 2, 100)} | cuba(4096, 2048, 9)
    with pytest.raises(LavaDlError, match=r"layer 2 \(dense\): .* arrives; flatten it before"):
        import_net(write(tmp_path / "b.net", {"type": "input", "shape": [2, 7, 6]}, first, dense))


def test_a_convolution_without_an_input_layer_needs_a_shape(tmp_path: Path) -> None:
    """As slayer exports it: the size of the input does not follow from that of the output."""
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.net", conv(rng, 4, 2, (4, 3, 3), stride=[2, 2]) | cuba(4096, 2048, 9))
    with pytest.raises(LavaDlError, match=r"layer 0 \(conv\): .* --input-shape"):
        import_net(path)
    x = drive(1, (2, 7, 7), 10)
    expected, _, _ = run_file(path, x)
    found = import_net(path, input_shape=(2, 7, 7))
    assert expected[0].any()
    assert np.array_equal(simulate_nir(found.graph, x, arithmetic="loihi2").output.numpy(), expected[0])
    with pytest.raises(LavaDlError, match="do not agree"):
        import_net(path, input_shape=(2, 12, 12))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", None])
def test_a_damaged_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    if content is not None:
        path.write_bytes(content)
    else:
        write(path, DENSE | cuba(4096, 2048, 9))
        with h5py.File(path, "a") as file:
            del file["layer/0/neuron/vDecay"]
    with pytest.raises(LavaDlError, match="not a readable lava-dl network file"):
        import_net(path)
    with pytest.raises(LavaDlError, match="no such file"):
        import_net(tmp_path / "b.net")
