"""What it costs: the run's own counts, priced on every profile, beside the ANNs that it replaces."""

from __future__ import annotations

from typing import Any

from hw_profiles import list_profiles, load_profile
from simulators.activity import Activity
from simulators.baselines import AnnShape, compare_all
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig

TEACHER_SIZES = ("layers", "width", "ffn", "heads")


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
        window=config.window,
    )


def teacher_shape(facts: dict[str, Any], tokens: int, labels: int) -> AnnShape:
    """The teacher's shape, as the recipe recorded it.

    Raises:
        SpikeportError: it is not recorded.
    """
    shape = facts.get("teacher")
    if not isinstance(shape, dict) or not {"name", *TEACHER_SIZES} <= set(shape):
        raise SpikeportError(
            f"teacher: shape {shape!r}, needs name, {', '.join(TEACHER_SIZES)}; record it in the student's config.json"
        )
    layers, width, ffn, heads = (int(shape[name]) for name in TEACHER_SIZES)
    name = str(shape["name"])
    return AnnShape(layers=layers, width=width, ffn=ffn, tokens=tokens, labels=labels, heads=heads, name=name)


def price(activity: Activity, config: StudentConfig, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The report's ``energy`` entries: every spiking chip that is shipped, the GPU, the 45 nm conventions."""
    student = dense_shape(config, activity.tokens)
    teacher = teacher_shape(facts, activity.tokens, config.labels)
    chips = [profile for profile in map(load_profile, list_profiles()) if profile.model == "spiking"]
    return [estimate.to_dict() for estimate in compare_all(activity, student, teacher, chips=chips)]


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
