"""Real Lava: plan a graph, run it under Lava's own interpreter, get spikes and logits back."""

from exporters.lava.build import build_plan
from exporters.lava.files import read_plan, write_plan
from exporters.lava.launch import LavaNotInstalled, LavaResult, LavaRunError, find_python, run
from exporters.lava.plan import Plan, PlanError, explain

__all__ = [
    "LavaNotInstalled",
    "LavaResult",
    "LavaRunError",
    "Plan",
    "PlanError",
    "build_plan",
    "explain",
    "find_python",
    "read_plan",
    "run",
    "write_plan",
]
