"""What an estimate on a profile will lack: the terms of a total for which it has no figure."""

from __future__ import annotations

from hw_profiles.schema import Profile

# Each term with the quantities of which any one prices it, by model; several alternatives are separate names.
_SPIKING = {
    "synapse": ("synaptic_event", "network_step", "running_chip"),
    "neuron": ("neuron_update_active", "network_step", "running_chip"),
    "routing": ("message", "hop_horizontal", "network_step", "running_chip"),
    "static": ("static_chip", "static_core", "static_clock", "running_chip"),
    "time": ("synaptic_event_time", "neuron_update_active_time", "step_time", "inference_time"),
    "links between chips": ("link_message",),
    "host input": ("host_spike",),
    "placement": ("cores",),
}
_DEVICE = {
    "arithmetic": ("flop", "flop_fp32", "flop_int8", "mac_device"),
    "memory": ("byte_weight", "dram_byte"),
    "static": ("idle_device",),
    "time": ("layer_time", "bandwidth", "peak_fp32", "peak_int8"),
}
_CONVENTION = {"multiply-accumulates": ("mac",), "additions": ("accumulate",), "memory": ("sram_byte", "dram_byte")}
_TERMS = {"spiking": _SPIKING, "gpu": _DEVICE, "cpu": _DEVICE, "literature": _CONVENTION}


def lacking(profile: Profile) -> list[str]:
    """Terms without a figure in this profile, contained in no other figure, in the order of a breakdown."""
    known = {**profile.constants, **profile.capacity}
    covered = {term for constant in profile.constants.values() for term in constant.covers}
    return [
        term
        for term, quantities in _TERMS[profile.model].items()
        if term not in covered and not any(name in known for name in quantities)
    ]


def one_sided(profile: Profile) -> list[str]:
    """Constants that miss a side, so that an estimate that uses them has a bound only."""
    return [name for name, constant in profile.constants.items() if not constant.value.complete]
