"""What the simulator's benchmarks build, count and judge, against plain integers and arithmetic by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import simulator_floor, simulator_growth, simulator_lava, simulator_peers
from benchmarks.exact_products import DTYPES, FLOAT32, INT8, Products, Work, arms_of, pass_seconds, try_dtypes
from benchmarks.graph_strategy import example_of
from benchmarks.one_reader import LOGITS, Arrays, chunks, write_chunk
from benchmarks.simulator_peer import checked, largest_batch
from benchmarks.simulator_tables import filled
from benchmarks.stopwatch import COPY_BYTES, forget_peak, in_turn, peak_bytes, verdict
from benchmarks.untrained_graphs import config_of, fitted, untrained
from exporters.nir.graph import TokenLinear
from exporters.nir.write import write_graph
from tests.exporters.onnx.integers import expected, lif
from toolkit.backends.snntorch_reader import spiking_modules

FACTS = {
    "form": "sdsa", "tokens": 3, "width": 2, "heads": 1, "labels": 2, "blocks": 1, "window": 2, "threshold": 1,
    "span": (2, 20), "bias": 500, "steps": 2, "samples": 4, "holes": False, "seed": 3,
}  # fmt: skip


def test_arms_take_turns_and_the_warm_up_does_not_count() -> None:
    said: list[str] = []
    clocks = {"a": iter([9.0, 1.0, 2.0]), "b": iter([8.0, 3.0, 4.0])}

    def clock(name: str) -> float:
        said.append(name)
        return next(clocks[name])

    assert in_turn({name: partial(clock, name) for name in clocks}, rounds=2) == {"a": [1, 2], "b": [3, 4]}
    assert "".join(said) == "ababab"


def test_the_peak_is_that_of_what_was_held_since_it_was_forgotten() -> None:
    forget_peak()
    before = peak_bytes()
    held = np.ones(2**26, np.uint8)
    del held
    assert peak_bytes() - before > 2**26 - 2**22
    forget_peak()
    assert peak_bytes() < before + 2**25


@pytest.mark.parametrize(("attention", "share"), [("ssa", 0.375), ("sdsa", 0.06)])
def test_an_untrained_student_fires_as_wanted_on_other_inputs(attention: Any, share: float) -> None:
    student = untrained("2x64", attention, tokens=64, fit_rows=512)
    inputs = student.spikes(6, seed=5)
    assert inputs.shape == (6, 4, 65, 64) and inputs[:, :, -1].all()
    _, layers = expected(student.graph, inputs)
    for name, spikes in layers.items():
        if name == "valid":
            continue
        wanted, tolerance = (share, 0.12 if attention == "ssa" else 0.03) if "attention" in name else (0.15, 0.03)
        assert spikes.mean() == pytest.approx(wanted, abs=tolerance), name


def test_every_current_of_an_untrained_student_is_proved_to_stay_in_range() -> None:
    """Positive and negative weights apart, times the largest message: 16,384 for even currents at T = 4."""
    graph = untrained("2x64", "sdsa", tokens=8, density=0.5, fit_rows=64).graph
    layers = {n.split("_", 1)[1]: node.weight for n, node in graph.nodes.items() if isinstance(node, TokenLinear)}
    names = [name.removesuffix(".weight") for name in layers if name.endswith(".weight") and "readout" not in name]
    messages = {"q": 1, "k": 1, "v": 1, "o": 1, "fc1": 2, "fc2": 1}
    assert len(names) == 12
    for name in names:
        block, kind = name.split(".")
        message = messages[kind] + (2 * int(block[-1]) if kind in "qkv" or kind == "fc1" else 0)
        bias, weight = layers[f"{name}.bias"].sum(axis=1), layers[f"{name}.weight"]
        high = weight.clip(min=0).sum(axis=1) * message + bias.clip(min=0)
        low = weight.clip(max=0).sum(axis=1) * message + bias.clip(max=0)
        assert max(high.max(), -low.min()) <= 16384
        assert not np.any(weight % 2) and weight.min() >= -256 and weight.max() <= 254


@pytest.mark.parametrize("density", [0.05, 0.15, 0.5])
def test_a_threshold_gives_the_density(density: float) -> None:
    current = 2 * np.rint(100 * np.random.default_rng(0).standard_normal((4, 50, 40)))
    theta, shift = fitted(torch.from_numpy(current).float(), density)
    spikes = lif((current + shift).astype(np.int64).transpose(1, 0, 2)[:, :, :, None], theta)
    assert spikes.mean() == pytest.approx(density, abs=0.01)
    assert (shift > 0) == (density == 0.5)  # no positive threshold makes half of symmetric currents fire


def test_the_work_of_a_batch_by_hand() -> None:
    graph = untrained("2x64", "ssa", tokens=8, fit_rows=64).graph
    work = Work.of(graph, samples=3, steps=4)
    assert work.rows == 3 * 4 * 8
    assert work.macs == 96 * (2 * (4 * 64 * 64 + 2 * 64 * 256) + 64 * 2)
    # code, then q, k, v, attention, o, fc2 of 64 and fc1 of 256, two blocks
    assert work.neurons == 96 * (64 + 2 * (6 * 64 + 256))
    # two blocks, 12 samples and steps, 2 heads of 32: K^T V and Q (K^T V), 8 * 32 * 32 each
    assert work.attention_macs == 2 * 12 * 2 * 2 * 8 * 32 * 32
    assert work.bytes_moved(1, 4) == (
        2 * (4 * (96 * 64 + 64 * 64 + 4 * 96 * 64)) + 2 * (96 * 64 + 64 * 256 + 4 * 96 * 256)
        + 2 * (96 * 256 + 256 * 64 + 4 * 96 * 64) + (96 * 64 + 64 * 2 + 4 * 96 * 2)
    )  # fmt: skip


def test_products_are_exact_and_what_is_not_is_not_offered() -> None:
    work = Work(300, ((96, 40),), (), 1)
    products = Products(work)
    for dtype in try_dtypes(work, rounds=1)[96, 40]:
        got = products.one((96, 40), dtype).numpy().astype(np.int64)
        x = products.buffers["x", 96, torch.int8 if dtype == INT8 else torch.float32].numpy().astype(np.int64)
        w = products.buffers["w", (96, 40)].numpy().astype(np.int64)
        np.testing.assert_array_equal(got, (1 if dtype == INT8 else 2) * (x @ w))
    assert FLOAT32 in try_dtypes(work, rounds=1)[96, 40] and FLOAT32 in DTYPES


def test_attention_products_are_both_of_every_head() -> None:
    products = Products(Work(2 * 6, (), ((3, 6, 5),), 1))
    products.attention()
    x, summary, sums = products._heads(6, 6, 5)
    np.testing.assert_array_equal(summary.numpy(), np.einsum("gnd,gne->gde", x.numpy(), x.numpy()))
    np.testing.assert_array_equal(sums.numpy(), np.einsum("gnd,gde->gne", x.numpy(), summary.numpy()))


def test_a_pass_is_scaled_from_its_copy() -> None:
    small, large = Work(1, (), (), 1000), Work(1, (), (), COPY_BYTES)
    assert pass_seconds(small, "copy float32", 2.0) == (2.0, 2 * 4000 / 2.0)
    assert pass_seconds(large, "copy float32", 2.0) == (8.0, 2 * COPY_BYTES / 2.0)
    assert pass_seconds(large, "copy uint8", 2.0) == (2.0, 2 * COPY_BYTES / 2.0)
    assert set(arms_of(small, {})) == {"linear products", "copy float32", "copy uint8"}


def test_a_batch_is_halved_until_it_fits() -> None:
    def run(fits: int, error: Exception) -> Any:
        def call(chunk: Arrays, wanted: list[str]) -> Mapping[str, Any]:
            if len(chunk["inputs"]) > fits:
                raise error
            return {LOGITS: chunk["inputs"]}

        return call

    inputs = np.zeros((40, 1), bool)
    assert largest_batch(run(40, MemoryError()), inputs) == 40
    assert largest_batch(run(12, RuntimeError("DefaultCPUAllocator: can't allocate memory: you")), inputs) == 10
    with pytest.raises(MemoryError, match="--memory"):
        largest_batch(run(0, MemoryError()), inputs)
    with pytest.raises(RuntimeError, match="another"):
        largest_batch(run(12, RuntimeError("another fault")), inputs)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A file and one chunk of four sentences, which holds what plain integers give."""
    drawn = example_of(**FACTS)
    logits, layers = expected(drawn.graph, drawn.inputs)
    spikes = {f"spikes/{module}": layers[layer] for module, layer in spiking_modules(drawn.graph).items()}
    write_graph(drawn.graph, tmp_path / "tiny.nir")
    write_chunk(tmp_path / "tiny.nir", 0, drawn.inputs, {LOGITS: logits, **spikes})
    return tmp_path / "tiny.nir"


def test_a_check_in_parts_sees_one_flipped_spike(case: Path) -> None:
    (chunk,) = chunks(case)
    total = sum(value.size for name, value in chunk.items() if name != "inputs")
    told = {name.removeprefix("spikes/"): value.copy() for name, value in chunk.items()}
    places = {value.tobytes(): i for i, value in enumerate(chunk["inputs"])}
    assert len(places) == 4

    def run(part: Arrays, wanted: list[str]) -> Arrays:
        which = [places[value.tobytes()] for value in part["inputs"]]
        return {name: told[name][which] for name in wanted}

    assert checked(run, chunk, batch=3) == {"compared": total, "mismatches": 0}
    told["n004_code"][3, 1, 0, 2] ^= True
    assert checked(run, chunk, batch=3) == {"compared": total, "mismatches": 1}


def test_a_peer_in_its_own_process_is_checked_and_timed(case: Path) -> None:
    """snnTorch, from this environment."""
    with simulator_peers.peer(Path(sys.executable), "snntorch", case, 1, 5) as (facts, tell):
        assert facts["batch"] == 4 and facts["load_seconds"] > 0
        answer = tell("check")
        assert answer["mismatches"] == 0 and answer["compared"] > 100
        assert 0 < tell("time")["seconds"] < 60


def test_the_fastest_peer_decides_and_a_wrong_one_fails() -> None:
    ours: list[dict[str, Any]] = [{"batch": 64, "seconds": 2.0}, {"batch": 16, "seconds": 1.0}]
    rows: list[dict[str, Any]] = [
        {"case": "c", "simulator": "a", "batch": 64, "seconds": 12.0, "compared": 9, "mismatches": 0},
        {"case": "c", "simulator": "b", "batch": 16, "seconds": 5.5, "compared": 9, "mismatches": 0},
        {"case": "c", "simulator": "d", "error": "KeyError"},
    ]
    peers = simulator_peers.with_ratios(rows, ours)
    assert [row.get("ratio") for row in peers] == [6.0, 5.5, None]
    met, lines = simulator_peers.judged(peers)
    assert met and "b, batch 16): 5.5 of at least 5: met" in lines[-1]
    peers[1]["ratio"] = 4.9
    assert not simulator_peers.judged(peers)[0]
    peers[1] |= {"ratio": 5.5, "mismatches": 1}
    assert not simulator_peers.judged(peers)[0]
    assert not simulator_peers.judged([rows[2]])[0]


def test_growth_is_a_doubling_over_two() -> None:
    assert simulator_growth.growths([1, 2, 6, 6]) == [1, 1.5, 0.5]
    assert simulator_growth.growths([1, 2, 6, 6], floor=2) == [1.5, 0.5]
    rows: list[dict[str, Any]] = [{"batch": 2**i, "seconds": 1.0 + 2**i, "bytes": 0} for i in range(7)]
    part: dict[str, Any] = {"axis": "batch", "attention": "ssa", "arithmetic": "loihi2", "rows": rows}
    part["growth"] = simulator_growth.summary(rows)
    assert part["growth"]["seconds"]["last"] == pytest.approx(65 / 33 / 2)
    assert simulator_growth.judged([part])[0]
    rows[-1]["seconds"] = 100.0
    part["growth"] = simulator_growth.summary(rows)
    assert not simulator_growth.judged([part])[0]  # 100 / 33 / 2 = 1.5
    assert simulator_growth.judged([part | {"rows": rows[:-1]}]) == (True, [])  # not the whole range: no limit


def test_sentences_are_filled_by_their_own_tokens() -> None:
    inputs = np.zeros((1, 2, 3, 5), bool)
    inputs[0, :, -1, :2] = True
    inputs[0, 1, 0, 1] = True
    full = simulator_lava.filled(inputs)
    assert full[0, :, -1].all()
    assert full[0, 1, 0].tolist() == [False, True, False, True, False]


def test_a_verdict_says_which_side_of_the_limit() -> None:
    assert verdict("x", 1.3, 1.3, at_most=True) == (True, "x: 1.3 of at most 1.3: met")
    assert verdict("x", 4.99, 5, at_most=False) == (False, "x: 4.99 of at least 5: MISSED")
    assert config_of("12x768", "ssa", 128).heads == 24


def test_a_page_gets_the_tables_of_which_there_are_results() -> None:
    page = "a\n<!-- growth -->\nold\n<!-- end -->\nb\n<!-- floor -->\nkept\n<!-- end -->\n"
    rows = [{"steps": 1, "seconds": 0.001, "bytes": 2e6}, {"steps": 64, "seconds": 0.0642, "bytes": 9e7}]
    part: dict[str, Any] = {"axis": "steps", "attention": "ssa", "arithmetic": "real", "rows": rows}
    part["growth"] = {"seconds": {"growth": 1.04567}, "bytes": {"growth": None}}
    once = filled(page, {"simulator-growth": {"parts": [part]}})
    assert "| steps | ssa | real | 1 to 64 | 1 to 64.2 | 1.05 | 2 to 90 | too little to tell |" in once
    assert "old" not in once and once.endswith("b\n<!-- floor -->\nkept\n<!-- end -->\n") and once.startswith("a\n<!--")
    assert filled(once, {"simulator-growth": {"parts": [part]}}) == once


def test_rows_that_are_not_measured_again_are_kept(tmp_path: Path) -> None:
    def row(size: str, tokens: int, ratio: float) -> dict[str, object]:
        return {"size": size, "attention": "ssa", "tokens": tokens, "density": 0.15, "ratio": ratio}

    path = tmp_path / "floor.json"
    earlier = {"limit": [row("2x128", 32, 1.0), row("12x768", 32, 2.0)], "memory": [{**row("12x768", 128, 0)}]}
    path.write_text(json.dumps(earlier), encoding="utf-8")
    found = simulator_floor.with_kept(path, {"limit": [row("6x384", 32, 3.0), row("2x128", 32, 4.0)]})
    assert [(r["size"], r["ratio"]) for r in found["limit"]] == [("2x128", 4.0), ("6x384", 3.0), ("12x768", 2.0)]
    assert found["memory"] == earlier["memory"]
    assert simulator_floor.with_kept(tmp_path / "none.json", {}) == {}
