"""The four answers at the top of a report: did the function arrive, how accurate, what cost, whose model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolkit.reporting.schema import Energy, Equivalence, Report, Task, WatermarkResult
from toolkit.reporting.units import clean, count, label, percent, points, probability, sides, span

Status = Literal["holds", "fails", "caution", "estimate", "not tested"]
Group = Literal["marginal", "all_in", "device", "literature"]

GROUP_TITLES: dict[Group, str] = {
    "marginal": "Chips, per-operation (marginal) prices",
    "all_in": "Chips, all-in figure (from whole-chip measurements; the basis says what it holds)",
    "device": "Conventional devices",
    "literature": "Literature convention: operation counts, not a chip",
}
DEMO_NOTE = "demo key, proves nothing"
_DEPLOYED_FORMS = ("integer", "simulator", "lava", "student")
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Verdict:
    """One question, its status, and the figures: one statement a line."""

    question: str
    status: Status
    text: str


def summarise(report: Report) -> list[Verdict]:
    """The verdict lines, in the order in which the report tells them."""
    return [_function(report), _accuracy(report["task"]), _cost(report["energy"]), _ownership(report)]


def wilson(fraction: float, examples: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson, JASA 22, 1927); no examples, no knowledge: (0, 1)."""
    if not examples:
        return 0.0, 1.0
    z2 = _Z95**2
    centre = (fraction + z2 / (2 * examples)) / (1 + z2 / examples)
    half = _Z95 / (1 + z2 / examples) * math.sqrt(fraction * (1 - fraction) / examples + z2 / (4 * examples**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def group_of(entry: Energy) -> Group:
    """Where an estimate is shown. Literature conventions never stand among chips."""
    basis = entry["basis"].lower().replace("-", "_")
    kind = entry.get("kind")
    if kind == "literature" or any(word in basis for word in ("literature", "convention", "45 nm", "45nm")):
        return "literature"
    if kind == "device" or any(word in basis for word in ("device", "gpu", "cpu")):
        return "device"
    return "all_in" if "all_in" in basis else "marginal"


def grouped(energy: list[Energy]) -> list[tuple[Group, list[Energy]]]:
    """Estimates by group, the given order kept: an order by size would be a ranking."""
    groups = [(group, [entry for entry in energy if group_of(entry) == group]) for group in GROUP_TITLES]
    return [(group, entries) for group, entries in groups if entries]


def advice_of(entry: Energy) -> str:
    """Which limit of the chip binds and what would fit; empty where the placement does not say."""
    return clean(entry.get("placement", {}).get("advice") or "")


def examples_of(task: Task, form: str) -> int:
    """How many examples stand behind one form's accuracy."""
    return task.get("examples_by_form", {}).get(form, task["examples"])


def equal(entry: Equivalence) -> bool | None:
    """Whether a backend agreed everywhere; None if nothing was compared."""
    if not entry["samples"]:
        return None
    return entry["spike_mismatches"] == 0 and entry["logit_mismatches"] == 0


def is_demo(report: Report) -> bool:
    """Whether any ownership result was obtained with the published demonstration key."""
    mark = report["watermark"]
    if mark is None:
        return False
    texts = [mark.get("note") or "", *(result["verdict"] for result in mark["backends"] + mark["controls"])]
    return any("demo key" in text.lower() for text in texts)


def proven(result: WatermarkResult) -> bool:
    """Whether a result's verdict claims ownership."""
    return result["verdict"].strip().lower().startswith("proven")


def _function(report: Report) -> Verdict:
    question = "Did the function arrive?"
    ran = [entry for entry in report["equivalence"] if equal(entry) is not None]
    if not ran:
        return Verdict(question, "not tested", "No backend was compared in this run.")
    wrong = [entry for entry in ran if not equal(entry)]
    compared = sum(entry["spikes_compared"] for entry in ran)
    differ = sum(entry["spike_mismatches"] for entry in ran)
    logits = sum(entry["logit_mismatches"] for entry in ran)
    figures = f"{count(differ)} mismatches of {count(compared)} spikes compared, {count(logits)} logits differ"
    if wrong:
        names = ", ".join(dict.fromkeys(clean(entry["backend"]) for entry in wrong))
        return Verdict(question, "fails", f"{len(wrong)} of {len(ran)} runs differ ({names}): {figures}.")
    runs = "run" if len(ran) == 1 else "runs"
    return Verdict(question, "holds" if compared else "caution", f"{len(ran)} {runs} equal: {figures}.")


def _accuracy(task: Task) -> Verdict:
    question = "How accurate is it?"
    scores = task["accuracy"]
    form = next((name for name in _DEPLOYED_FORMS if name in scores), next(iter(scores), None))
    if form is None:
        return Verdict(question, "not tested", "No accuracy was measured in this run.")
    low, high = wilson(scores[form], examples_of(task, form))
    text = f"{label(form).capitalize()}: {percent(scores[form])}"
    text += f" (95 % interval {low * 100:.1f} to {high * 100:.1f})"
    if "teacher" in scores and form != "teacher":
        text += f", {points(scores[form] - scores['teacher'])} against the teacher"
    bars = {**task["baselines"], "largest class": task["largest_class"]}
    name, bar = max(bars.items(), key=lambda item: item[1])
    status: Status = "holds" if low > bar else "fails" if scores[form] <= bar else "caution"
    word = {"holds": "above", "fails": "not above", "caution": "not clearly above"}[status]
    return Verdict(question, status, f"{text}; {word} the best baseline, {label(name)} at {percent(bar)}.")


def _cost(energy: list[Energy]) -> Verdict:
    question = "What would it cost?"
    chips = [entry for group, entries in grouped(energy) if group in ("marginal", "all_in") for entry in entries]
    if not chips:
        return Verdict(question, "not tested", "No chip was estimated in this run.")
    status: Status = "estimate" if any(entry["fits"] is not False for entry in chips) else "caution"
    return Verdict(question, status, "\n".join(_cost_of(entry) for entry in chips))


def _cost_of(entry: Energy) -> str:
    parts = [span(entry["joules"], "J")]
    if sides(entry["seconds"]) != (None, None, None):
        parts.append(span(entry["seconds"], "s"))
    misfit = entry["fits"] is False
    advice = advice_of(entry)
    if entry["cores"] is not None and not (misfit and advice):
        parts.append(f"{count(entry['cores'])} cores")
    if misfit:
        first = advice.partition("; ")[0]  # the rest of it, what would fit, is long and stands in the section
        parts.append(f"DOES NOT FIT: {first}" if first else "DOES NOT FIT")
    text = f"{clean(entry['profile'])}: {'; '.join(parts)}"
    if entry["unpriced"]:
        terms = "term" if len(entry["unpriced"]) == 1 else "terms"
        text += f"; {len(entry['unpriced'])} {terms} without a price"
    return text + "."


def _ownership(report: Report) -> Verdict:
    question = "Whose model is it?"
    mark = report["watermark"]
    if mark is None or not mark["backends"]:
        return Verdict(question, "not tested", "No ownership test was run.")
    results, controls = mark["backends"], mark["controls"]
    passed, false_claims = sum(map(proven, results)), sum(map(proven, controls))
    worst = max(results, key=lambda result: result["p_value"])
    text = (
        f"The test passes on {passed} of {len(results)} backends and {false_claims} of {len(controls)} clean "
        f"controls; largest p over the backends: {probability(worst['p_value'])}."
    )
    if is_demo(report):
        text = f"{DEMO_NOTE.replace('demo', 'Demo', 1)}. {text}"
    if false_claims:
        return Verdict(question, "fails", f"The test also claims a model without the mark. {text}")
    if passed < len(results):
        return Verdict(question, "fails", text)
    if is_demo(report):
        return Verdict(question, "caution", text)
    if not controls or any(result["key_level"] is None for result in results):
        return Verdict(question, "caution", f"{text} Clean controls or the key-level rate are missing.")
    return Verdict(question, "holds", text)


def provenance(report: Report) -> list[tuple[str, str]]:
    """What kind of evidence stands in this report: simulated, estimated, run on hardware."""
    hardware = [entry for entry in report["equivalence"] if entry["mode"] == "hardware" and entry["samples"]]
    software = [entry for entry in report["equivalence"] if entry["mode"] != "hardware" and entry["samples"]]
    return [
        ("Simulated", _listed(software, "Spikes, logits and activity")),
        (
            "Estimated",
            "Energy, latency, cores: activity × published constants" if report["energy"] else "Nothing",
        ),
        ("Run on hardware", _listed(hardware, "Spikes and logits") if hardware else "Nothing"),
    ]


def _listed(entries: list[Equivalence], what: str) -> str:
    names = dict.fromkeys(f"{clean(e['backend'])} {clean(e['version'])}".strip() for e in entries)
    return f"{what}, on {', '.join(names)}" if names else what
