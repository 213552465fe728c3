"""Student folder to bundle: graph, encoder, tokenizer, golden traces, model card, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from exporters.nir.write import COMPAT, write_graph
from simulators import simulate
from toolkit.bundle.card import TITLE, model_card
from toolkit.bundle.drop import CHUNK, float_to_integer
from toolkit.bundle.encoder import ENCODER_FILE, TOKENIZER_FILE, HostEncoder, Text, load_tokenizer
from toolkit.bundle.guard import CurrentGuard
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
from toolkit.bundle.source import Source, open_source, save_deployed
from toolkit.distillation.corpus import read_texts
from toolkit.errors import SpikeportError
from toolkit.lowering.bounds import Bound
from toolkit.lowering.calibrate import MARGIN, Calibrate, Chunks
from toolkit.lowering.pipeline import Lowered, lower
from toolkit.models.student import SpikingStudent

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
    *,
    calibrated: Path | None = None,
    margin: float = MARGIN,
    data: Path | None = None,
    deployed: Path | None = None,
) -> Lowered:
    """Lower the student in ``student_folder`` and write the bundle ``out``, its graph for nir ``nir_compat`` and up.

    A deployed student keeps its thresholds; one that ``save_pretrained`` wrote gets them here. Everything that
    can be refused is done before the first file is written.

    Args:
        student_folder: in any form.
        out: folder to write.
        tokens, attention_body: those of :func:`lower`.
        nir_compat: oldest nir that is to read the graph.
        calibrated: sentences on which to measure the currents that are not proved in range.
        margin: factor by which other sentences may exceed these.
        data: labelled rows; what going to integers costs on them goes into the manifest's facts.
        deployed: folder for the lowered student itself, the reference of ``verify``.

    Raises:
        SpikeportError: the student cannot be read or lowered, or ``out`` holds something else.
    """
    if nir_compat not in COMPAT:
        raise SpikeportError(f"nir compat {nir_compat!r}: choose one of {', '.join(COMPAT)}")
    source = open_source(student_folder)
    config = source.student.config
    slots = config.tokens if tokens is None else tokens
    encoder = _host_encoder(source, slots)
    keep = source.form == "deployed"
    measure = None if calibrated is None else Calibrate(_chunks(encoder, calibrated, source), margin, adjust=not keep)
    lowered = lower(source.student, tokens, attention_body, keep_thetas=keep, calibrate=measure)
    golden = golden_traces(lowered, encoder)
    manifest = Manifest(
        student=dict(config.to_dict()),
        student_sha256=source.sha256,
        labels=source.labels,
        tokens=slots,
        logit_divisor=lowered.integers["readout"].theta,
        bounds={name: _bound(bound, lowered.limits[name]) for name, bound in lowered.bounds.items()},
        tokenizer={
            "casing": "as in tokenizer.json (normaliser)",
            "special_tokens": "opening and closing token added; a longer sentence keeps its closing token",
        },
        files={},
        facts=dict(source.facts) if keep else {**source.facts, "lowered_from": source.form},
        tool=tool_version(),
        attention=asdict(lowered.attention),
    )
    if data is not None:
        guard = CurrentGuard.of(lowered.graph, manifest)
        manifest.facts["float_to_integer_at_export"] = float_to_integer(source, lowered.graph, encoder, guard, data)
    check_target(out, student_folder)
    if deployed is not None:
        manifest.facts["deployed_sha256"] = save_deployed(source, lowered.integers, deployed)
    out.mkdir(parents=True, exist_ok=True)
    write_graph(lowered.graph, out / GRAPH_FILE, nir_compat)
    (out / ENCODER_FILE).write_bytes(save(encoder.tables))
    shutil.copyfile(student_folder / TOKENIZER_FILE, out / TOKENIZER_FILE)
    np.savez_compressed(out / GOLDEN_FILE, allow_pickle=False, **golden)
    (out / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
    manifest.files.update({name: file_facts(out / name) for name in LISTED})
    manifest.write(out)
    return lowered


def _host_encoder(source: Source, slots: int) -> HostEncoder:
    config, tables = source.student.config, encoder_tables(source.student)
    return HostEncoder(
        load_tokenizer(source.folder),
        tables["tokens"],
        tables.get("positions"),
        segments=tables.get("segments"),
        theta=config.encoder_threshold,
        steps=config.steps,
        slots=slots,
    )


def _bound(bound: Bound, limit: int) -> dict[str, Any]:
    """An entry of the manifest's bounds."""
    entry: dict[str, Any] = {"low": bound.low, "high": bound.high, "limit": limit, "kind": bound.kind}
    return entry if bound.margin is None else entry | {"margin": bound.margin, "samples": bound.samples}


def _chunks(encoder: HostEncoder, data: Path, source: Source) -> Chunks:
    """Input spikes of the sentences in ``data``, and of the golden ones, which every bundle must run."""
    texts = [*read_texts(data, source.student.config.labels), *_golden_texts(encoder)]

    def chunks() -> Iterator[NDArray[np.bool_]]:
        for start in range(0, len(texts), CHUNK):
            yield encoder.encode(texts[start : start + CHUNK]).spikes

    return chunks


def encoder_tables(student: SpikingStudent) -> dict[str, np.ndarray]:
    """The int16 tables by name, ``tokens`` (V, D) and what else there is, rounded as the student rounds them."""
    return {name: table.numpy() for name, table in student.encoder.int16().items()}


def golden_traces(lowered: Lowered, encoder: HostEncoder) -> dict[str, np.ndarray]:
    """Inputs of our own writing, with the spikes and logits that every backend must give."""
    texts = _golden_texts(encoder)
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


def _golden_texts(encoder: HostEncoder) -> Sequence[Text]:
    return GOLDEN_SENTENCES if encoder.segments is None else GOLDEN_PAIRS


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
