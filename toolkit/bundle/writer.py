"""Student folder to bundle: graph, encoder, tokenizer, golden traces, model card, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from exporters.nir.write import COMPAT, write_graph
from simulators import simulate
from toolkit.bundle.approximation import FIELD as APPROXIMATION
from toolkit.bundle.approximation import approximation_fault
from toolkit.bundle.card import TITLE, model_card
from toolkit.bundle.encoder import ENCODER_FILE, TOKENIZER_FILE, HostEncoder, Text, load_tokenizer
from toolkit.bundle.manifest import (
    CARD_FILE,
    FORMAT,
    GOLDEN_FILE,
    GRAPH_FILE,
    LISTED,
    MANIFEST_FILE,
    Manifest,
    file_facts,
)
from toolkit.errors import SpikeportError
from toolkit.lowering.pipeline import Lowered, lower
from toolkit.models.storage import TRANSFORMERS_NAMES, load_facts, load_student, student_hash
from toolkit.models.student import SpikingStudent

# The rest of a student's JSON is provenance.
OF_THE_FILE = ("student", "thresholds", "format", APPROXIMATION, *TRANSFORMERS_NAMES)
GOLDEN_SENTENCES = (
    "a warm and funny film with a generous heart .",
    "the plot goes nowhere and takes its time about it .",
    "not bad , but not nearly as clever as it thinks .",
    "i left the cinema smiling .",
)


GOLDEN_PAIRS = tuple(zip(GOLDEN_SENTENCES, reversed(GOLDEN_SENTENCES), strict=True))


def write_bundle(
    student_folder: Path,
    out: Path,
    tokens: int | None = None,
    attention_body: str = "auto",
    nir_compat: str = COMPAT[0],
) -> Lowered:
    """Lower the student in ``student_folder`` and write the bundle ``out``, its graph for nir ``nir_compat`` and up.

    ``tokens`` and ``attention_body`` are those of :func:`lower`. Everything that can be refused is done
    before the first file is written.

    Raises:
        SpikeportError: the student cannot be read or lowered, or ``out`` holds something else.
    """
    if nir_compat not in COMPAT:
        raise SpikeportError(f"nir compat {nir_compat!r}: choose one of {', '.join(COMPAT)}")
    facts = load_facts(student_folder)
    approximation = approximation_of(facts)
    student = load_student(student_folder)
    lowered = lower(student, tokens, attention_body)
    slots = tokens or student.config.tokens
    tables = encoder_tables(student)
    encoder = HostEncoder(
        load_tokenizer(student_folder),
        tables["tokens"],
        tables.get("positions"),
        segments=tables.get("segments"),
        theta=student.config.encoder_threshold,
        steps=student.config.steps,
        slots=slots,
    )
    golden = golden_traces(lowered, encoder)
    check_target(out, student_folder)
    out.mkdir(parents=True, exist_ok=True)
    write_graph(lowered.graph, out / GRAPH_FILE, nir_compat)
    (out / ENCODER_FILE).write_bytes(save(tables))
    shutil.copyfile(student_folder / TOKENIZER_FILE, out / TOKENIZER_FILE)
    np.savez_compressed(out / GOLDEN_FILE, allow_pickle=False, **golden)
    manifest = Manifest(
        student=dict(student.config.to_dict()),
        student_sha256=student_hash(student_folder),
        labels=[str(label) for label in _labels(facts, student)],
        tokens=slots,
        logit_divisor=student.integers()["readout"].theta,
        bounds={
            name: {"low": bound.low, "high": bound.high, "limit": lowered.limits[name], "kind": "proved"}
            for name, bound in lowered.bounds.items()
        },
        tokenizer={
            "casing": "as in tokenizer.json (normaliser)",
            "special_tokens": "opening and closing token added; a longer sentence keeps its closing token",
        },
        files={},
        facts={k: v for k, v in facts.items() if k not in OF_THE_FILE},
        tool=tool_version(),
        attention=asdict(lowered.attention),
        approximation=approximation,
    )
    (out / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
    manifest.files.update({name: file_facts(out / name) for name in LISTED})
    manifest.write(out)
    return lowered


def approximation_of(facts: dict[str, object]) -> dict[str, Any]:
    """The mark that a student's JSON carries where it only comes near another model; empty where it has none."""
    mark = facts.get(APPROXIMATION) or {}
    fault = approximation_fault(mark) if isinstance(mark, dict) else f"is {type(mark).__name__}, needs fields"
    if fault:
        raise SpikeportError(f"student: {APPROXIMATION}: {fault}; write the student again")
    assert isinstance(mark, dict)
    return mark


def encoder_tables(student: SpikingStudent) -> dict[str, np.ndarray]:
    """The int16 tables by name, ``tokens`` (V, D) and what else there is, rounded as the student rounds them."""
    return {name: table.numpy() for name, table in student.encoder.int16().items()}


def golden_traces(lowered: Lowered, encoder: HostEncoder) -> dict[str, np.ndarray]:
    """Inputs of our own writing, with the spikes and logits that every backend must give."""
    texts: Sequence[Text] = GOLDEN_SENTENCES if encoder.segments is None else GOLDEN_PAIRS
    batch = encoder.encode(texts)
    result = simulate(lowered.graph, batch.spikes, record=True)
    arrays: dict[str, np.ndarray] = {
        "sentences": np.array(texts),
        "inputs": batch.spikes,
        "logits": np.asarray(result.logits),
    }
    for name, spikes in result.spikes.items():
        arrays[f"spikes/{name}"] = np.packbits(spikes)
        arrays[f"shape/{name}"] = np.array(spikes.shape)
    return arrays


def check_target(out: Path, student_folder: Path) -> None:
    """Refuse a folder in which writing a bundle would overwrite what is none.

    Raises:
        SpikeportError: naming what is in the way.
    """
    if out.exists() and not out.is_dir():
        raise SpikeportError(f"{out}: is a file; name a folder for the bundle")
    if out.resolve() == student_folder.resolve():
        raise SpikeportError(f"{out}: is the student's own folder; name another one for the bundle")
    for name, mark in ((MANIFEST_FILE, FORMAT), (CARD_FILE, TITLE)):
        path = out / name
        if path.is_file() and mark not in path.read_text(encoding="utf-8", errors="replace"):
            raise SpikeportError(f"{path}: was not written by spikeport and would be lost; name another folder")


def tool_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("spikeport")
    except PackageNotFoundError:
        return "source"


def _labels(facts: dict[str, object], student: SpikingStudent) -> Sequence[object]:
    labels = facts.get("labels")
    if isinstance(labels, list) and len(labels) == student.config.labels:
        return labels
    return range(student.config.labels)
