"""One report written by hand: every kind of figure, gap and foreign text that the format allows."""

from __future__ import annotations

from typing import Any

import pytest

ATTACK = '<script>alert("x")</script> & "quoted" [red]loud[/red]'


def interval(low: float | None, nominal: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"low": low, "nominal": nominal, "high": high}


def equivalence(backend: str, version: str, mode: str, student: str, seconds: float) -> dict[str, Any]:
    names = ["encoder", "block0.q", "block0.k", "block0.v", "block0.attention", "block0.up", "block0.down"]
    layers = [{"name": name, "compared": 1_048_576, "mismatches": 0} for name in names]
    return {
        "backend": backend,
        "version": version,
        "mode": mode,
        "student": student,
        "samples": 64,
        "spikes_compared": 7 * 1_048_576,
        "spike_mismatches": 0,
        "logit_mismatches": 0,
        "layers": layers,
        "first_difference": None,
        "seconds": seconds,
    }


def estimate(profile: str, basis: str, joules: dict[str, Any], seconds: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = {
        "profile": profile,
        "basis": basis,
        "joules": joules,
        "seconds": seconds,
        "cores": None,
        "chips": None,
        "fits": None,
        "breakdown": {},
        "unpriced": [],
        "spikes_per_inference": 41_300.0,
        "synops_per_inference": 3.21e6,
        "grade": "Q",
        "note": None,
    }
    return entry | more


def ownership(backend: str, hits: int, p_value: float, verdict: str) -> dict[str, Any]:
    return {
        "backend": backend,
        "queries": 200,
        "hits": hits,
        "wesr": hits / 200,
        "null_rate": 0.47,
        "p_value": p_value,
        "verdict": verdict,
        "p0": 0.56,
        "key_level": {"keys": 2000, "passes": 0, "bound": 0.0015},
    }


def energy() -> list[dict[str, Any]]:
    barrier = {"term": "barrier", "count": 132.0, "reason": "no public energy of a chip-wide barrier"}
    host = {"term": "host_io", "count": 4.0, "reason": "x86 wake-up was measured on one board only"}
    return [
        estimate(
            "loihi1",
            "marginal",
            interval(7.6e-5),
            interval(None, None, 4.1e-3),
            cores=44,
            chips=1,
            fits=True,
            breakdown={"synapse": interval(7.5e-5), "neuron": interval(5.2e-7, 6.1e-7, 8.1e-7)},
            unpriced=[barrier, host],
            note="23.6 pJ per synaptic operation is published as a minimum: no upper figure exists.",
        ),
        estimate(
            "loihi1-sanafe",
            "marginal",
            interval(9.8e-5, 1.1e-4, 1.3e-4),
            interval(1.1e-3, 1.4e-3, 1.9e-3),
            cores=44,
            chips=1,
            fits=True,
            breakdown={"synapse": interval(9.1e-5, 1e-4, 1.1e-4), "routing": interval(7e-6, 1e-5, 2e-5)},
            unpriced=[barrier, host],
            grade="P",
        ),
        estimate(
            "loihi2",
            "all_in",
            interval(9.9e-5, None, 1.9e-4),
            interval(None),
            cores=12,
            chips=1,
            fits=True,
            unpriced=[host],
            breakdown={"synapse": interval(9.9e-5, None, 1.9e-4) | {"reason": "two recordings, no centre"}},
            priced=interval(9.9e-5, None, 1.9e-4),
            apart={"static": interval(2.4e-6, None, 4.8e-6)},
            grade="inferred",
            note="All-in range inferred from one published workload.",
        ),
        estimate(
            "speck",
            "marginal",
            interval(None),
            interval(None),
            fits=False,
            placement={"advice": "16 cores of 9, bound by cores"},
            note="Speck publishes no energy per operation; nine convolution cores hold no transformer.",
        ),
        estimate(
            "H200, FP32 BERT",
            "device",
            interval(0.21, 0.26, 0.31),
            interval(2.1e-3, 2.3e-3, 2.6e-3),
            spikes_per_inference=None,
            synops_per_inference=None,
            grade="S",
        ),
        estimate("45 nm, 0.9 pJ per SynOp", "literature", interval(2.9e-6, 2.9e-6, 2.9e-6), interval(None)),
        estimate("45 nm, FP32 BERT at 4.6 pJ", "literature", interval(5e-3, 5e-3, 5e-3), interval(None)),
    ]


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "schema": "spikeport.report/1",
        "task": {
            "name": "SST-2",
            "split": "validation",
            "examples": 872,
            "accuracy": {"teacher": 0.9174, "student": 0.8234, "integer": 0.8188, "lava": 0.8125},
            "baselines": {"naive_bayes": 0.7936},
            "largest_class": 0.5092,
            "examples_by_form": {"lava": 64},
        },
        "equivalence": [
            equivalence("torch", "2.13.0", "deployed form", "ssa", 1.9),
            equivalence("onnxruntime", "1.23.0", "float32", "ssa", 3.4),
            equivalence("snntorch", "1.0.0", "unmodified", "sdsa", 12.5),
            equivalence("lava", "0.10.0", "fixed_pt", "sdsa", 754.2),
        ],
        "energy": energy(),
        "watermark": {
            "commitment": "b4c1f6d07b0c4c1e98a1e0a5de1a4df0c09f1b2f5c2bd9e1a1d4f1ac9f30be77",
            "backends": [
                ownership("simulator", 193, 3.1e-37, "proven (demo key, proves nothing)"),
                ownership("lava", 191, 8.8e-36, "proven (demo key, proves nothing)"),
            ],
            "controls": [ownership("clean student, seed 7", 101, 0.93, "not proven (demo key, proves nothing)")],
        },
        "environment": {
            "versions": {"spikeport": "0.1.0", "torch": "2.13.0", "nir": "1.0.8", "lava-nc": "0.10.0"},
            "device": "CPU, 2 cores",
            "seed": [0, 1, 2],
            "git_revision": "0f3c2a9",
            "seconds": {"distil": 1312.4, "lower": 2.31, "verify": 771.8, "energy": 0.084},
        },
        "left_out": [
            {
                "what": "SpikingJelly reader",
                "why": "spikingjelly is not installed",
                "next_step": "pip install spikingjelly",
            }
        ],
        "sentences": [
            {
                "text": "a gorgeous, witty, seductive movie .",
                "label": "positive",
                "predicted": "positive",
                "probabilities": {"negative": 0.08, "positive": 0.92},
            },
            {"text": ATTACK, "label": None, "predicted": 0, "probabilities": [0.61, 0.39]},
        ],
        "activity": [
            {"name": "encoder", "firing_rate": 0.112, "synops": 4.2e5, "neurons": 4096},
            {"name": "block0.q", "firing_rate": 0.056, "synops": 1.3e5, "neurons": 4096},
            {"name": "block0.k", "firing_rate": 0.0312, "synops": 1.1e5, "neurons": 4096},
            {"name": "block0.v", "firing_rate": 0.071, "synops": 9.8e4, "neurons": 4096},
            {"name": "block0.attention", "firing_rate": 0.028, "synops": None, "neurons": 4096},
            {"name": "block0.up", "firing_rate": 0.014, "synops": 5.2e5, "neurons": 16384},
            {"name": "block0.down", "firing_rate": 0.09, "synops": 7.7e4, "neurons": 4096},
            {"name": "readout", "firing_rate": None, "synops": 812.0, "neurons": 0},
        ],
    }
