"""The same student with one thing changed at a time: what each choice is worth, at equal budget.

    python benchmarks/controlled_table.py --data DATA --base BERT --teacher runs/sst2/teacher

Every row trains a student of one block of 128 on the same sentences with the same number of steps, batch
size and seed, and keeps the weights that are best on the validation split. Two figures: accuracy on the validation
split, and agreement with the teacher on sentences that no student saw, which resolves smaller differences.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from toolkit.distillation.command import answered_right
from toolkit.distillation.corpus import Example
from toolkit.distillation.distil import distil
from toolkit.distillation.encode import encode
from toolkit.distillation.oracle import Oracle
from toolkit.distillation.padding import pad
from toolkit.distillation.prepare import Corpus, prepare
from toolkit.distillation.recipe import Recipe
from toolkit.distillation.trainer import Machine

STEPS = {"stage2": 240, "stage3": 80}
WITH_STAGE1 = {"stage1": 60, "stage2": 180, "stage3": 80}  # as many steps in all
ROWS, UNSEEN = 16_000, 3_000

BASE: dict[str, Any] = {
    "name": "controlled",
    "language": "en",
    "labels": ["negative", "positive"],
    "data": {
        "train": ["sst2_phrases/train.tsv", "sst2/train.tsv"],
        "validation": "sst2/validation.tsv",
        "test": "sst2/test.tsv",
        "unlabelled": ["movie_reviews/train.txt"],
    },
    "teacher": {"learning_rate": 1e-4, "tokens": 64},
    "student": {"width": 128, "layers": 1, "heads": 4, "tokens": 64, "steps": 4, "window": 3},
    "stage2": {
        "steps": STEPS["stage2"], "learning_rate": 2e-3, "evaluations": 3, "word_rate": 0.1,
        "logits": 1.0, "labels": 0.2, "features": 0.1, "embeddings": 0.1,
    },
    "stage3": {
        "steps": STEPS["stage3"], "learning_rate": 4e-4, "evaluations": 2, "word_rate": 0.1,
        "logits": 1.0, "labels": 0.2,
    },
}  # fmt: skip
STAGE1 = {"steps": WITH_STAGE1["stage1"], "learning_rate": 2e-3, "features": 1.0, "embeddings": 0.1, "word_rate": 0.1}

VARIANTS: dict[str, dict[str, Any]] = {
    "base: 1 x 128, T = 4, ssa": {},
    "word table at the full learning rate": {"stage2": {"word_rate": 1.0}, "stage3": {"word_rate": 1.0}},
    "word table frozen": {
        "stage2": {"word_rate": 0.0, "embeddings": 0.0}, "stage3": {"word_rate": 0.0},
    },
    "feed-forward part half as wide": {"student": {"expansion": 2}},
    "T = 2": {"student": {"steps": 2}},
    "T = 1": {"student": {"steps": 1}},
    "BatchNorm, float": {"stage3": None},
    "LayerNorm, float": {"student": {"norm": "layer"}, "stage3": None},
    "T = 8, float": {"student": {"steps": 8}, "stage3": None},
    "positions, no window": {"student": {"window": 1}},
    "window, no positions": {"student": {"positions": "none"}},
    "no positions, no window": {"student": {"positions": "none", "window": 1}},
    "sdsa": {"student": {"attention": "sdsa", "attention_threshold": 1}},
    "with stage 1": {"stage1": STAGE1, "stage2": {"steps": WITH_STAGE1["stage2"]}},
    "with stage 1, its features alone": {
        "stage1": {**STAGE1, "embeddings": 0.0}, "stage2": {"steps": WITH_STAGE1["stage2"]},
    },
    "without distillation (labels alone)": {
        "stage2": {"logits": 0.0, "features": 0.0, "embeddings": 0.0, "labels": 1.0},
        "stage3": {"logits": 0.0, "labels": 1.0},
    },
    "without stage 3 (rounded only)": {"stage3": {"learning_rate": 1e-12}},
    "without the logit loss": {"stage2": {"logits": 0.0}, "stage3": {"logits": 0.0}},
    "without the feature loss": {"stage2": {"features": 0.0}},
    "without the embedding loss": {"stage2": {"embeddings": 0.0}},
    "without cross-entropy": {"stage2": {"labels": 0.0}, "stage3": {"labels": 0.0}},
    "word table of the raw teacher": {"distil": {"words": "raw"}},
    "random word table, at the full rate": {
        "distil": {"words": "random"}, "stage2": {"word_rate": 1.0}, "stage3": {"word_rate": 1.0},
    },
}  # fmt: skip


def recipe_of(changes: dict[str, Any]) -> Recipe:
    """The base recipe with some tables changed, or left out where the change is ``None``."""
    content = {k: dict(v) if isinstance(v, dict) else v for k, v in BASE.items()}
    for table, change in changes.items():
        if change is None:
            content.pop(table, None)
        else:
            content[table] = {**content.get(table, {}), **change}
    return Recipe.from_dict(content)


def main() -> None:
    """Run the variants that the results file does not hold yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True, help="the raw teacher")
    parser.add_argument("--work", type=Path, default=Path("runs/controlled"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/controlled-table.json"))
    parser.add_argument("--only", nargs="*", help="names of variants")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = args.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    names = args.only or list(VARIANTS)
    for name in names:
        place = folder / f"{slug(name)}-{args.seed}.json"
        if not place.exists():
            place.write_text(json.dumps(run(name, args), indent=2) + "\n", encoding="utf-8")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    rows.sort(key=lambda row: list(VARIANTS).index(row["variant"]))
    args.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line per variant; means over seeds."""
    lines = [
        "| variant | form | validation, float | validation, integer | agreement with teacher | seeds | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["variant"] for row in rows):
        runs = [row for row in rows if row["variant"] == name]
        integer = f"{_mean(runs, 'validation'):.1f}" if runs[0]["form"] == "integer" else ""
        lines.append(
            f"| {name} | {runs[0]['form']} | {_mean(runs, 'validation_float'):.1f} | {integer} | "
            f"{_mean(runs, 'agreement'):.1f} | {len(runs)} | {sum(run['seconds'] for run in runs) / len(runs):.0f} |"
        )
    return "\n".join(lines)


def _mean(runs: list[dict[str, Any]], field: str) -> float:
    """In per cent."""
    return 100 * sum(run[field] for run in runs) / len(runs)


def run(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train one variant and measure it."""
    recipe = recipe_of(VARIANTS[name])
    corpus = Corpus.read(recipe, args.data)
    unseen, corpus = split(corpus)
    tokenizer = AutoTokenizer.from_pretrained(args.teacher)
    prepared = prepare(
        recipe, corpus, tokenizer, base=args.base, teacher=args.teacher,
        work=args.work / "answers",
    )  # fmt: skip
    start = time.monotonic()
    trained = distil(
        recipe, prepared, tokenizer, args.work / f"{slug(name)}-{args.seed}",
        machine=Machine(quiet=True, cpu=True), seed=args.seed, resume=True,
    )  # fmt: skip
    seconds = time.monotonic() - start
    said = teacher_says(args.teacher, tokenizer, unseen, args.work / "unseen.json")
    agreement = answered_right(trained.student, tokenizer, said, recipe.tokens)
    return {
        "variant": name,
        "seed": args.seed,
        "form": "float" if trained.integer is None else "integer",
        "validation": trained.floating if trained.integer is None else trained.integer,
        "validation_float": trained.floating,
        "agreement": sum(agreement) / len(agreement),
        "unseen_sentences": len(unseen),
        "steps": {name: stage.training.steps for name, stage in recipe.stages.items()},
        "seconds": round(seconds),
    }


def split(corpus: Corpus) -> tuple[list[str], Corpus]:
    """Whole sentences held out for the agreement, and a corpus of ``ROWS`` of the others."""
    examples = list(dict.fromkeys(corpus.train))
    random.Random(0).shuffle(examples)
    held = [e.text for e in examples if len(e.text.split()) > 8][:UNSEEN]
    # A phrase of a held-out sentence that is more than common words in a row would give it away.
    told = {phrase for text in held for phrase in phrases(text)}
    return held, replace(corpus, train=[e for e in examples if e.text not in told][:ROWS])


def phrases(text: str, least: int = 4) -> set[str]:
    """All runs of at least ``least`` words, the sentence itself among them."""
    words = text.split()
    ends = range(least, len(words) + 1)
    return {" ".join(words[start:end]) for end in ends for start in range(end - least + 1)}


def teacher_says(teacher: Path, tokenizer: Any, texts: list[str], kept: Path) -> list[Example]:
    """The sentences with the teacher's own answers as labels; asked once, then read from ``kept``."""
    if not kept.exists():
        oracle = Oracle(teacher, [], head=True, max_tokens=64)
        labels: list[int] = []
        for start in range(0, len(texts), 128):
            ids, mask = pad(encode(tokenizer, texts[start : start + 128], 64)["input_ids"])
            labels += oracle(ids, mask).logits.argmax(-1).tolist()
        kept.write_text(json.dumps(labels), encoding="utf-8")
    found = json.loads(kept.read_text(encoding="utf-8"))
    return [Example(text, label) for text, label in zip(texts, found, strict=True)]


def slug(name: str) -> str:
    """A file name."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")


if __name__ == "__main__":
    main()
