"""What going to integers cost, on labelled rows: the float form, where there is one, against the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.graph import Graph
from simulators import simulate
from toolkit.bundle.encoder import EncodedBatch, HostEncoder
from toolkit.bundle.guard import CurrentGuard
from toolkit.bundle.manifest import sha256
from toolkit.bundle.source import Source
from toolkit.distillation.corpus import read_examples, text_of
from toolkit.models.student import SpikingStudent
from toolkit.paired import mean_and_upper, paired

CHUNK = 256  # rows encoded at a time


def float_to_integer(
    source: Source, graph: Graph, encoder: HostEncoder, guard: CurrentGuard | None, data: Path
) -> dict[str, Any]:
    """Accuracy of both forms on the same rows, and the paired loss.

    Args:
        source: the student; only one in float form has a float accuracy.
        graph: what it was lowered to.
        guard: of a calibrated bundle; a row that it refuses has no answer, which counts as a wrong one.
        data: TSV with text and label.

    Returns:
        ``rows``, ``data_sha256``, ``truncated``, ``refused``, ``form`` of the student folder, ``accuracy`` by form
        and, where there are two, ``disagreements`` (rows with different labels), ``only_float`` and
        ``only_integer`` (rows that one form alone gets right), ``loss_points`` (mean over rows of float less
        integer, times 100) and its one-sided ``loss_points_upper_95``, ``None`` for a single row.

    Raises:
        SpikeportError: the file is not labelled rows of this student's classes.
    """
    examples = read_examples(data, source.student.config.labels)
    wanted = np.array([e.label for e in examples])
    answers: list[NDArray[np.int64]] = []
    floats: list[NDArray[np.int64]] = []
    truncated = 0
    for start in range(0, len(examples), CHUNK):
        batch = encoder.encode([text_of(e) for e in examples[start : start + CHUNK]])
        truncated += len(batch.truncated)
        labels = np.asarray(simulate(graph, batch.spikes).logits.sum(dim=(1, 3)).argmax(dim=1).cpu())
        if guard is not None:
            labels[list(guard.faults(batch.spikes))] = -1
        answers.append(labels)
        if source.form == "float":
            floats.append(_float_labels(source.student, batch))
    integer = np.concatenate(answers)
    found: dict[str, Any] = {
        "rows": len(examples),
        "data_sha256": sha256(data),
        "truncated": truncated,
        "refused": int((integer < 0).sum()),
        "form": source.form,
        "accuracy": {"integer": float((integer == wanted).mean())},
    }
    return found | _loss(np.concatenate(floats), integer, wanted, found["accuracy"]) if floats else found


def in_words(drop: dict[str, Any]) -> str:
    """One line for people."""
    accuracy, rows = drop["accuracy"], f"{drop['rows']} rows"
    refused = f", {drop['refused']} of them refused as overflowing" if drop["refused"] else ""
    if "float" not in accuracy:
        return (
            f"{rows}{refused}: integer accuracy {100 * accuracy['integer']:.2f} %; the float form is not in the "
            "student folder, so its loss is not known here"
        )
    upper = drop["loss_points_upper_95"]
    limit = "no limit from one row" if upper is None else f"upper 95 % limit {upper:.2f}"
    return (
        f"{rows}{refused}: float accuracy {100 * accuracy['float']:.2f} %, integer {100 * accuracy['integer']:.2f} %, "
        f"loss {drop['loss_points']:.2f} points ({limit}), {drop['disagreements']} labels differ"
    )


def _loss(
    floats: NDArray[np.int64], integer: NDArray[np.int64], wanted: NDArray[np.int64], accuracy: dict[str, float]
) -> dict[str, Any]:
    right, right_integer = floats == wanted, integer == wanted
    counts = paired(right.tolist(), right_integer.tolist())
    mean, upper = mean_and_upper((100.0 * (right.astype(float) - right_integer.astype(float))).tolist())
    return {
        "accuracy": {"float": float(right.mean()), **accuracy},
        "disagreements": int((floats != integer).sum()),
        "only_float": counts["only_float"],
        "only_integer": counts["only_integer"],
        "loss_points": mean,
        "loss_points_upper_95": upper,
    }


@torch.no_grad()
def _float_labels(student: SpikingStudent, batch: EncodedBatch) -> NDArray[np.int64]:
    """Largest logit of each row, by the float form; ties go to the lowest label."""
    used = int(batch.valid.sum(1).max())  # the rest is padding, which changes nothing
    ids, valid = torch.from_numpy(batch.ids[:, :used]), torch.from_numpy(batch.valid[:, :used]).float()
    segments = None if batch.segments is None else torch.from_numpy(batch.segments[:, :used])
    labels: NDArray[np.int64] = student(ids, valid, segments=segments).logits.argmax(dim=1).numpy()
    return labels
