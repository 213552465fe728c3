"""What may be said of a student that was fine-tuned elsewhere, and what may no longer be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.importing.integers import LayerChange

# Still true of the new weights: which logit means what; the ANN that the student's cost is held against; and the
# licence of the data that the old weights came from, which binds what is made of them.
KEPT = ("labels", "teacher", "data_licence")
# Everything else is left out, for it was measured on, or describes the making of, the old weights: accuracy and
# validation_accuracy, test_examples and test_sha256 (by which a report takes the figures for this student's), the
# baseline naive_bayes_test, seed, machine, training times. None of it would be noticed as false later.
#
# `watermarked` becomes null. True would claim a mark that fine-tuning may have removed; false, or no entry, would offer
# the student as an unmarked control, which a descendant of a marked one is not. A commitment hashes the weights of the
# old bundle and does not cover the new ones: it lives outside the student, and nothing here renews it.
UNTESTED = "not known: fine-tuned since; test it with `spikeport watermark verify`"


@dataclass(frozen=True)
class Origin:
    """Where a student was fine-tuned, and from what.

    Attributes:
        framework: name and version.
        student_sha256: weights file of the student that it was.
        graph_sha256: NIR file that was loaded there.
    """

    framework: str
    student_sha256: str
    graph_sha256: str


def new_facts(old: dict[str, object], origin: Origin, changes: Sequence[LayerChange]) -> dict[str, object]:
    """The JSON facts of the new student folder, from those of the old one."""
    kept = {name: old[name] for name in KEPT if name in old}
    entry: dict[str, Any] = {
        "framework": origin.framework,
        "from_student_sha256": origin.student_sha256,
        "graph_sha256": origin.graph_sha256,
        "from_recipe": old.get("recipe", "unknown"),
        "values_changed": sum(change.changed for change in changes),
        "values": sum(change.values for change in changes),
        "largest_rounding": max(change.rounding for change in changes),
        "weights_clipped": sum(change.clipped for change in changes),
    }
    earlier = old.get("fine_tuned")
    history = [*(earlier if isinstance(earlier, list) else []), entry]
    return kept | {"recipe": f"fine-tuned in {origin.framework}", "watermarked": None, "fine_tuned": history}


def imported_card(facts: dict[str, Any], changes: Sequence[LayerChange], weights_sha256: str) -> str:
    """The README of the new student folder, in Markdown; every figure comes from the facts or the changes."""
    last = facts["fine_tuned"][-1]
    rows = "\n".join(f"| {c.layer} | {c.changed} of {c.values} | {c.rounding:.3g} | {c.clipped} |" for c in changes)
    licence = facts.get("data_licence")
    return f"""# Spiking student, {facts["recipe"]}

From the student with weights sha256 `{last["from_student_sha256"]}` (recipe {last["from_recipe"]}), through the NIR
file `{last["graph_sha256"]}`. The training data of the fine-tuning are not recorded here.

Accuracy: not measured since. Watermark: {UNTESTED}.
A commitment to the former weights does not cover these.

| layer | integers changed | largest rounding (units of 1 / theta) | clipped |
|---|---|---|---|
{rows}
{f"{chr(10)}Training data of the former student: {licence}{chr(10)}" if licence else ""}
Weights sha256: `{weights_sha256}`
"""
