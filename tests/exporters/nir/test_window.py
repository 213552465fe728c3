"""A map over a token and the next ones: a stock centred convolution in the file, refused in any other form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from exporters.nir.errors import GraphError
from exporters.nir.graph import Graph, Input, Output, TokenLinear
from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from tests.exporters.nir.files import assert_same_graph

TOKENS = 6


def graph(window: int, seed: int = 0) -> Graph:
    weight = 2 * np.random.default_rng(seed).integers(-9, 9, (4, 3 * window)).astype(np.float32)
    nodes = {
        "n0_input": Input((3, 1, TOKENS)),
        "n1_w": TokenLinear(weight, np.zeros(4, np.float32), TOKENS, window),
        "n2_output": Output((4, 1, TOKENS)),
    }
    return Graph(nodes, [("n0_input", "n1_w"), ("n1_w", "n2_output")], {})  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_stock_nir_reads_a_convolution_that_looks_ahead(window: int, tmp_path: Path) -> None:
    """The stock node, run by torch's own convolution, against a sum over each token's next ones."""
    written = graph(window)
    write_graph(written, tmp_path / "m.nir")
    assert_same_graph(written, read_graph(tmp_path / "m.nir"))
    stock = nir.read(tmp_path / "m.nir").nodes["n1_w"]
    assert isinstance(stock, nir.Conv2d) and stock.weight.shape == (4, 3, 1, 2 * window - 1)
    x = np.random.default_rng(1).integers(0, 3, (3, TOKENS)).astype(np.float32)
    padding = stock.padding if window > 1 else tuple(int(p) for p in stock.padding)
    seen = torch.conv2d(torch.from_numpy(x[None, :, None]), torch.from_numpy(stock.weight), padding=padding)
    weight = written.nodes["n1_w"].weight  # type: ignore[union-attr]
    expected = np.zeros((4, TOKENS), np.float32)
    for n in range(TOKENS):
        for ahead in range(window):
            if n + ahead < TOKENS:
                expected[:, n] += weight[:, 3 * ahead : 3 * ahead + 3] @ x[:, n + ahead]
    np.testing.assert_array_equal(seen[0, :, 0].numpy(), expected)


def looking_ahead(width: int) -> np.ndarray:
    weight = np.ones((4, 3, 1, width), np.float32)
    weight[..., : width // 2] = 0
    return weight


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": np.ones((4, 3, 1, 3), np.float32)}, ["(4, 3, 1, 3)", "1 columns before the middle"]),
        ({"weight": looking_ahead(4)}, ["(4, 3, 1, 4)", "odd width"]),
        ({"weight": np.ones((4, 3, 3, 3), np.float32)}, ["(4, 3, 3, 3)", "1 x (2w - 1)"]),
        ({"padding": (0, 1)}, ["padding", "same"]),
        ({"padding": "valid"}, ["padding", "same"]),
        ({"dilation": (1, 2)}, ["dilation", "needs 1"]),
    ],
)
def test_any_other_convolution_is_refused(changes: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "input_shape": (1, TOKENS), "weight": looking_ahead(3), "stride": (1, 1), "padding": "same",
        "dilation": (1, 1), "groups": 1, "bias": np.zeros(4, np.float32),
    }  # fmt: skip
    ends = {"a": nir.Input({"input": np.array([3, 1, TOKENS])}), "c": nir.Output({"output": np.array([4, 1, TOKENS])})}
    nodes = ends | {"b": nir.Conv2d(**(options | changes))}
    nir.write(tmp_path / "m.nir", nir.NIRGraph(nodes, [("a", "b"), ("b", "c")], type_check=False))
    with pytest.raises(GraphError) as refused:
        read_graph(tmp_path / "m.nir")
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in ["'b'", *words]), str(refused.value)
