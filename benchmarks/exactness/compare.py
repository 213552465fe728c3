"""One random layer in the simulator and in the reference: everything equal, or the first neuron that is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exactness.layers import Case
from benchmarks.exactness.reference import Outcome, run
from benchmarks.exactness.rounded import Slack, run_rounded
from exporters.nir.graph import Neuron, layer_name
from simulators import SimulationResult, simulate


@dataclass
class Verdict:
    """What the comparison of one layer found.

    Attributes:
        wrong: the first difference in words, with all that replays it; empty where all is equal.
        layers: spiking layers compared.
        compared: spikes, logits and extremes of sums.
        undecided: spikes closer to the threshold than float64 rounding, which are not compared.
        seen: what these layers used.
        rates: share of spikes in each layer.
    """

    wrong: str = ""
    layers: int = 0
    compared: int = 0
    undecided: int = 0
    seen: set[str] = field(default_factory=set)
    rates: list[float] = field(default_factory=list)

    def note(self, difference: str) -> None:
        """Keep the first difference."""
        self.wrong = self.wrong or difference


def compare(case: Case, how: dict[str, Any]) -> Verdict:
    """Run both.

    Args:
        how: further keywords of ``simulate`` (engine, device).
    """
    options = case.options | how
    try:
        result = _simulated(case, options)
    except Exception as error:  # a layer that the simulator does not run is a finding like any other
        return Verdict(f"{_replay(case, options)}: {type(error).__name__}: {error}", seen=case.features)
    spikes = {name: train.cpu().numpy() for name, train in result.spikes.items()}
    slack: Slack | None = None
    if case.exact:
        outcome = run(case.graph, case.inputs, case.arithmetic)
    else:
        outcome, slack = run_rounded(case.graph, case.inputs, spikes)
    verdict = Verdict(seen=case.features | outcome.seen, undecided=slack.undecided if slack else 0)
    inside = bool(options.get("expand_attention"))  # then attentions are no layers, and their gates are
    if not inside and set(spikes) != set(outcome.spikes):
        verdict.note(f"layers recorded are {sorted(spikes)}, the graph has {sorted(outcome.spikes)}")
    for label, train in outcome.spikes.items():
        if inside and label not in outcome.sums:
            continue
        verdict.layers += 1
        verdict.compared += train.size
        verdict.rates.append(float(train.mean()))
        verdict.note(_spike_difference(case, outcome, label, spikes[label]))
        if label in outcome.currents:
            seen = result.currents[label].cpu().numpy()
            room = slack.currents[label] if slack else None
            verdict.compared += seen.size
            verdict.note(_difference(f"{label}: sums", outcome.currents[label], seen, room))
    logits = result.logits.cpu().numpy()
    verdict.compared += logits.size
    verdict.note(_difference("logits", outcome.logits, logits, slack.logits if slack else None))
    if verdict.wrong:
        verdict.wrong = f"{_replay(case, options)}: {verdict.wrong}"
    return verdict


def _simulated(case: Case, options: dict[str, Any]) -> SimulationResult:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(case.precision)
    try:
        return simulate(case.graph, case.inputs, arithmetic=case.arithmetic, record=True, currents=True, **options)
    finally:
        torch.set_float32_matmul_precision(before)


def _replay(case: Case, options: dict[str, Any]) -> str:
    return f"--arithmetic {case.arithmetic} --seed {case.seed} --only {case.number} ({options}, {case.precision})"


def _difference(what: str, expected: NDArray[Any], seen: NDArray[Any], room: NDArray[Any] | None) -> str:
    """The first number that differs (by more than ``room``)."""
    if expected.shape != seen.shape:
        return f"{what}: shape {seen.shape}, expected {expected.shape}"
    if room is None and (expected.dtype != seen.dtype):
        return f"{what}: type {seen.dtype}, expected {expected.dtype}"
    apart = expected != seen if room is None else ~(np.abs(expected - seen) <= room)
    if not apart.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(apart)[0])
    return f"{what}: at {at} expected {expected[at]!r}, seen {seen[at]!r} ({int(apart.sum())} of {apart.size} differ)"


def _spike_difference(case: Case, outcome: Outcome, label: str, seen: NDArray[np.bool_]) -> str:
    """The first neuron that differs: what enters it at each step, its constants, expected and seen spikes."""
    expected = outcome.spikes[label]
    text = _difference(f"{label}: spikes", expected, seen, None)
    if not text or expected.shape != seen.shape or label not in outcome.sums:
        return text
    sample, _, channel, token = (int(i) for i in np.argwhere(expected != seen)[0])
    where = (sample, slice(None), channel, token)
    name, node = next((n, x) for n, x in case.graph.nodes.items() if layer_name(n) == label)
    assert isinstance(node, Neuron)
    constants = f"tau {node.tau_steps!r}, v_threshold {node.v_threshold!r}"
    return (
        f"{text}\n  neuron {name}, {constants}, edges from {case.graph.sources(name)}"
        f"\n  sample {sample}, channel {channel}, token {token}"
        f"\n  sums     {[str(value) for value in outcome.sums[label][where]]}"
        f"\n  expected {expected[where].astype(int).tolist()}"
        f"\n  seen     {seen[where].astype(int).tolist()}"
    )
