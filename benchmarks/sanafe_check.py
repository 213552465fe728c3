"""The energy model against SANA-FE: same network, same mapping, same chip figures, term by term.

    python -m benchmarks.sanafe_check [--out FILE.json]

A random feed-forward network of integrate-and-fire neurons is simulated in numpy, counted as an activity, placed and
priced on the profile `loihi1-sanafe`. SANA-FE gets the weights, the input spikes, the cores of that placement and a
chip description written from that profile, and simulates it itself under .venv-peers (`make peers-env`). Exit status 1
where a term differs that both define alike, 3 without SANA-FE.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stopwatch import RESULTS, ROOT
from hw_profiles import Profile, load_profile
from simulators.activity import Activity, NodeActivity
from simulators.energy import estimate
from simulators.energy.latency import latency
from simulators.energy.workload import workload_of
from simulators.placement import Placement, place

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SIZES, STEPS, THRESHOLD, RATE, STRIDE = (60, 1500, 20), 16, 60, 0.2, 9
SAME = 1e-9  # relative: both add up the same figures times the same whole numbers
Array = NDArray[np.int64]


@dataclass(frozen=True)
class Net:
    """Weights (inputs, outputs) between layers, and spikes (steps, neurons) of each, the input's first."""

    weights: list[Array]
    spikes: list[Array]
    received: list[Array]


def random_net(seed: int = 1, sizes: tuple[int, ...] = SIZES) -> Net:
    """Integrate and fire, reset to zero, no leak; a layer sees what the one before it sent one step earlier."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(1, 16, (a, b)) * rng.choice([-1, 1, 1], (a, b)) for a, b in pairwise(sizes)]
    spikes = [(rng.random((STEPS, sizes[0])) < RATE).astype(np.int64)]
    received = []
    for matrix in weights:
        before = np.vstack([np.zeros((1, matrix.shape[0]), np.int64), spikes[-1][:-1]])
        sent, membrane = np.zeros((STEPS, matrix.shape[1]), np.int64), np.zeros(matrix.shape[1], np.int64)
        for step in range(STEPS):
            membrane += before[step] @ matrix
            sent[step] = membrane > THRESHOLD
            membrane[sent[step] > 0] = 0
        spikes.append(sent)
        received.append(before)
    return Net(weights, spikes, received)


def activity_of(net: Net) -> Activity:
    """Counts of the network: every weight is non-zero, so a spike makes an event at every output."""
    nodes = []
    for index, matrix in enumerate(net.weights):
        outputs, arrived = matrix.shape[1], int(net.spikes[index].sum())
        steps_with_input = int((net.received[index].sum(1) > 0).sum())
        nodes += [
            NodeActivity(
                f"layer{index}.weight", "synapse", weights=matrix.size, synapses=matrix.size,
                synops=arrived * outputs, dense_macs=matrix.size * STEPS, messages=arrived,
            ),
            NodeActivity(
                f"layer{index}", "neuron", outputs, spikes=int(net.spikes[index + 1].sum()),
                updates_active=outputs * steps_with_input, updates_idle=outputs * (STEPS - steps_with_input),
            ),
        ]  # fmt: skip
    return Activity(1, STEPS, 1, tuple(nodes))


def cores_of(net: Net, placement: Placement) -> list[list[int]]:
    """Core of each neuron: each layer spread evenly over its own cores, the sources on the first core of all.

    Cores follow each other ``STRIDE`` apart, so that messages cross tiles.
    """
    cores, first = [[0] * net.weights[0].shape[0]], 1
    for matrix, placed in zip(net.weights, placement.layers, strict=True):
        own = [first + neuron * placed.cores // matrix.shape[1] for neuron in range(matrix.shape[1])]
        cores.append([core * STRIDE % 128 for core in own])
        first += placed.cores
    return cores


def chip_file(profile: Profile, sources: int) -> str:
    """The profile as a chip description: 32 tiles of 4 cores, no barrier, sources that cost nothing."""

    def si(name: str) -> float:
        return profile.require(name).value.nominal or 0.0

    def unit(name: str, **figures: float) -> str:
        body = "".join(f"                {key}: {value!r}\n" for key, value in figures.items())
        model = {"synapse": "current_based", "dendrite": "accumulator", "lif": "leaky_integrate_fire"}
        kind = model.get(name, "input" if name.startswith("source") else "")
        kind = f"                model: {kind}\n" if kind else ""
        return f"            - name: {name}\n              attributes:\n{kind}{body}"

    access, active = si("neuron_update_idle"), si("neuron_update_active")
    access_time, active_time = si("neuron_update_idle_time"), si("neuron_update_active_time")
    hops = "".join(
        f"        energy_{way}_hop: {si(name)!r}\n        latency_{way}_hop: 0.0\n"
        for way, name in zip(
            ("north", "south", "east", "west"), ("hop_vertical",) * 2 + ("hop_horizontal",) * 2, strict=True
        )
    )
    free = dict.fromkeys(
        [
            f"{what}_{part}"
            for what in ("energy", "latency")
            for part in ("access_neuron", "update_neuron", "spike_out")
        ],
        0.0,
    )
    lif = {
        "energy_access_neuron": access, "latency_access_neuron": access_time,
        "energy_update_neuron": active - access, "latency_update_neuron": active_time - access_time,
        "energy_spike_out": si("neuron_spike"), "latency_spike_out": si("neuron_spike_time"),
    }  # fmt: skip
    return (
        "architecture:\n  name: chip\n  attributes:\n    width: 8\n    height: 4\n    link_buffer_size: 16\n"
        "    sync_model: fixed\n    latency_sync: 0.0\n  tile:\n    - name: tile[0..31]\n      attributes:\n"
        f"{hops}      core:\n        - name: core[0..3]\n          attributes:\n            buffer_position: soma\n"
        "            max_neurons_supported: 1024\n          axon_in:\n"
        + unit("axon_in", energy_message_in=0.0, latency_message_in=si("message_time"))
        + "          synapse:\n"
        + unit("synapse", energy_process_spike=si("synaptic_event"), latency_process_spike=si("synaptic_event_time"))
        + "          dendrite:\n"
        + unit("dendrite", energy_update=0.0, latency_update=0.0)
        + "          soma:\n"
        + unit("lif", **lif)
        + unit(f"source[0..{sources - 1}]", **free)
        + "          axon_out:\n"
        + unit("axon_out", energy_message_out=si("message"), latency_message_out=0.0)
    )


def run_sanafe(net: Net, placement: Placement, profile: Profile, timing: str = "simple") -> dict[str, Any]:
    """SANA-FE's answer. Raises subprocess.CalledProcessError if it fails."""
    names = ("input", *(layer.name for layer in placement.layers))
    layers: list[dict[str, Any]] = [
        {"name": name, "cores": cores, "threshold": THRESHOLD}
        for name, cores in zip(names, cores_of(net, placement), strict=True)
    ]
    layers[0]["spikes"] = net.spikes[0].T.tolist()
    with tempfile.TemporaryDirectory() as folder:
        chip, network = Path(folder) / "chip.yaml", Path(folder) / "network.json"
        chip.write_text(chip_file(profile, net.weights[0].shape[0]), encoding="utf-8")
        description = {"steps": STEPS, "layers": layers, "weights": [matrix.tolist() for matrix in net.weights]}
        network.write_text(json.dumps(description), encoding="utf-8")
        command = [str(PEER_PYTHON), str(ROOT / "benchmarks" / "sanafe_run.py"), str(chip), str(network), timing]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, timeout=300)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(seed: int = 1, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Both answers by term, in joules and seconds, and which of them must be equal."""
    net, profile = random_net(seed, sizes), load_profile("loihi1-sanafe")
    activity = activity_of(net)
    placement = place(activity, profile)
    ours = estimate(activity, placement, profile)
    theirs = run_sanafe(net, placement, profile)
    message = profile.require("message").value.nominal or 0.0
    tiles = -(-placement.cores // placement.plan.chip.tile)
    barrier = (profile.require("barrier_time").at(tiles).nominal or 0.0) * STEPS
    core = (latency(activity, placement, profile).core_seconds.nominal or 0.0) - barrier
    sent = workload_of(activity, placement, profile, 0).messages.nominal or 0.0
    routed = theirs["energy"]["network"]
    rows = [
        _row("synapse", ours.breakdown["synapse"].nominal, theirs["energy"]["synapse"], "equal"),
        _row("neuron", ours.breakdown["neuron"].nominal, theirs["energy"]["soma"], "equal"),
        _row("messages, hops apart", message * sent, message * theirs["messages"], "equal"),
        _row("routing", ours.breakdown["routing"].nominal, routed, "inside our interval"),
        _row(
            "core time",
            core,
            theirs["seconds"],
            "ours averages over the steps, and adds receiving and updating, which SANA-FE overlaps",
        ),
    ]
    low, high = ours.breakdown["routing"].low or 0.0, ours.breakdown["routing"].high or 0.0
    return {
        "network": {"sizes": sizes, "steps": STEPS, "cores": placement.cores, "spikes": int(net.spikes[-1].sum())},
        "rows": rows,
        "routing_interval": [low, high],
        "routing_inside": low <= routed <= high,
        "spikes_equal": [int(s) for s in sum(x.sum(1) for x in net.spikes)] == theirs["fired_per_step"],
        "sanafe": theirs,
    }


def _row(term: str, ours: float | None, theirs: float, rule: str) -> dict[str, Any]:
    return {
        "term": term,
        "ours": ours,
        "sanafe": theirs,
        "ratio": ours / theirs if ours and theirs else None,
        "rule": rule,
    }


def holds(found: dict[str, Any]) -> bool:
    """Spikes equal, terms that both define alike equal, routing inside the interval."""
    equal = [row for row in found["rows"] if row["rule"] == "equal"]
    same = all(row["ratio"] is not None and abs(row["ratio"] - 1) < SAME for row in equal)
    return bool(found["spikes_equal"] and same and found["routing_inside"])


def available() -> bool:
    """Whether the peers' environment has SANA-FE."""
    return (
        PEER_PYTHON.exists()
        and not subprocess.run([str(PEER_PYTHON), "-c", "import sanafe"], capture_output=True, check=False).returncode
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "sanafe.json")
    arguments = parser.parse_args()
    if not available():
        print("SANA-FE is missing: make peers-env")
        return 3
    found = compare()
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for row in found["rows"]:
        print(row)
    print(found["routing_interval"], found["spikes_equal"], found["sanafe"])
    return 0 if holds(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
