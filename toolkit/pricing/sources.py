"""Which figures of a profile stand behind a term, under keys that a table can hold: ``loihi1:synaptic_event``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw_profiles import Profile

TERMS = {
    "synapse": ("synaptic_event", "synaptic_event_sparse", "synaptic_event_shared", "network_step"),
    "neuron": ("neuron_update_active", "neuron_update_idle", "neuron_spike"),
    "routing": ("message", "hop_horizontal", "hop_vertical", "link_message"),
    "static": ("static_chip", "static_core", "static_clock", "running_chip", "idle_device"),
    "host_io": ("host_spike",),
    "memory": ("byte_weight", "byte_activation", "sram_byte", "dram_byte"),
    "arithmetic": ("flop", "flop_fp32", "flop_int8"),
    "whole device": ("mac_device", "peak_fp32", "peak_fp16", "peak_int8"),
    "mac": ("mac",),
    "accumulate": ("accumulate",),
}
_TERM_OF = {quantity: term for term, quantities in TERMS.items() for quantity in quantities}


def sources_of(profiles: Sequence[Profile]) -> dict[str, dict[str, Any]]:
    """Every figure that prices something in joules or seconds, SI units, by its key."""
    return {
        f"{profile.name}:{name}": {
            "profile": profile.name,
            "quantity": name,
            "term": _term_of(profile, name),
            "unit": constant.unit,
            "si": constant.value.to_dict(),
            "kind": constant.kind,
            "inferred": constant.inferred,
            "grade": constant.grade,
            "condition": constant.condition,
            "source": constant.source,
        }
        for profile in profiles
        for name, constant in profile.constants.items()
    }


def _term_of(profile: Profile, name: str) -> str | None:
    """The term of a figure; on a device a figure of the whole of it supersedes every other, see `on_device`."""
    whole = name == "running_chip" or (name.startswith("flop") and profile.constants[name].kind == "all_in")
    return "whole device" if whole and profile.model != "spiking" else _TERM_OF.get(name)


def keys_of(entry: dict[str, Any], term: str, sources: dict[str, dict[str, Any]]) -> list[str]:
    """Keys of the figures behind one term of an estimate; where it names constants of the term, those alone.

    A term that stands apart from the total moves nothing, so that no constant of it is named.
    """
    device, _, what = entry["profile"].partition(": ")
    named = {name for i in entry.get("sensitivity", []) for name in i["constant"].split(" and ")}
    keys = [
        key
        for key, source in sources.items()
        if source["profile"] == device
        and source["term"] == term
        and not _of_another_precision(source["quantity"], what, sources, device)
    ]
    return [key for key in keys if sources[key]["quantity"] in named] or keys


def _of_another_precision(quantity: str, what: str, sources: dict[str, dict[str, Any]], device: str) -> bool:
    """A device's FP32 figure beside an INT8 network, and the common figure where the network has one of its own."""
    if quantity.startswith("peak_"):
        return quantity.removeprefix("peak_").upper() not in what
    own = next((f"flop_{p}" for p in ("fp32", "int8") if p.upper() in what), "")
    if quantity.startswith("flop_"):
        return quantity != own
    return quantity == "flop" and f"{device}:{own}" in sources
