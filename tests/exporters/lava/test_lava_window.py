"""The plan of a layer over the next tokens: sizes, bound and latency, and what is refused or read from older files."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.explain import explain
from exporters.lava.files import read_plan, write_plan
from exporters.lava.plan import PlanError
from exporters.lava.processes import FastLinear, Lif, Linear
from exporters.nir.graph import TIE_MARGIN, Graph, Input, Neuron, Node, Output, TokenLinear

TOKENS, WIDTH = 4, 3
RUNTIME = Path(__file__).parents[3] / "exporters/lava/runtime/spikeport_lava/plan.py"


def chain(weight: np.ndarray, window: int) -> Graph:
    """The valid train of the input relayed and, beside it, a layer over ``window`` tokens of the other channels."""
    zeros, theta = np.zeros(WIDTH, np.float32), 20 * (1 - TIE_MARGIN)
    cut = 2 * np.eye(WIDTH, WIDTH + 1, dtype=np.float32)
    nodes: dict[str, Node] = {
        "n0_input": Input((WIDTH + 1, 1, TOKENS)),
        "n1_code.cut": TokenLinear(cut, zeros, TOKENS),
        "n2_code": Neuron((WIDTH, 1, TOKENS), 2.0, 1 - TIE_MARGIN),
        "n3_local.weight": TokenLinear(weight.astype(np.float32), zeros, TOKENS, window),
        "n4_local": Neuron((WIDTH, 1, TOKENS), 2.0, theta),
        "n5_readout": TokenLinear(np.ones((2, WIDTH), np.float32) * 2, np.zeros(2, np.float32), TOKENS),
        "n6_output": Output((2, 1, TOKENS)),
    }
    names = list(nodes)
    return Graph(nodes, list(pairwise(names)), {"steps": 4})


def test_a_wide_linear_keeps_its_channels_and_is_bounded_over_all_its_tokens(tmp_path: Path) -> None:
    weight = 2 * np.random.default_rng(0).integers(-9, 9, (WIDTH, 3 * WIDTH))
    plan = build_plan(chain(weight, 3))
    assert FastLinear("local.weight", WIDTH, WIDTH, 2, 3) in plan.processes
    assert Linear("local.weight", WIDTH, WIDTH, 2, 3) in build_plan(chain(weight, 3), mode="stock").processes
    np.testing.assert_array_equal(plan.weights["local.weight"], weight)
    (local,) = (p for p in plan.processes if isinstance(p, Lif) and p.name == "local")
    assert local.bound == max(weight.clip(min=0).sum(1).max(), (-weight).clip(min=0).sum(1).max())
    assert "sees 3 tokens" in explain(plan)
    write_plan(plan, tmp_path)
    assert read_plan(tmp_path).processes == plan.processes


def runtime() -> ModuleType:
    """The module that reads plans under Lava's interpreter; it needs numpy only."""
    spec = importlib.util.spec_from_file_location("lava_runtime_plan", RUNTIME)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_plan_from_before_windows_is_token_wise_and_a_wide_one_must_fit_its_weights(tmp_path: Path) -> None:
    write_plan(build_plan(chain(2 * np.ones((WIDTH, WIDTH)), 1), mode="stock"), tmp_path)
    content = json.loads((tmp_path / "plan.json").read_text())
    for process in content["processes"]:
        process.pop("window", None)
    (tmp_path / "plan.json").write_text(json.dumps(content))
    module = runtime()
    assert {p["window"] for p in module.read_plan(tmp_path).processes if p["kind"] == "linear"} == {1}
    assert all(p.window == 1 for p in read_plan(tmp_path).processes if isinstance(p, Linear))
    for process in content["processes"]:
        if process["name"] == "local.weight":
            process["window"] = 2
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(module.InputError, match=r"local\.weight: .*\(3, 6\)"):
        module.read_plan(tmp_path)


def test_a_range_overrun_by_a_later_tap_alone_is_refused() -> None:
    """Of 50 loud taps of 3 channels of weight 254, 10 stay within 16,384 (T = 4) and all of them do not."""
    wide = np.full((WIDTH, 100 * WIDTH), 254)
    wide[:, : 50 * WIDTH] = 0
    graph = chain(wide, 100)
    build_plan(replace(graph, nodes=graph.nodes | {"n3_local.weight": _tokens(wide[:, : 60 * WIDTH], 60)}))
    with pytest.raises(PlanError, match=r"local: synaptic sums may reach 38100, the limit is 16384"):
        build_plan(graph)


def _tokens(weight: np.ndarray, window: int) -> TokenLinear:
    return TokenLinear(weight.astype(np.float32), np.zeros(WIDTH, np.float32), TOKENS, window)
