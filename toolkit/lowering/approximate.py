"""A faithful SpikeBERT folder as a deployable student in integer form, and the record of what that cost.

The sentences are halved: LayerNorms are frozen on every second one, the agreement with the original is measured on
the others.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolkit.bundle.approximation import FIELD
from toolkit.bundle.encoder import HostEncoder, load_tokenizer
from toolkit.bundle.manifest import sha256
from toolkit.distillation.corpus import Example
from toolkit.distillation.padding import pad
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.freeze_norms import METHOD, freeze_norms
from toolkit.lowering.norm_agreement import Agreement, agreement
from toolkit.lowering.spikebert_form import deployable_config, sign_code
from toolkit.models.configuration import StudentConfig
from toolkit.models.spikebert import SpikeBertForSequenceClassification
from toolkit.models.spikebert_lowering import MODEL_TYPE
from toolkit.models.student import SpikingStudent

WEIGHTS = "model.safetensors"
MOST_SENTENCES, LEAST_SENTENCES = 1024, 32  # evenly spaced over the file; fewer are no measurement
MOST_WORD_PIECES = 8192  # to freeze on: every layer sees all of them at once, (T, M, 4D) float32
CHUNK = 64  # sentences encoded at a time: the host's spikes are large, and only the ids are wanted
PROVENANCE = ("recipe", "seed", "watermarked", "data_licence")  # of the original, still true of what it became

Rows = list[list[int]]


@dataclass(frozen=True)
class Approximated:
    """What came of it.

    Attributes:
        student: in integer form.
        facts: of its ``config.json``: labels, provenance, and the mark ``approximation``.
    """

    student: SpikingStudent
    facts: dict[str, Any]


@torch.no_grad()
def approximate(
    model: SpikeBertForSequenceClassification,
    folder: Path,
    examples: Sequence[Example],
    tokens: int | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Approximated:
    """Freeze the LayerNorms of a SpikeBERT on sentences, lower it, and measure what is lost.

    Args:
        model: the original, from :func:`open_spikebert`.
        folder: where it came from, with ``tokenizer.json``.
        examples: labelled sentences of the kind that it will see.
        tokens: slots N; longer sentences are cut, in calibration too. Default: the model's ``max_tokens``.
        say: takes a line of progress once nothing is left to refuse.

    Raises:
        SpikeportError: the integer form cannot hold it, the tokenizer is not its own, or sentences are too few.
    """
    config = deployable_config(model.config, folder, tokens)
    sentences, labels = spread(examples)
    rows = token_rows(folder, config, sign_code(model.embeddings.weight, folder), sentences)
    fit = budget(rows[::2])
    say(f"{folder}: freezing LayerNorms on {len(fit)} sentences")
    frozen = freeze_norms(model, config, *pad(fit))
    forms = {"float": frozen, "integer": to_integer_form(copy.deepcopy(frozen))}
    say(f"comparing with the original on {len(rows[1::2])} other sentences")
    answers, found = agreement(model, forms, rows[1::2])
    names = {int(i): str(name) for i, name in (model.config.id2label or {}).items()}
    facts = {k: v for k, v in (getattr(model.config, "facts", None) or {}).items() if k in PROVENANCE}
    facts["labels"] = [names.get(i, str(i)) for i in range(config.labels)]
    facts["lowered_from"] = MODEL_TYPE
    facts[FIELD] = {
        "of": f"the SpikeBERT {folder.resolve().name}",
        "original_sha256": sha256(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "in several files",
        "calibrated_on": {"sentences": len(fit), "word_pieces": sum(map(len, fit))},
        **record(answers, found, torch.tensor(labels[1::2])),
    }
    return Approximated(forms["integer"], facts)


def record(answers: Tensor, found: dict[str, Agreement], labels: Tensor) -> dict[str, Any]:
    """The measured part of the mark: agreement with the original, and the accuracy of all three.

    Args:
        answers: the original's labels, (S,).
        found: figures of the forms.
        labels: the true ones, (S,).
    """

    def right(given: Tensor) -> float:
        return float((given == labels).double().mean())

    return {
        "method": METHOD,
        "samples": len(answers),
        "padding": "none: sentences of one length are a batch; padded tokens spike in the original and do not enter",
        "label_agreement": {name: form.labels for name, form in found.items()},
        "logit_difference": {name: form.logit_difference for name, form in found.items()},
        "spike_agreement": {name: form.spike_share for name, form in found.items()},
        "spike_agreement_per_layer": {name: form.spikes for name, form in found.items()},
        "accuracy": {"original": right(answers)} | {name: right(form.answers) for name, form in found.items()},
    }


def open_spikebert(folder: Path) -> SpikeBertForSequenceClassification:
    """The model of a folder, float32, in evaluation mode.

    Raises:
        SpikeportError: the folder holds no SpikeBERT, or a damaged one.
    """
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SpikeportError(f"{path}: no such file; name a SpikeBERT folder written by save_pretrained") from None
    except (OSError, ValueError) as error:
        raise SpikeportError(f"{path}: not readable as JSON ({error}); copy the file again") from None
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != MODEL_TYPE:
        raise SpikeportError(
            f"{folder}: model_type {kind!r:.40}, norms are frozen in a {MODEL_TYPE!r} only; leave --calibrate-norm out"
        )
    model: SpikeBertForSequenceClassification = SpikeBertForSequenceClassification.from_pretrained(folder)
    return model.float().eval()


def token_rows(folder: Path, config: StudentConfig, table: Tensor, sentences: Sequence[str]) -> Rows:
    """Token ids of every sentence as the bundle's host gives them, cut to ``config.tokens``.

    Raises:
        SpikeportError: the tokenizer is missing, or another model's.
    """
    tokenizer = load_tokenizer(folder)
    if (pieces := tokenizer.get_vocab_size()) > config.vocabulary:
        raise SpikeportError(
            f"{folder / 'tokenizer.json'}: {pieces} tokens, the model's word table has {config.vocabulary} rows; "
            "take both from the same model"
        )
    host = HostEncoder(
        tokenizer, table.short().numpy(), None, theta=config.encoder_threshold, steps=config.steps, slots=config.tokens
    )
    rows: Rows = []
    for start in range(0, len(sentences), CHUNK):
        batch = host.encode(sentences[start : start + CHUNK])
        rows += [ids[valid].tolist() for ids, valid in zip(batch.ids, batch.valid, strict=True)]
    if empty := [s for s, row in zip(sentences, rows, strict=True) if not row]:
        raise SpikeportError(f"sentence {empty[0]!r:.60}: 0 word pieces, needs at least 1; remove the row")
    return rows


def spread(examples: Sequence[Example]) -> tuple[list[str], list[int]]:
    """Different sentences, evenly spaced over the file."""
    if pairs := [e for e in examples if e.pair is not None]:
        raise SpikeportError(
            f"pair {pairs[0].text!r:.40}: a SpikeBERT has 1 segment, the export takes single sentences; "
            "calibrate on a file without the column pair"
        )
    different = list({e.text: e for e in examples}.values())
    if len(different) < LEAST_SENTENCES:
        raise SpikeportError(
            f"--calibrate-norm: {len(different)} different sentences, needs at least {LEAST_SENTENCES}; add rows"
        )
    count = min(len(different), MOST_SENTENCES)
    chosen = [different[i * len(different) // count] for i in range(count)]
    return [e.text for e in chosen], [e.label for e in chosen]


def budget(rows: Rows) -> Rows:
    """The first sentences, up to ``MOST_WORD_PIECES`` in all."""
    kept: Rows = []
    pieces = 0
    for row in rows:
        if kept and pieces + len(row) > MOST_WORD_PIECES:
            break
        kept.append(row)
        pieces += len(row)
    return kept
