"""What the recipes gave, over seeds: from student folders to one JSON file and the table in the docs.

    python benchmarks/training_results.py STUDENT... [--json FILE]

Reads the figures that each run wrote into its student's ``config.json``; measures nothing itself. The loss from
float to integer form is paired: the same sentences of validation and test split, both forms, seed by seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.paired import mean_and_upper

PUBLISHED = {  # SpikeBERT (arXiv 2308.15122, table 1; selected on the test set), best spiking figure since
    "sst2": (85.39, 88.76),
    "mr": (80.69, 85.63),
    "subj": (93.00, 95.45),
    "chnsenticorp": (86.36, 87.95),
}
ORDER = ("sst2", "sst2-long", "mr", "subj", "chnsenticorp")


def read(folder: Path) -> dict[str, Any]:
    """The facts of one run that the table needs."""
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts = content if "accuracy" in content else content["facts"]
    names = ("recipe", "seed", "accuracy", "validation_accuracy", "float_to_integer", "training_seconds", "machine",
             "test_examples", "test_examples_not_in_train", "naive_bayes_test", "teacher", "student")  # fmt: skip
    return {name: facts.get(name, content.get(name)) for name in names}


def found(place: Path) -> list[dict[str, Any]]:
    """The runs of a student folder (one) or of a file that this script wrote."""
    if place.suffix == ".json":
        runs: list[dict[str, Any]] = json.loads(place.read_text(encoding="utf-8"))["runs"]
        return runs
    return [read(place)]


def quantisation_loss(runs: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Mean loss from float to integer in points over runs, and its one-sided upper 95 % limit (Student's t)."""
    counts = [run["float_to_integer"] for run in runs if run["float_to_integer"]]
    losses = [100 * (c["only_float"] - c["only_integer"]) / c["rows"] for c in counts]
    if len(losses) < 2:
        return None
    mean, upper = mean_and_upper(losses)
    assert upper is not None  # of two or more
    return {"runs": len(losses), "mean": mean, "upper": upper}


def mean_and_deviation(values: Sequence[float]) -> str:
    """``85.12 ± 0.30 (3)`` in per cent."""
    shown = f"{100 * statistics.mean(values):.2f}"
    return f"{shown} ± {100 * statistics.stdev(values):.2f} ({len(values)})" if len(values) > 1 else f"{shown} (1)"


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown, one row per recipe."""
    by_recipe: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_recipe[run["recipe"]].append(run)
    lines = [
        "| recipe | teacher, test | integer student, test (seeds) | on rows not in train | naive Bayes | SpikeBERT "
        "| best since | validation | seeds | training, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in sorted(by_recipe, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n)):
        lines.append(_row(name, by_recipe[name]))
    return "\n".join(lines)


def _row(name: str, runs: list[dict[str, Any]]) -> str:
    form = "integer" if "integer" in runs[0]["accuracy"] else "float"
    test = [run["accuracy"][form] for run in runs]
    unseen = [run["accuracy"].get(f"{form}_not_in_train") for run in runs]
    teacher = runs[0]["accuracy"].get("teacher")
    bayes = runs[0]["naive_bayes_test"]
    published = PUBLISHED.get(name.partition("-")[0])
    cells = [
        f"`{name}`" + ("" if form == "integer" else " (float)"),
        f"{100 * teacher:.2f}" if teacher else "none",
        mean_and_deviation(test),
        mean_and_deviation([u for u in unseen if u is not None]) if all(u is not None for u in unseen) else "the same",
        f"{100 * bayes:.2f}" if bayes else "",
        f"{published[0]:.2f}" if published else "",
        f"{published[1]:.2f}" if published else "",
        mean_and_deviation([run["validation_accuracy"][form] for run in runs]),
        ", ".join(str(run["seed"]) for run in runs),
        f"{statistics.median(run['training_seconds'] for run in runs):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Read the folders, write JSON and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("students", type=Path, nargs="+", help="student folders, or JSON files of earlier calls")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/training.json"))
    args = parser.parse_args()
    runs = sorted(
        (run for place in args.students for run in found(place)), key=lambda run: (run["recipe"], run["seed"])
    )
    loss = quantisation_loss(runs)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"runs": runs, "float_to_integer": loss}, indent=2) + "\n", encoding="utf-8")
    print(table(runs))
    if loss:
        print(
            f"\nFloat to integer, paired over validation and test, {loss['runs']} runs: mean loss {loss['mean']:.2f} "
            f"points, upper 95 % limit {loss['upper']:.2f}."
        )


if __name__ == "__main__":
    main()
