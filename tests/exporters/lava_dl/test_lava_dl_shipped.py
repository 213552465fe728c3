"""The networks that lava-dl ships for its own tests: imported, they give netx's spikes, and the shipped ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporters.lava.netx import run_net
from exporters.lava_dl import LavaDlError
from exporters.lava_dl.to_nir import import_net
from simulators import simulate_nir

pytestmark = pytest.mark.lava


@pytest.fixture(scope="module")
def shipped(lava_dl_python: Path) -> Path:
    """Folder of netx's tests in lava-dl's wheel."""
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    answer = subprocess.run([lava_dl_python, "-c", ask], capture_output=True, text=True, check=True)
    folder = Path(answer.stdout.strip()) / "tests/lava/lib/dl/netx"
    if not folder.is_dir():
        pytest.skip(f"this lava-dl came without its tests: no {folder}")
    return folder


def test_convolutions_give_netxs_spikes(shipped: Path, lava_dl_python: Path) -> None:
    """tiny.net: an input layer with neurons, two strided convolutions with biases; three samples, 12 steps."""
    found = import_net(shipped / "tiny.net")
    assert found.exact_steps == 4 and found.transform == {"weight": 36, "bias": 34}
    x = np.random.default_rng(0).integers(0, 40, (3, 12, 3, 16, 16))
    theirs = run_net(shipped / "tiny.net", x, python=lava_dl_python)
    ours = simulate_nir(found.graph, x, arithmetic="loihi2", record=True)
    assert len(theirs.spikes) == len(found.neurons) == 3
    for name, spikes in zip(found.neurons, theirs.spikes, strict=True):
        assert spikes.sum() > 50
        assert np.array_equal(ours.spikes[name].numpy(), spikes), name
    real = simulate_nir(found.graph, x, record=True)
    first = {name: [s.numpy()[:, :4] for s in (real.spikes[name], ours.spikes[name])] for name in found.neurons}
    assert all(np.array_equal(a, b) for a, b in first.values()), "four steps are claimed to be exact"


def test_delays_and_current_decay_give_the_shipped_spikes(shipped: Path) -> None:
    """ntidigits.net: axonal delays up to 62 steps, iDecay 1024; lava-dl ships input and output, four steps late."""
    x, expected = (np.load(shipped / "gts/ntidigits" / name) for name in ("input.npy", "output.npy"))
    steps, late = 500, 4
    found = import_net(shipped / "gts/ntidigits/ntidigits.net", layers=5)
    seen = simulate_nir(found.graph, x.T[None, :steps].astype(np.int64), arithmetic="loihi2").output.numpy()[0]
    wanted = expected.T[late : steps + late] > 0
    assert wanted.sum() > 3000
    assert np.array_equal(seen > 0, wanted)


def test_pilotnet_gives_the_shipped_spikes_in_every_layer(shipped: Path) -> None:
    """What lava-dl's own test holds Loihi 2 against: an image as a current, 16 steps; layer k is k steps late there."""
    folder, steps = shipped / "gts/pilotnet_lif", 16
    found = import_net(folder / "network.net")
    image = np.load(folder / "image.npy").transpose()  # they order (W, H, C)
    seen = simulate_nir(found.graph, np.stack([[image] * steps]), arithmetic="loihi2", record=True).spikes
    names = ["input", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
    for late, (name, node) in enumerate(zip(names, found.neurons, strict=False)):
        wanted = np.load(folder / f"{name}.npy").transpose()[late : late + steps]
        assert wanted.any()
        assert np.array_equal(seen[node].numpy()[0], wanted[:steps]), name
    assert not seen[found.neurons[-1]].any(), "the last layer integrates"


def test_what_is_no_cuba_network_is_named(shipped: Path) -> None:
    with pytest.raises(LavaDlError, match=r"layer 0 \(input\): neurons of type SDNN"):
        import_net(shipped / "gts/pilotnet_sdnn/network.net")
    with pytest.raises(LavaDlError, match=r"layer 5 \(average\): .* --layers 5"):
        import_net(shipped / "gts/ntidigits/ntidigits.net")
