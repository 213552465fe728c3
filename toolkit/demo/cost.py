"""What it costs: the run's own counts, priced on every profile, beside the ANNs that it replaces."""

from __future__ import annotations

from typing import Any

from simulators.activity import Activity
from simulators.baselines import AnnShape, compare_all
from toolkit.models.configuration import StudentConfig


def dense_shape(config: StudentConfig, tokens: int) -> AnnShape:
    """The ANN of the student's own shape."""
    return AnnShape(
        layers=config.layers,
        width=config.width,
        ffn=config.hidden,
        tokens=tokens,
        labels=config.labels,
        heads=config.heads,
        pooler=False,
        name="dense ANN of the student's shape",
    )


def teacher_shape(facts: dict[str, Any], tokens: int, labels: int) -> AnnShape:
    """The teacher's shape, as the recipe recorded it."""
    shape = facts["teacher"]
    return AnnShape(
        layers=int(shape["layers"]),
        width=int(shape["width"]),
        ffn=int(shape["ffn"]),
        tokens=tokens,
        labels=labels,
        heads=int(shape["heads"]),
        name=str(shape["name"]),
    )


def price(activity: Activity, config: StudentConfig, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The report's ``energy`` entries."""
    student = dense_shape(config, activity.tokens)
    teacher = teacher_shape(facts, activity.tokens, config.labels)
    return [estimate.to_dict() for estimate in compare_all(activity, student, teacher)]


def per_layer(activity: Activity) -> list[dict[str, Any]]:
    """The report's ``activity`` entries: firing rate per neuron and step, synaptic operations per inference.

    Operations of a layer's weights and biases are counted with the layer they drive.
    """
    synops: dict[str, int] = {}
    for node in activity.nodes:
        layer = node.name.rsplit(".", 1)[0] if node.kind != "neuron" else node.name
        synops[layer] = synops.get(layer, 0) + node.synops
    rows = []
    for node in activity.nodes:
        if node.neurons:
            slots = node.neurons * activity.steps * activity.samples
            rows.append(
                {
                    "name": node.name,
                    "firing_rate": node.spikes / slots,
                    "synops": synops.get(node.name, 0) / activity.samples,
                    "neurons": node.neurons,
                }
            )
    return rows
