"""The neurons of a plan on a device: one kernel where it can run, torch's operators elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from exporters.nir.graph import Neuron
from simulators.arithmetic import INT32, lif_exact, lif_loihi2, lif_real
from simulators.cuda.scan import Scan
from simulators.operations import Operation, Plan


def scans(plan: Plan, device: torch.device) -> dict[str, Scan]:
    """The kernel for each neuron layer."""
    return {op.name: _scan(op, node, device) for op in plan.operations if (node := neuron_of(op, plan))}


def neuron_of(op: Operation, plan: Plan) -> Neuron | None:
    """The neuron node that an operation computes, if it is one."""
    node = plan.graph.nodes.get(op.name)
    return node if isinstance(node, Neuron) else None


def _scan(op: Operation, node: Neuron, device: torch.device) -> Scan:
    if op.path == "real":
        return Scan.real(node.tau_steps, node.v_threshold, device)
    if op.path == "float32":
        return Scan.exact(op.theta, device)
    return Scan.loihi2(op.theta, op.exponent, op.bound, device)


def by_operators(op: Operation, node: Neuron, total: Tensor) -> Tensor:
    """Spikes of a layer whose input is ``total``, (T, R, C): in its memory, or in memory of their own."""
    if op.path == "float32":
        return lif_exact(total, op.theta)
    if op.path == "real":
        return lif_real(total, node.tau_steps, node.v_threshold)
    return lif_loihi2(total.to(torch.int32 if op.bound < INT32 else torch.int64), op.theta, op.exponent)
