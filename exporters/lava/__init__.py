"""Real Lava: plan a graph, run it under Lava's own interpreter, get spikes and logits back."""

from exporters.lava.build import build_plan
from exporters.lava.explain import explain
from exporters.lava.files import read_plan, write_plan
from exporters.lava.launch import EXECUTORS, LavaNotInstalled, LavaRunError, find_python, run
from exporters.lava.plan import MODES, Plan, PlanError
from exporters.lava.results import LavaResult, ResultsError, inputs_sha256, read_results

__all__ = [
    "EXECUTORS",
    "MODES",
    "LavaNotInstalled",
    "LavaResult",
    "LavaRunError",
    "Plan",
    "PlanError",
    "ResultsError",
    "build_plan",
    "explain",
    "find_python",
    "inputs_sha256",
    "read_plan",
    "read_results",
    "run",
    "write_plan",
]
