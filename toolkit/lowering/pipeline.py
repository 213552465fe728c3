"""The passes in order: a trained student to a checked integer graph."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.nir.graph import Graph
from exporters.nir.portable import Verdict
from toolkit.errors import SpikeportError
from toolkit.lowering.attention_body import AttentionForm
from toolkit.lowering.bound_accumulators import BoundAccumulators
from toolkit.lowering.bounds import Bound
from toolkit.lowering.build_graph import BuildGraph
from toolkit.lowering.calibrate import Calibrate
from toolkit.lowering.choose_theta import ChooseTheta
from toolkit.lowering.fold_norms import FoldNorms
from toolkit.lowering.passes import Pass, Rounding, State, Theta, run_passes
from toolkit.lowering.round_weights import RoundWeights
from toolkit.lowering.validate import Validate
from toolkit.models.layers import Integers
from toolkit.models.student import SpikingStudent


@dataclass(frozen=True, eq=False)
class Lowered:
    """The result of lowering: the graph, what is known about it, and what it cost.

    Attributes:
        graph: integers, in the portable profile.
        bounds: range of every accumulator, proved or calibrated.
        limits: of each, what the chip holds.
        attention: how attention is written.
        integers: the layers as the graph holds them.
        thetas: their thresholds, and what kept these from being larger.
        rounding: what rounding changed.
        readers: which simulators and stock readers run the graph, and why not.
    """

    graph: Graph
    bounds: dict[str, Bound]
    limits: dict[str, int]
    attention: AttentionForm
    integers: dict[str, Integers]
    thetas: dict[str, Theta]
    rounding: dict[str, Rounding]
    readers: dict[str, Verdict]


def lower(
    student: SpikingStudent,
    tokens: int | None = None,
    attention_body: str = "auto",
    *,
    keep_thetas: bool = True,
    calibrate: Calibrate | None = None,
) -> Lowered:
    """Lower a student to a graph; the student itself is not changed.

    Args:
        student: in integer form; in any form if ``keep_thetas`` is off.
        tokens: slots N of the graph; default: the student's own.
        attention_body: ``"gates"``, ``"native"`` or ``"auto"``, as :func:`attention_form` has it.
        keep_thetas: use the thresholds of training as they are; else each is chosen, and lowered until
            its layer's bound holds.
        calibrate: measure, on its data, what cannot be proved. Its ``adjust`` should be ``not keep_thetas``.

    Raises:
        SpikeportError: the student is not in integer form, a weight does not fit, a current could
            leave the chip's range (layer, value and limit are named), or there is no such attention body.
    """
    slots = student.config.tokens if tokens is None else tokens
    if slots < 1:
        raise SpikeportError(f"tokens {slots}: a graph needs at least 1 slot; choose a larger number")
    state = run_passes(passes(keep_thetas, calibrate), State(student, slots, attention_body))
    assert state.graph is not None and state.attention is not None  # the last passes ensure them
    return Lowered(
        state.graph,
        state.bounds,
        state.limits,
        state.attention,
        state.integers,
        state.thetas,
        state.rounding,
        state.readers,
    )


def passes(keep_thetas: bool = True, calibrate: Calibrate | None = None) -> list[Pass]:
    """The passes of :func:`lower`, in order."""
    rule = ChooseTheta("keep" if keep_thetas else "proved" if calibrate is None else "weights")
    measure: list[Pass] = [] if calibrate is None else [calibrate]
    bound = BoundAccumulators(calibrated=calibrate is not None)
    return [FoldNorms(), rule, *measure, RoundWeights(), bound, BuildGraph(), Validate()]
