"""What a profile may state: every quantity with its dimension, its kinds and its plausible range.

The range is the guard against a slipped prefix. It is narrower than a factor of 1000 for every constant, so a
figure that is inside it is outside when multiplied or divided by 1000. What published chips show spreads wider in
some quantities: a figure that is rightly outside (a processor that runs neurons in software, a chip of microwatts)
brings limits of its own in ``unusual``, which are as narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dimension = Literal[
    "energy", "energy_per_byte", "power", "power_per_frequency", "time", "frequency",
    "bandwidth", "operation_rate", "bits", "count", "fraction",
]  # fmt: skip

UNITS: dict[str, tuple[Dimension, float]] = {
    "fJ": ("energy", 1e-15),
    "pJ": ("energy", 1e-12),
    "nJ": ("energy", 1e-9),
    "uJ": ("energy", 1e-6),
    "mJ": ("energy", 1e-3),
    "J": ("energy", 1.0),
    "pJ/byte": ("energy_per_byte", 1e-12),
    "pJ/bit": ("energy_per_byte", 8e-12),
    "nJ/byte": ("energy_per_byte", 1e-9),
    "nW": ("power", 1e-9),
    "uW": ("power", 1e-6),
    "mW": ("power", 1e-3),
    "W": ("power", 1.0),
    "uW/MHz": ("power_per_frequency", 1e-12),
    "mW/MHz": ("power_per_frequency", 1e-9),
    "kHz": ("frequency", 1e3),
    "MHz": ("frequency", 1e6),
    "GHz": ("frequency", 1e9),
    "TFLOPS": ("operation_rate", 1e12),
    "TOPS": ("operation_rate", 1e12),
    "ps": ("time", 1e-12),
    "ns": ("time", 1e-9),
    "us": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1.0),
    "GB/s": ("bandwidth", 1e9),
    "TB/s": ("bandwidth", 1e12),
    "bit": ("bits", 1.0),
    "byte": ("bits", 8.0),
    "KiB": ("bits", 8.0 * 1024),
    "MiB": ("bits", 8.0 * 1024**2),
    "word64": ("bits", 64.0),
    "count": ("count", 1.0),
    "fraction": ("fraction", 1.0),
}

OPERATION = ("marginal", "all_in", "literature")


@dataclass(frozen=True)
class Quantity:
    """One thing that a constant may be about; limits in SI units, kinds it may carry."""

    dimension: Dimension
    least: float
    most: float
    kinds: tuple[str, ...]
    meaning: str


CONSTANTS: dict[str, Quantity] = {
    "synaptic_event": Quantity("energy", 1e-12, 9.9e-10, OPERATION, "per spike delivered over a stored synapse"),
    "synaptic_event_sparse": Quantity("energy", 1e-12, 9.9e-10, OPERATION, "the same, sparse list"),
    "synaptic_event_shared": Quantity("energy", 1e-12, 9.9e-10, OPERATION, "the same, weights shared by positions"),
    "neuron_update_active": Quantity("energy", 5e-12, 4.9e-9, OPERATION, "per update of a neuron with input"),
    "neuron_update_idle": Quantity("energy", 5e-12, 4.9e-9, OPERATION, "per update of a neuron without input"),
    "neuron_spike": Quantity("energy", 5e-12, 4.9e-9, OPERATION, "per spike emitted, besides the update"),
    "message": Quantity("energy", 5e-13, 4.9e-10, OPERATION, "per spike message to one core, hops apart"),
    "hop_horizontal": Quantity("energy", 1e-13, 9.9e-11, OPERATION, "per message and tile, east-west"),
    "hop_vertical": Quantity("energy", 1e-13, 9.9e-11, OPERATION, "per message and tile, north-south"),
    "link_message": Quantity("energy", 1e-11, 9.9e-9, OPERATION, "per message from one chip to another"),
    "host_spike": Quantity("energy", 1e-11, 9.9e-9, OPERATION, "per spike from the host into the chip"),
    "network_step": Quantity("energy", 1e-9, 9.9e-7, ("all_in",), "per time step of the whole network"),
    "running_chip": Quantity("power", 1e-3, 0.99, ("all_in",), "of the whole chip while it runs, idle power included"),
    "mac": Quantity("energy", 2e-14, 1.9e-11, OPERATION, "per multiply-accumulate"),
    "accumulate": Quantity("energy", 5e-15, 4.9e-12, OPERATION, "per addition"),
    "mac_device": Quantity("energy", 5e-11, 4.9e-8, ("all_in",), "per multiply-accumulate of a whole busy device"),
    "sram_byte": Quantity("energy_per_byte", 1e-13, 9.9e-11, OPERATION, "per byte of on-chip memory"),
    "dram_byte": Quantity("energy_per_byte", 5e-12, 4.9e-9, OPERATION, "per byte of off-chip memory"),
    "flop": Quantity("energy", 1e-13, 9.9e-11, OPERATION, "per multiplication or addition"),
    "flop_fp32": Quantity("energy", 1e-13, 9.9e-11, OPERATION, "per FP32 multiplication or addition"),
    "flop_int8": Quantity("energy", 5e-14, 4.9e-11, OPERATION, "per INT8 multiplication or addition"),
    "byte_weight": Quantity("energy_per_byte", 5e-12, 4.9e-9, OPERATION, "per weight byte read"),
    "byte_activation": Quantity("energy_per_byte", 5e-12, 4.9e-9, OPERATION, "per activation byte moved"),
    "static_chip": Quantity("power", 1e-3, 0.99, ("static",), "per chip, whatever it does"),
    "static_core": Quantity("power", 1e-5, 9.9e-3, ("static",), "per powered core, on top of the chip"),
    "static_clock": Quantity("power_per_frequency", 1e-13, 9.9e-11, ("static",), "per chip and clock frequency"),
    "idle_device": Quantity("power", 1.0, 990.0, ("static",), "of a whole device that waits"),
    "clock": Quantity("frequency", 1e7, 9.9e9, ("timing",), "of the operating point, of a clocked chip"),
    "synaptic_event_time": Quantity("time", 1e-10, 9.9e-8, ("timing",), "per synaptic event of one core"),
    "synaptic_event_sparse_time": Quantity("time", 1e-10, 9.9e-8, ("timing",), "the same in a sparse list"),
    "synaptic_event_shared_time": Quantity("time", 1e-10, 9.9e-8, ("timing",), "the same over shared weights"),
    "neuron_update_active_time": Quantity("time", 5e-10, 4.9e-7, ("timing",), "per active update of one core"),
    "neuron_update_idle_time": Quantity("time", 5e-10, 4.9e-7, ("timing",), "per idle update of one core"),
    "neuron_spike_time": Quantity("time", 5e-10, 4.9e-7, ("timing",), "per spike emitted by one core"),
    "message_time": Quantity("time", 5e-10, 4.9e-7, ("timing",), "per spike message that reaches a core"),
    "barrier_time": Quantity("time", 2e-8, 1.9e-5, ("timing",), "per step, to keep the cores together"),
    "step_time": Quantity("time", 1.1e-6, 1.05e-3, ("timing",), "of one whole step, seen from outside"),
    "step_deadline": Quantity("time", 5e-5, 4.9e-2, ("timing",), "within which every core must end a step"),
    "inference_time": Quantity("time", 1e-6, 9.9e-4, ("timing",), "of one inference, seen from outside"),
    "peak_fp32": Quantity("operation_rate", 5e12, 4.9e15, ("timing",), "FP32 operations a second at most"),
    "peak_fp16": Quantity("operation_rate", 5e12, 4.9e15, ("timing",), "FP16 or BF16 operations a second at most"),
    "peak_int8": Quantity("operation_rate", 5e12, 4.9e15, ("timing",), "INT8 operations a second at most"),
    "launch_time": Quantity("time", 5e-5, 4.9e-2, ("timing",), "per inference, before any layer"),
    "layer_time": Quantity("time", 5e-6, 4.9e-3, ("timing",), "least time of a layer at batch 1"),
    "bandwidth": Quantity("bandwidth", 2e10, 1.9e13, ("timing",), "peak of the main memory"),
    "bandwidth_share": Quantity("fraction", 0.01, 1.0, ("timing",), "of the peak that is reached"),
    "energy_error": Quantity("fraction", 1e-2, 1.0, ("validation",), "claimed error of the energies"),
    "latency_error": Quantity("fraction", 1e-2, 1.0, ("validation",), "claimed error of the times"),
}

CAPACITY: dict[str, Quantity] = {
    "cores": Quantity("count", 1, 1e5, ("capacity",), "cores of one chip"),
    "neurons_per_core": Quantity("count", 1, 1e6, ("capacity",), "neurons of one core"),
    "synapse_memory": Quantity("bits", 1024, 1e10, ("capacity",), "memory of one core for synapses"),
    "core_memory": Quantity("bits", 1024, 1e10, ("capacity",), "memory of one core for everything"),
    "input_axons": Quantity("count", 1, 1e6, ("capacity",), "input lists of one core"),
    "output_axons": Quantity("count", 1, 1e6, ("capacity",), "core-to-core edges out of one core"),
    "weight_bits": Quantity("bits", 1, 64, ("capacity",), "of one stored weight"),
    "state_bits": Quantity("bits", 1, 32768, ("capacity",), "of one neuron's state"),
    "fan_in": Quantity("count", 1, 1e7, ("capacity",), "synapses into one neuron"),
    "index_bits": Quantity("bits", 1, 64, ("capacity",), "of the target stored beside a sparse weight"),
    "delay_bits": Quantity("bits", 0, 64, ("capacity",), "of the delay stored beside a weight"),
    "list_header_bits": Quantity("bits", 1, 1024, ("capacity",), "of one input list, besides its synapses"),
    "list_synapses": Quantity("count", 1, 1e6, ("capacity",), "synapses of one input list at most"),
    "word_bits": Quantity("bits", 1, 4096, ("capacity",), "to which an input list is rounded up"),
    "message_bits": Quantity("bits", 1, 64, ("capacity",), "of the value that one spike message carries"),
    "layers": Quantity("count", 1, 1e4, ("capacity",), "layers of one chip, one a core"),
    "membrane_steps": Quantity("count", 1, 1e6, ("capacity",), "steps over which a membrane is kept"),
    "cores_per_tile": Quantity("count", 1, 1e3, ("capacity",), "cores that share a router"),
    "mesh_columns": Quantity("count", 1, 1000, ("capacity",), "tiles of the mesh, east-west"),
    "mesh_rows": Quantity("count", 1, 1000, ("capacity",), "tiles of the mesh, north-south"),
}

COUNTS: dict[str, str] = {
    "steps": "time steps of one inference",
    "neurons": "mapped neurons",
    "synapses": "stored synapses, once per deployment",
    "synops": "synaptic events over non-zero weights",
    "injected_spikes": "spikes from the host into the first layer",
    "host_lookups": "table rows that the host's encoder adds",
    "inferences": "inferences, one after the other; for devices and conventions",
    "attention": "synaptic operations of attention, activation by activation",
    "messages_between_chips": "spike messages, at most, where several chips are needed",
}
