"""What freezing the LayerNorms of a SpikeBERT costs: `export nir --calibrate-norm`, on sentences of another file.

    python -m benchmarks.frozen_norms SPIKEBERT --calibrate sst2/train.tsv --measure sst2/validation.tsv

Both ways of fitting the affine map that stands for a LayerNorm (`toolkit/lowering/freeze_norms.py`), each as a student
in real weights and in integers: labels and spikes that agree with the original, and accuracy. No sentence is padded.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from toolkit.distillation.corpus import read_examples
from toolkit.distillation.padding import pad
from toolkit.lowering.approximate import Rows, budget, open_spikebert, record, spread, token_rows
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.freeze_norms import FITS, freeze_norms
from toolkit.lowering.norm_agreement import agreement
from toolkit.lowering.spikebert_form import deployable_config, sign_code
from toolkit.models.spikebert import SpikeBertForSequenceClassification

ROOT = Path(__file__).resolve().parents[1]


def measure(
    model: SpikeBertForSequenceClassification, folder: Path, calibrate: Path, data: Path
) -> dict[str, dict[str, Any]]:
    """The figures of each fit."""
    config = deployable_config(model.config, folder)
    table = sign_code(model.embeddings.weight, folder)

    def rows_of(sentences: list[str]) -> Rows:
        return token_rows(folder, config, table, sentences)

    fit_rows = budget(rows_of(spread(read_examples(calibrate, config.labels))[0]))
    examples = read_examples(data, config.labels)
    rows, labels = rows_of([e.text for e in examples]), torch.tensor([e.label for e in examples])
    found = {}
    for fit in FITS:
        begun = time.process_time()
        frozen = freeze_norms(model, config, *pad(fit_rows), fit)
        seconds = time.process_time() - begun
        forms = {"float": frozen, "integer": to_integer_form(copy.deepcopy(frozen))}
        answers, figures = agreement(model, forms, rows)
        sizes = {"fit_sentences": len(fit_rows), "fit_word_pieces": sum(map(len, fit_rows)), "fit_seconds": seconds}
        found[fit] = sizes | record(answers, figures, labels)
    return found


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikebert", type=Path, help="folder of a faithful SpikeBERT")
    parser.add_argument("--calibrate", type=Path, required=True, help="TSV of sentences to freeze on")
    parser.add_argument("--measure", type=Path, required=True, help="TSV of labelled sentences to measure on")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "frozen-norms.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = open_spikebert(args.spikebert)
    found = measure(model, args.spikebert, args.calibrate, args.measure)
    for fit, row in found.items():
        accuracy = ", ".join(f"{form} {100 * value:.2f} %" for form, value in row["accuracy"].items())
        labels, spikes = row["label_agreement"], row["spike_agreement"]
        print(f"{fit}: {accuracy}; of {row['samples']} labels agree {labels}; of spikes {spikes}")
    sizes = {name: getattr(model.config, name) for name in ("num_hidden_layers", "hidden_size", "steps", "max_tokens")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"model": sizes, "fits": found}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
