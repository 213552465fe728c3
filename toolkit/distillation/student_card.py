"""The model card of a student folder, from the run's own figures."""

from __future__ import annotations

from pathlib import Path

from toolkit.models.configuration import StudentConfig
from toolkit.models.storage import load_facts, student_hash


def student_card(folder: Path) -> str:
    """Markdown; every figure comes from ``config.json``."""
    facts = load_facts(folder)
    config = StudentConfig.from_dict(facts["student"])  # type: ignore[arg-type]
    test: dict[str, float] = facts["accuracy"]  # type: ignore[assignment]
    validation: dict[str, float] = facts["validation_accuracy"]  # type: ignore[assignment]
    baseline = facts.get("naive_bayes_test")
    naive_bayes = "not given" if baseline is None else f"{100 * float(str(baseline)):.2f} %"
    mark = (
        "carries the published demo key's watermark (it proves nothing: anybody has the key)"
        if facts.get("watermarked")
        else "no watermark: an independent control for ownership tests"
    )
    return f"""# Spiking student, {config.layers} blocks x {config.width}, {config.attention} attention

Integer form: int16 encoder tables, 8-bit even weights, T = {config.steps} steps, {config.tokens} tokens.
{mark[0].upper() + mark[1:]}.

| form | test accuracy ({facts["test_examples"]} sentences) | validation |
|---|---|---|
{_teacher_row(facts.get("teacher"), test)}
| student, float | | {100 * validation["float"]:.2f} % |
| **student, integer** | **{100 * test["integer"]:.2f} %** | {100 * validation["integer"]:.2f} % |
| naive Bayes, for comparison | {naive_bayes} | |

The checkpoint was chosen on the validation split; the test split was read once.

Recipe `{facts["recipe"]}`, seed {facts["seed"]}, {facts["training_seconds"]} s for the student's stages on
{facts["machine"]}.

Training data: {facts["data_licence"]}

Weights sha256: `{student_hash(folder)}`
"""


def _teacher_row(teacher: object, test: dict[str, float]) -> str:
    """The teacher's line; one that came ready has no steps and no validation figure of ours."""
    if not isinstance(teacher, dict):
        return "| no teacher: trained on the labels alone | | |"
    steps = f" ({teacher['steps']} steps)" if "steps" in teacher else ""
    best = f"{100 * teacher['validation_accuracy']:.2f} %" if "validation_accuracy" in teacher else "not measured"
    return f"| teacher{steps} | {100 * test['teacher']:.2f} % | {best} |"
