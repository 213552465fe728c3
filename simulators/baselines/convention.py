"""Networks by an operation-count convention: multiply-accumulates and additions at 45 nm, nothing else."""

from __future__ import annotations

from hw_profiles import Interval, load_profile
from simulators.activity import Activity
from simulators.baselines.formula import literature_joules
from simulators.baselines.shape import AnnShape, Precision
from simulators.energy.estimate import EnergyEstimate, UnpricedTerm, grade_of
from simulators.layers import layers_of


def ann_at_45nm(shape: AnnShape, precision: Precision) -> EnergyEstimate:
    """An ANN by the 45 nm convention: multiply-accumulates times 4.6 pJ (FP32) or 0.23 pJ (INT8)."""
    return _convention(f"cmos45-{precision}", f"{shape.name}, {precision.upper()}", float(shape.macs), 0.0, None)


def spiking_literature(activity: Activity, analog_macs: float = 0.0) -> EnergyEstimate:
    """The spiking network by the literature's formula, 0.9 pJ per SOP and 4.6 pJ per MAC.

    Args:
        activity: counts of a run; attention's operations are SOPs here, as in the literature.
        analog_macs: multiply-accumulates per inference of layers whose input is not spikes. The
            deployable student has none on the chip; its encoder is table look-ups on the host.
    """
    return _convention("cmos45-fp32", "spiking network", analog_macs, activity.per_inference("synops"), activity)


def _convention(name: str, what: str, macs: float, accumulates: float, activity: Activity | None) -> EnergyEstimate:
    profile = load_profile(name)
    mac, accumulate = profile.require("mac"), profile.require("accumulate")
    joules = literature_joules(macs, accumulates, profile)
    missing = "memory, data movement, control, leakage, neurons and normalisation count as zero in the convention"
    return EnergyEstimate(
        profile=f"{name}: {what}",
        kind="literature",
        basis="literature",
        joules=joules,
        seconds=Interval(reason="an operation count has no time"),
        cores=None,
        chips=None,
        fits=None,
        breakdown={"mac": mac.value * macs, "accumulate": accumulate.value * accumulates},
        unpriced=(UnpricedTerm("everything but arithmetic", None, missing),),
        spikes_per_inference=activity.spikes_per_inference if activity else None,
        synops_per_inference=_events(activity)[0] if activity else None,
        grade=grade_of([mac, accumulate] if accumulates and macs else [mac if macs else accumulate]),
        note=f"{macs:.4g} MAC, {accumulates:.4g} AC. {profile.note}",
        dense_synops_per_inference=_events(activity)[1] if activity else None,
        priced=joules,
    )


def _events(activity: Activity) -> tuple[float, float]:
    """Synaptic events per inference without attention: over non-zero weights, and over all."""
    pairs = [(node.synops, layer.walked(node)) for layer in layers_of(activity) for node in layer.synapses]
    return sum(a for a, _ in pairs) / activity.samples, sum(b for _, b in pairs) / activity.samples
