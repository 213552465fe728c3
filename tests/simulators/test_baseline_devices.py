"""Dense networks on devices and conventions: full model, batches, bounds, and profiles that lack figures."""

from __future__ import annotations

import pytest

from hw_profiles import Profile, load_profile
from hw_profiles.load import parse_profile
from simulators.activity import Activity, NodeActivity
from simulators.baselines import AnnShape, ann_at_45nm, ann_on_gpu, compare_profiles, spiking_literature
from simulators.baselines.shape import Precision
from simulators.layers import EstimateError

SHAPE = AnnShape(layers=2, width=8, ffn=16, tokens=4, labels=2, heads=2, pooler=False)
MACS = 2 * (4 * 4 * 8 * 8 + 2 * 4 * 8 * 16 + 2 * 4 * 4 * 8) + 8 * 2
WEIGHTS = 2 * (4 * 8 * 8 + 2 * 8 * 16) + 8 * 2 + 2 * 4 * 8
PER_LAYER = (
    (3 * 2 + 2 + 2) * 4 * 8 + 2 * 4 * 16 + (2 + 2) * 4 * 8 + 4 * 2 * 4 * 4 + 4 * 4 * 8
)  # products, attention, norms
MOVED = 2 * PER_LAYER
BERT_BASE = AnnShape(layers=12, width=768, ffn=3072, tokens=128, labels=2, name="BERT base")


UNUSUAL = {"running_chip": 'unusual = { least = 10, most = 5000, reason = "a whole card" }\n'}


def profile(model: str, *constants: tuple[str, str, str, str], name: str = "test-device") -> Profile:
    """A profile of (quantity, sides, unit, kind)."""
    head = (
        f'schema = 1\nname = "{name}"\ntitle = "t"\nmodel = "{model}"\noperating_point = "o"\nnote = "n"\n'
        'attention = "dense"\nsynapse_format = "dense"\n'
    )
    tables = [
        f'[constants.{quantity}]\n{sides}\nunit = "{unit}"\nkind = "{kind}"\n'
        'grade = "S"\ncondition = "c"\nsource = "s"\nreason = "r"\n' + UNUSUAL.get(quantity, "")
        for quantity, sides, unit, kind in constants
    ]
    return parse_profile(head + "\n".join(tables), name)


def test_batched_shares_weights_idle_and_launch() -> None:
    """E = 116 W * t / B + 0.794 pJ * FLOP + 107 pJ * (weights / B + activations), by hand at B = 16."""
    one, many = ann_on_gpu(SHAPE, "int8"), ann_on_gpu(SHAPE, "int8", batch=16)
    seconds = (2.15e-3 + 2 * 110e-6) / 16
    joules = 116 * seconds + 2 * MACS * 0.794e-12 + 107e-12 * (WEIGHTS / 16 + MOVED)
    assert many.seconds.nominal == pytest.approx(seconds)
    assert many.joules.nominal == pytest.approx(joules)
    assert one.joules.nominal == pytest.approx(116 * seconds * 16 + 2 * MACS * 0.794e-12 + 107e-12 * (WEIGHTS + MOVED))
    assert "batch 16" in many.basis and "batch 16" in many.profile


def test_large_batches_stream_activations_and_cannot_beat_the_bandwidth() -> None:
    result = ann_on_gpu(BERT_BASE, "fp32", batch=4096)
    moved = (BERT_BASE.weights / 4096 + BERT_BASE.activations) * 4
    computing = 2 * BERT_BASE.macs / 66.91e12  # the peak of FP32, which comes first here
    assert result.seconds.low == pytest.approx(max(moved / (0.73 * 4.8e12), computing), rel=2e-3)


@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("fp16", 2), ("int8", 1)])
def test_bytes_by_precision(precision: str, size: int) -> None:
    result = ann_on_gpu(SHAPE, precision)  # type: ignore[arg-type]
    assert result.breakdown["memory"].nominal == pytest.approx(107e-12 * size * (WEIGHTS + MOVED))


def test_tdp_over_peak_is_a_lower_bound() -> None:
    """400 W / 312 TFLOPS = 1.282 pJ per FP16 operation; nothing else is known."""
    bound = profile(
        "gpu", ("running_chip", "high = 400", "W", "all_in"), ("peak_fp16", "value = 312", "TFLOPS", "timing")
    )
    result = ann_on_gpu(SHAPE, "fp16", bound)
    assert result.joules.low == pytest.approx(2 * MACS * 400 / 312e12)
    assert (result.joules.nominal, result.joules.high) == (None, None)
    assert result.joules.reason and "lower bound" in result.basis
    assert result.seconds.low == pytest.approx(2 * MACS / 312e12)
    unknown = ann_on_gpu(SHAPE, "int8", bound)
    assert not unknown.joules.known and "whole device" in {term.term for term in unknown.unpriced}


def test_low_only_figures_per_operation() -> None:
    """A bound at 16 bits bounds FP32 from below and says nothing about INT8."""
    bound = profile("gpu", ("flop", "low = 1.28", "pJ", "marginal"))
    precisions: tuple[Precision, ...] = ("fp16", "fp32")
    for precision in precisions:
        result = ann_on_gpu(SHAPE, precision, bound)
        assert result.joules.low == pytest.approx(2 * MACS * 1.28e-12)
        assert (result.joules.nominal, result.joules.high) == (None, None)
        assert {"static", "memory"} <= {term.term for term in result.unpriced}
    int8 = ann_on_gpu(SHAPE, "int8", bound)
    assert not int8.joules.known and "arithmetic" in {term.term for term in int8.unpriced}


def test_whole_device_figure_of_a_cpu() -> None:
    """8.6 nJ per multiply-accumulate, all-in: nothing is added to it, and INT8 is not covered."""
    cpu = profile("gpu", ("mac_device", "value = 8.6", "nJ", "all_in"), ("idle_device", "value = 30", "W", "static"))
    result = ann_on_gpu(SHAPE, "fp32", cpu)
    assert result.joules.nominal == pytest.approx(MACS * 8.6e-9)
    assert set(result.breakdown) == {"whole device"} and "all_in" in result.basis
    assert not ann_on_gpu(SHAPE, "int8", cpu).joules.known


def test_memory_inclusive_convention() -> None:
    """Weights once from off-chip memory, activations in on-chip memory."""
    wide = profile(
        "literature",
        ("mac", "value = 4.6", "pJ", "literature"),
        ("accumulate", "value = 0.9", "pJ", "literature"),
        ("sram_byte", "value = 2.5", "pJ/byte", "literature"),
        ("dram_byte", "value = 200", "pJ/byte", "literature"),
    )
    result = ann_at_45nm(SHAPE, "fp32", wide)
    assert result.breakdown["memory"].nominal == pytest.approx(4 * (WEIGHTS * 200e-12 + MOVED * 2.5e-12))
    assert result.joules.nominal == pytest.approx(MACS * 4.6e-12 + 4 * (WEIGHTS * 200e-12 + MOVED * 2.5e-12))
    assert "memory" not in {term.term for term in result.unpriced}
    run = Activity(2, 4, 1, (NodeActivity("a.weight", "synapse", synops=100, dense_macs=800, bytes=100),))
    spiking = spiking_literature(run, profile=wide)
    assert spiking.joules.nominal == pytest.approx(50 * 0.9e-12 + 50 * 2.5e-12)


def test_any_list_of_profiles_is_a_table_never_a_crash() -> None:
    weight = NodeActivity("a.weight", "synapse", weights=64, synapses=256, synops=90, dense_macs=1024)
    neuron = NodeActivity("a", "neuron", 32, spikes=11, updates_active=40, updates_idle=88)
    activity = Activity(1, 4, 4, (weight, neuron))
    bare = [
        profile("gpu", name="bare-gpu"),
        profile("literature", name="bare-lit"),
        profile("spiking", name="bare-chip"),
    ]
    results = compare_profiles(activity, SHAPE, BERT_BASE, ["cmos45-int8", *bare, "h200", "loihi1"], batches=(1, 32))
    rows = {result.profile.split(":")[0] for result in results}
    assert rows == {"cmos45-int8", "bare-gpu", "bare-lit", "bare-chip", "h200", "loihi1"}
    for result in results:
        if result.profile.startswith("bare"):
            assert not result.joules.known and result.joules.reason and result.unpriced
    assert len([result for result in results if result.profile.startswith("h200")]) == 7 * 2


def test_refusals() -> None:
    with pytest.raises(EstimateError, match="batch 0"):
        ann_on_gpu(SHAPE, "fp32", batch=0)
    with pytest.raises(EstimateError, match="needed literature"):
        ann_at_45nm(SHAPE, "fp32", load_profile("h200"))
