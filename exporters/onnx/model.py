"""Graph to ONNX model, and to a file. Same graph and version, same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from onnx import ModelProto, checker, helper

from exporters.nir.graph import Graph
from exporters.onnx.emit import Emitter
from exporters.onnx.errors import OnnxExportError
from exporters.onnx.form import LAYER, Form
from exporters.onnx.lowering import emit_graph
from exporters.onnx.proof import Proof, prove, spiking
from exporters.onnx.step import STATE, Step
from exporters.onnx.whole import Scan, Unrolled

OPSET, IR_VERSION = 17, 8  # of 2022: all that is used is in it, and later runtimes read it
PRODUCER, FORMAT = "spikeport", "spikeport.onnx/1"
METADATA, FACTS = "spikeport", "spikeport.onnx"  # keys: the graph's own metadata, as in the NIR file, and ours
ABOUT = (
    "Integer spiking network. v = (v + I) / 2, spike at v >= theta, back to 0. Inputs are bool spikes, logits are "
    "integers per step and token: sum both; ties go to the lowest label."
)

__all__ = ["FACTS", "LAYER", "STATE", "build_model", "facts_of", "to_bytes", "write_model"]


def build_model(graph: Graph, *, unroll: int | None = None, step: bool = False, spikes: bool = False) -> ModelProto:
    """An ONNX model that gives the graph's spikes and logits exactly.

    Args:
        graph: typed integer graph, each sample starting from membranes at rest.
        unroll: T of a model without Scan; by default B and T are free.
        step: one time step with explicit membranes instead, for streaming.
        spikes: every spiking layer as a further output ``spikes/<layer>``, for verification.

    Returns:
        The model. Input ``spikes``, bool (B, T, C, N), and output ``logits``, float32 (B, T, K, N); without the
        T axis in the one-step form.

    Raises:
        OnnxExportError: naming what cannot be exact in float32: node, value, limit.
    """
    if step and unroll is not None:
        raise OnnxExportError(f"step and unroll = {unroll}: two forms, 1 is possible; choose one")
    proof, emit = prove(graph), Emitter()
    form: Form
    if step:
        form = Step(graph, proof, emit)
    else:
        form = Scan(graph, proof, emit) if unroll is None else Unrolled(graph, proof, emit, unroll)
    emit_graph(graph, proof, emit, form, spikes=spikes)
    network = helper.make_graph(
        emit.nodes, "spiking_network", form.inputs, form.outputs, emit.constants, doc_string=ABOUT
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(network, opset_imports=[opset], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = PRODUCER, _version()
    helper.set_model_props(model, _properties(graph, form, proof, unroll, spikes))
    return model


def write_model(
    graph: Graph, path: Path, *, unroll: int | None = None, step: bool = False, spikes: bool = False
) -> ModelProto:
    """Write the model of :func:`build_model` to ``path``, checked by ONNX's own checker; returns it.

    Raises:
        OnnxExportError: as :func:`build_model`.
        OSError: ``path`` cannot be written.
    """
    model = build_model(graph, unroll=unroll, step=step, spikes=spikes)
    checker.check_model(model, full_check=True)
    path.write_bytes(to_bytes(model))
    return model


def to_bytes(model: ModelProto) -> bytes:
    """The file's content."""
    return model.SerializeToString(deterministic=True)


def facts_of(properties: Mapping[str, str], what: str) -> dict[str, Any]:
    """Our facts in a model's properties: form, max_steps, steps (unrolled), layers.

    Raises:
        OnnxExportError: the model is not one of ours, or of a later format.
    """
    try:
        facts = json.loads(properties[FACTS])
        found = facts["format"]
    except (KeyError, TypeError, ValueError):
        raise OnnxExportError(
            f"{what}: not written by spikeport, property {FACTS} is missing; write one with `spikeport export onnx`"
        ) from None
    if found != FORMAT:
        raise OnnxExportError(f"{what}: format {found!r}, this version reads {FORMAT!r}; export it again")
    for key, kind in (("form", str), ("max_steps", int), ("layers", list)):
        if not isinstance(facts.get(key), kind):
            raise OnnxExportError(f"{what}: {key} is {facts.get(key)!r}, needs a {kind.__name__}; export it again")
    return dict(facts)


def _properties(graph: Graph, form: Form, proof: Proof, unroll: int | None, spikes: bool) -> dict[str, str]:
    facts = {
        "format": FORMAT,
        "form": form.name,
        "max_steps": proof.max_steps,
        "steps": unroll,
        "layers": sorted(spiking(graph).values()) if spikes else [],
    }
    properties = {METADATA: graph.metadata, FACTS: facts}
    return {key: json.dumps(value, sort_keys=True) for key, value in properties.items()}


def _version() -> str:
    try:
        return version(PRODUCER)
    except PackageNotFoundError:
        return "source"
