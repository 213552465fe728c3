"""The literature's formula and the ANN baselines against published totals."""

from __future__ import annotations

import pytest

from hw_profiles import load_profile
from simulators.activity import Activity, NodeActivity
from simulators.baselines import (
    AnnShape,
    ann_at_45nm,
    ann_on_gpu,
    compare_all,
    spiking_on_gpu,
)
from simulators.baselines.formula import literature_joules
from simulators.layers import EstimateError

BERT_BASE = AnnShape(layers=12, width=768, ffn=3072, tokens=128, labels=2, name="BERT base")


def test_bert_base_flops_from_its_shape() -> None:
    """SpikeBERT counts 22.23 GFLOP for BERT base: ours from the shape, at 128 tokens."""
    assert BERT_BASE.flops == pytest.approx(22.23e9, rel=0.01)
    assert BERT_BASE.weights == pytest.approx(85e6 + 0.8e6, rel=0.01)  # BERT base without its 23.8 M embeddings


def test_45nm_prices_multiply_accumulates_not_flops() -> None:
    shape = AnnShape(layers=1, width=2, ffn=3, tokens=5, labels=7, heads=1, pooler=False)
    macs = 4 * 5 * 2 * 2 + 2 * 5 * 2 * 3 + 2 * 5 * 5 * 2 + 2 * 7
    assert shape.macs == macs
    assert ann_at_45nm(shape, "fp32").joules.nominal == pytest.approx(macs * 4.6e-12)
    assert ann_at_45nm(shape, "int8").joules.nominal == pytest.approx(macs * 0.23e-12)


def test_a_convolution_before_the_encoder_adds_its_own_products_and_bytes() -> None:
    """Three 2 x 2 matrices at each of 5 tokens; its input is read and its output written."""
    plain, wide = (
        AnnShape(layers=1, width=2, ffn=3, tokens=5, labels=7, heads=1, pooler=False, window=w) for w in (1, 3)
    )
    assert wide.macs - plain.macs == 5 * 3 * 2 * 2
    assert wide.weights - plain.weights == 3 * 2 * 2
    assert wide.activations - plain.activations == 2 * 5 * 2


def test_spikingformer_dense_on_a_gpu_and_in_int8() -> None:
    """33.04 G dense operations: 52 mJ of arithmetic on an H200, 7.6 mJ as INT8 at 45 nm."""
    node = NodeActivity("all.weight", "synapse", dense_macs=33_040_000_000)
    activity = Activity(1, 4, 196, (node,))
    shape = AnnShape(8, 512, 2048, 196, 1000, heads=8)
    assert spiking_on_gpu(activity, shape).breakdown["arithmetic"].nominal == pytest.approx(52e-3, rel=0.02)
    int8 = literature_joules(33.04e9, 0.0, load_profile("cmos45-int8"))
    assert int8.nominal == pytest.approx(7.6e-3, rel=0.01)


def test_gpu_model_term_by_term() -> None:
    """E = 116 W * t + 0.794 pJ/FLOP + 107 pJ/byte, t = 2.15 ms + layers * max(110 us, bytes / 3.5 TB/s)."""
    result = ann_on_gpu(BERT_BASE, "int8")
    seconds = 2.15e-3 + 12 * 110e-6
    moved = BERT_BASE.weights + BERT_BASE.activations
    joules = 116 * seconds + 0.794e-12 * BERT_BASE.flops + 107e-12 * moved
    assert result.seconds.nominal == pytest.approx(seconds)
    assert result.joules.nominal == pytest.approx(joules)
    assert result.seconds.low == pytest.approx(12 * 110e-6)
    wide = AnnShape(layers=2, width=16384, ffn=65536, tokens=1, labels=2, heads=128)
    streamed = (wide.weights + wide.activations) * 4 / (0.73 * 4.8e12)
    assert ann_on_gpu(wide, "fp32").seconds.low == pytest.approx(streamed)


def test_idle_power_is_most_of_a_small_model_at_batch_one() -> None:
    result = ann_on_gpu(AnnShape(6, 384, 1536, 32, 2), "fp32")
    assert (result.breakdown["static"].nominal or 0) > 0.9 * (result.joules.nominal or 0)
    assert (result.breakdown["arithmetic"].high or 0) < 0.03 * (result.joules.high or 0)


def test_comparison_order_and_report_entries() -> None:
    weight = NodeActivity("a.weight", "synapse", weights=64, synapses=256, synops=90, dense_macs=1024)
    neuron = NodeActivity("a", "neuron", 32, spikes=11, updates_active=40, updates_idle=88)
    activity = Activity(1, 4, 4, (weight, neuron))
    results = compare_all(activity, AnnShape(1, 8, 8, 4, 2, heads=1), BERT_BASE)
    kinds = [result.kind for result in results]
    assert kinds == sorted(kinds, key=("chip", "device", "literature").index)
    assert [result.profile for result in results[:3]] == ["loihi1", "loihi1-sanafe", "loihi2"]
    assert len({result.profile for result in results}) == len(results)
    keys = {"profile", "basis", "joules", "seconds", "cores", "chips", "fits", "breakdown", "unpriced"}
    keys |= {"spikes_per_inference", "synops_per_inference", "grade", "note", "kind"}
    for result in results:
        entry = result.to_dict()
        assert keys <= set(entry)
        for interval in (entry["joules"], entry["seconds"], *entry["breakdown"].values()):  # type: ignore[attr-defined]
            assert set(interval) >= {"low", "nominal", "high"}
            known = [interval[side] for side in ("low", "nominal", "high") if interval[side] is not None]
            assert known == sorted(known)
            assert len(known) == 3 or interval["reason"]


def test_refusals() -> None:
    with pytest.raises(EstimateError, match="layers 0"):
        AnnShape(0, 8, 8, 4, 2)
    with pytest.raises(EstimateError, match="needed gpu"):
        ann_on_gpu(BERT_BASE, "fp32", "loihi1")
