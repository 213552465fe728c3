"""Exact products: each candidate at the extremes of its proof against int64 numpy, and the proof's limits by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simulators import products
from simulators.products import Bounds, Matrix, agrees, choose, fastest, is_exact, reduced_precision, runs

CPU = torch.device("cpu")
ON_CPU = ("float32", "float32 medium", "int8")  # plain bfloat16 rounds its sums on a CPU
EVEN = (-256.0, 254.0)


def extremes(rows: int, inputs: int, outputs: int, values: list[int], seed: int) -> NDArray[np.int64]:
    """Rows of one value each, then rows of mixed ones."""
    mixed = np.random.default_rng(seed).choice(values, size=(rows, inputs if outputs == 0 else outputs))
    mixed[: len(values)] = np.array(values)[:, None]
    return mixed


@pytest.mark.parametrize(
    ("candidate", "messages", "weights", "even"),
    [
        ("float32", [0, 1, 255, 500], [-256, 254, 1, -1], False),
        ("float32", [0, 1, 31, 33], [-2000, 1999, 513], False),
        ("float32 medium", [0, 1, 255, 256, -256], [-256, 255, 1, 253], False),
        ("float32 medium", [0, 1, 127, 256], [-512, 510, 2, -382], True),
        ("int8", [0, 1, 127, -128], [-256, 254, 2, -2], True),
        ("int8", [0, 1, 127, -128], [-128, 127, 1, -1], False),
    ],
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (40, 15, 9), (17, 126, 64), (33, 121, 65)])
def test_a_candidate_is_exact_at_the_extremes_of_its_proof(
    candidate: str, messages: list[int], weights: list[int], even: bool, shape: tuple[int, int, int]
) -> None:
    rows, inputs, outputs = shape
    x = extremes(rows + 5, inputs, 0, messages, 1)
    w = extremes(inputs + 5, inputs, outputs, weights, 2)[-inputs:]
    w[:, 0] = weights[0]  # every weight of a column alike: the sums reach their bound
    w[:, -1] = weights[1] if outputs > 1 else weights[0]
    sums = float((np.abs(x).max(axis=1)[:, None] * np.abs(w).sum(axis=0)).max())
    bounds = Bounds((min(weights), max(weights)), even, (min(messages), max(messages)), sums)
    assert is_exact(candidate, bounds), sums
    out = torch.full((len(x), outputs), 7.0)
    matrix = Matrix(candidate, torch.from_numpy(w).float(), even)
    matrix.write(out, torch.from_numpy(x).float())
    np.testing.assert_array_equal(out.numpy().astype(np.int64), x @ w)


def test_what_the_proof_excludes_does_go_wrong() -> None:
    """The extremes above have teeth: one step further, bfloat16 and int8 no longer hold the operands."""
    assert float(torch.tensor(257.0).bfloat16()) != 257 and float(torch.tensor(514.0).bfloat16()) != 514
    assert float(torch.tensor(256.0).bfloat16()) == 256 and float(torch.tensor(510.0).bfloat16()) == 510
    assert int(torch.tensor(128.0).to(torch.int16).to(torch.int8)) != 128
    assert float(torch.tensor(2.0**24 + 1)) != 2**24 + 1


@pytest.mark.parametrize(
    ("candidate", "weights", "even", "messages", "sums", "exact"),
    [
        ("float32", EVEN, True, (0, 255), 2.0**24 - 1, True),
        ("float32", EVEN, True, (0, 255), 2.0**24, False),
        ("float32", (0, 2.0**24), True, (0, 1), 1, False),  # a bound that is no bound: the operand alone is too large
        ("float32 medium", EVEN, True, (0, 256), 2.0**20, True),
        ("float32 medium", EVEN, True, (0, 257), 2.0**20, False),
        ("float32 medium", EVEN, True, (-257, 0), 2.0**20, False),
        ("float32 medium", (-512, 512), True, (0, 1), 2.0**20, True),
        ("float32 medium", (-512, 514), True, (0, 1), 2.0**20, False),
        ("float32 medium", (-512, 510), False, (0, 1), 2.0**20, False),
        ("float32 medium", (-256, 256), False, (0, 1), 2.0**20, True),
        ("float32 medium", EVEN, True, (0, 1), 2.0**24, False),
        ("bfloat16", EVEN, True, (0, 256), 2.0**24 - 1, True),
        ("bfloat16", (-257, 0), False, (0, 256), 2.0**20, False),
        ("int8", EVEN, True, (0, 127), 2.0**20, True),
        ("int8", (-256, 256), True, (0, 127), 2.0**20, False),  # its half is 128
        ("int8", (-258, 254), True, (0, 127), 2.0**20, False),
        ("int8", EVEN, True, (0, 128), 2.0**20, False),
        ("int8", EVEN, True, (-128, 127), 2.0**20, True),
        ("int8", EVEN, True, (-129, 127), 2.0**20, False),
        ("int8", (-128, 127), False, (0, 127), 2.0**20, True),
        ("int8", (-129, 127), False, (0, 127), 2.0**20, False),
        ("int8", EVEN, False, (0, 127), 2.0**20, False),
    ],
)
def test_where_the_proof_ends(
    candidate: str,
    weights: tuple[float, float],
    even: bool,
    messages: tuple[float, float],
    sums: float,
    exact: bool,
) -> None:
    assert is_exact(candidate, Bounds(weights, even, messages, sums)) is exact


def test_a_candidate_of_no_such_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"product 'float16': none of float32, .*; choose one"):
        is_exact("float16", Bounds(EVEN, True, (0, 1), 1))


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_precision_is_the_processs_own_again_afterwards(before: str) -> None:
    at_first = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(before)
    try:
        with reduced_precision():
            assert torch.get_float32_matmul_precision() == "medium"
        assert torch.get_float32_matmul_precision() == before
        with pytest.raises(RuntimeError, match="inside"), reduced_precision():
            raise RuntimeError("inside")
        assert torch.get_float32_matmul_precision() == before
        for candidate in ON_CPU:
            Matrix(candidate, torch.ones(3, 2), False).write(torch.empty(4, 2), torch.ones(4, 3))
            assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision(at_first)


def test_full_precision_is_full_whatever_the_process_has_set() -> None:
    """257 and 4095 are not exact in bfloat16: "medium" outside must not reach the float32 product."""
    x, w = np.full((64, 64), 4095), np.full((64, 64), 61)
    at_first = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        out = torch.empty(64, 64)
        Matrix("float32", torch.from_numpy(w).float(), False).write(out, torch.from_numpy(x).float())
    finally:
        torch.set_float32_matmul_precision(at_first)
    np.testing.assert_array_equal(out.numpy().astype(np.int64), x @ w)


def test_only_exact_candidates_that_agree_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest wins, but for one that misses a sum; float32 stays where the gain is less than 5 %."""
    seconds = {"float32": 1.0, "float32 medium": 0.5, "int8": 0.1}
    timed: list[str] = []

    def took(matrix: Matrix, out: object, x: object) -> float:
        timed.append(matrix.candidate)
        return seconds[matrix.candidate]

    shape = (64, 300, 300)
    monkeypatch.setattr(products, "_seconds", took)
    monkeypatch.setattr(products, "runs", lambda *_: True)
    monkeypatch.setattr(products, "agrees", lambda candidate, *_: candidate != "int8")
    monkeypatch.setattr(products, "fastest", fastest.__wrapped__)  # without what other tests have measured
    bounds = Bounds(EVEN, True, (0, 1), 2.0**17)
    monkeypatch.setattr(products, "CANDIDATES", ON_CPU)
    assert choose(bounds, shape, torch.float32, CPU) == "float32 medium" and "int8" not in timed
    seconds["float32 medium"] = 0.96
    assert choose(bounds, shape, torch.float32, CPU) == "float32"
    timed.clear()
    assert choose(Bounds(EVEN, True, (0, 300), 2.0**23), shape, torch.float32, CPU) == "float32" and not timed
    assert choose(bounds, (8, 8, 8), torch.float32, CPU) == "float32" and not timed  # too small to measure
    with pytest.raises(ValueError, match=r"1\.67772e\+07 are not exact in float32 .* use float64"):
        choose(Bounds(EVEN, True, (0, 1), 2.0**24), shape, torch.float32, CPU)


def test_a_library_that_misses_a_sum_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 products whose pairs saturate, here at 15 bits: right on spikes, wrong at the extremes."""
    shape = (64, 96, 33)
    assert agrees.__wrapped__("int8", shape, CPU) and agrees.__wrapped__("float32 medium", shape, CPU)
    whole = torch._int_mm

    def saturating(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        pairs = torch.einsum("rpi,pio->rpo", x.int().unflatten(1, (-1, 2)), w.int().unflatten(0, (-1, 2)))
        return pairs.clamp(-(2**14), 2**14 - 1).sum(dim=1, dtype=torch.int32)

    spikes, weight = torch.ones(4, 96, dtype=torch.int8), torch.full((96, 3), 127, dtype=torch.int8)
    assert torch.equal(saturating(spikes, weight), whole(spikes, weight))
    monkeypatch.setattr(torch, "_int_mm", saturating)
    assert not agrees.__wrapped__("int8", shape, CPU)


@pytest.mark.gpu
@pytest.mark.parametrize("candidate", products.CANDIDATES)
def test_on_a_gpu_each_candidate_that_runs_is_exact(candidate: str) -> None:
    device = torch.device("cuda")
    for rows, inputs, outputs in [(64, 128, 512), (100, 384, 136), (4096, 1544, 384)]:
        if not runs(candidate, (rows, inputs, outputs), device):
            continue
        most = min(127, (2**24 - 1) // (256 * inputs))
        x = extremes(rows, inputs, 0, [0, 1, most], 1)
        w = extremes(inputs, inputs, outputs, [-256, 254, 2, -2], 2)
        out = torch.empty(rows, outputs, device=device)
        Matrix(candidate, torch.from_numpy(w).float().to(device), True).write(
            out, torch.from_numpy(x).float().to(device)
        )
        np.testing.assert_array_equal(out.cpu().numpy().astype(np.int64), x @ w)
        assert agrees(candidate, (rows, inputs, outputs), device)


@pytest.mark.parametrize("inputs", [64, 3072])
def test_pairs_that_saturate_at_16_bits_are_found_out_however_wide_the_layer(
    inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An x86 without VNNI adds pairs of unsigned by signed bytes: messages shifted by 128, corrected afterwards."""

    def saturating(self: Matrix, out: torch.Tensor, x: torch.Tensor) -> None:
        weight = self.weight.long()
        shifted = (x.long() + 128)[:, :, None] * weight
        pairs = shifted.unflatten(1, (-1, 2)).sum(dim=2).clamp(-(2**15), 2**15 - 1)
        out.copy_((pairs.sum(dim=1) - 128 * weight.sum(dim=0)) * self.factor)

    assert agrees.__wrapped__("int8", (32, inputs, 24), CPU)
    monkeypatch.setattr(Matrix, "write", saturating)
    assert not agrees.__wrapped__("int8", (32, inputs, 24), CPU)
