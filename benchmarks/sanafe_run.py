"""One network on one chip description in SANA-FE, which runs as a program of its own.

    .venv-peers/bin/python benchmarks/sanafe_run.py ARCH.yaml NETWORK.json [simple|detailed]

Runs under .venv-peers (`make peers-env`) and imports nothing of this project; this project never imports SANA-FE
(GPL-3). NETWORK.json: `steps`, `layers` (name, threshold, core of each neuron; the first layer has `spikes`, a row of
0 and 1 per neuron) and `weights`, a matrix (inputs, outputs) between layers that follow each other. Prints one line
of JSON: energies in joules, time in seconds, counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import sanafe


def build(description: dict[str, Any], arch: Any) -> Any:
    network, cores, groups = sanafe.Network(), arch.cores(), []
    for layer in description["layers"]:
        group = network.create_neuron_group(layer["name"], len(layer["cores"]), default_synapse_hw_name="synapse")
        for index, core in enumerate(layer["cores"]):
            neuron = group.neurons[index]
            if "spikes" in layer:
                neuron.set_attributes(
                    soma_hw_name=f"source[{index}]", model_attributes={"spikes": layer["spikes"][index]}
                )
            else:
                model = {"threshold": layer["threshold"], "leak_decay": 1.0, "reset": 0.0, "reset_mode": "hard"}
                neuron.set_attributes(soma_hw_name="lif", model_attributes=model)
            neuron.map_to_core(cores[core])
        groups.append(group)
    for source, target, matrix in zip(groups[:-1], groups[1:], description["weights"], strict=True):
        source.connect_neurons_dense(target, {"weight": [float(w) for row in matrix for w in row]})
    return network


def main(arch_file: str, network_file: str, timing: str = "simple") -> None:
    description = json.loads(Path(network_file).read_text(encoding="utf-8"))
    arch = sanafe.load_arch(arch_file)
    chip = sanafe.SpikingChip(arch)
    chip.load(build(description, arch))
    found = chip.sim(description["steps"], timing_model=timing, perf_trace=True)
    trace = found["perf_trace"]
    answer = {
        "energy": found["energy"],
        "seconds": found["sim_time"],
        "spikes_delivered": found["spikes"],
        "messages": found["packets_sent"],
        "fired": found["neurons_fired"],
        "updated": found["neurons_updated"],
        "hops": sum(trace["hops"]),
        "fired_per_step": list(trace["fired"]),
    }
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
