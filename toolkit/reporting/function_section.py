"""Sections for the deployer: equal spikes, accuracy, examples, firing rates."""

from __future__ import annotations

import json

from toolkit.reporting.elements import Column, details, figure, pill, row, rows, section, table
from toolkit.reporting.figures import Bar, bar_chart, nice_maximum
from toolkit.reporting.markup import Markup, el, join
from toolkit.reporting.schema import Equivalence, LayerActivity, Report, Sentence, Task
from toolkit.reporting.summary import equal, examples_of, wilson
from toolkit.reporting.units import clean, count, duration, label, percent, si

_BACKENDS = [
    Column("Backend"),
    Column("Mode"),
    Column("Student"),
    Column("Sentences", True),
    Column("Spikes that differ", True),
    Column("Logits that differ", True),
    Column("Result"),
    Column("Time", True),
]
_LAYERS = [Column("Layer"), Column("Spikes compared", True), Column("Differ", True)]


def equivalence_section(entries: list[Equivalence]) -> Markup:
    """One line per backend, its layers folded below."""
    lead = (
        "Every spike of every layer and every integer logit is compared with the reference simulator on the "
        "same sentences. The claim is equality, so one difference is a failure."
    )
    if not entries:
        return section("function", "Did the function arrive?", lead, el("p", "No backend was compared in this run."))
    lines = [row(_BACKENDS, _equivalence_cells(entry)) for entry in entries]
    whole = table("Backends against the reference simulator", _BACKENDS, el("tbody", lines))
    return section("function", "Did the function arrive?", lead, whole, [_layers(entry) for entry in entries])


def _equivalence_cells(entry: Equivalence) -> list[str | Markup]:
    outcome = {True: ("equal", "holds"), False: ("differs", "fails"), None: ("not run", "not tested")}[equal(entry)]
    return [
        join(entry["backend"], " ", el("span", entry["version"], class_="soft small")),
        entry["mode"],
        entry["student"],
        count(entry["samples"]),
        f"{count(entry['spike_mismatches'])} of {count(entry['spikes_compared'])}",
        count(entry["logit_mismatches"]),
        pill(*outcome),
        duration(entry["seconds"]),
    ]


def _layers(entry: Equivalence) -> Markup | None:
    if not entry["layers"] and entry["first_difference"] is None:
        return None
    wrong = sum(layer["mismatches"] > 0 for layer in entry["layers"])
    title = f"{entry['backend']} ({entry['student']}): {wrong} of {len(entry['layers'])} layers differ"
    lines = [[layer["name"], count(layer["compared"]), count(layer["mismatches"])] for layer in entry["layers"]]
    body = table(f"Layers of {clean(entry['backend'])}", _LAYERS, rows(_LAYERS, lines))
    first = entry["first_difference"]
    found = first and el("p", "First difference: ", el("code", json.dumps(first, ensure_ascii=False, default=str)))
    return details(title, found, body, open_=bool(wrong) or first is not None)


def accuracy_section(task: Task, sentences: list[Sentence]) -> Markup:
    """Bars from zero, each with its interval, the baselines as lines across them."""
    lead = (
        f"Share of examples classified correctly: {clean(task['name'])}, {clean(task['split'])}. Whiskers are "
        "95 % score intervals (Wilson) over examples; they do not cover variation between training seeds."
    )
    bars = [_accuracy_bar(task, form, value) for form, value in task["accuracy"].items()]
    lines = [(value, f"{label(name)} {percent(value)}") for name, value in task["baselines"].items()]
    lines.append((task["largest_class"], f"largest class {percent(task['largest_class'])}"))
    ticks = [(k / 5, f"{20 * k} %") for k in range(6)]
    picture = bar_chart("Accuracy by form of the model", bars, 1.0, ticks, lines)
    shown = figure(picture, f"Accuracy of each form; {count(task['examples'])} examples unless stated otherwise.")
    return section("accuracy", "How accurate is it?", lead, shown if bars else None, _sentences(sentences))


def _accuracy_bar(task: Task, form: str, value: float) -> Bar:
    examples = examples_of(task, form)
    low, high = wilson(value, examples)
    text = f"{percent(value)} [{low * 100:.1f} – {high * 100:.1f}]"
    name = label(form) if examples == task["examples"] else f"{label(form)} (n = {count(examples)})"
    return Bar(name, value, text, "other" if form == "teacher" else "", (low, high))


def _sentences(sentences: list[Sentence]) -> Markup | None:
    if not sentences:
        return None
    columns = [Column("Sentence"), Column("Label"), Column("Predicted"), Column("Probabilities", True)]
    lines = [
        [
            el("bdi", sentence["text"]),
            "–" if sentence["label"] is None else str(sentence["label"]),
            str(sentence["predicted"]),
            probabilities(sentence),
        ]
        for sentence in sentences
    ]
    return join(el("h3", "A few sentences"), table("What the deployed student says", columns, rows(columns, lines)))


def probabilities(sentence: Sentence) -> str:
    """``0.12 · 0.88``, or ``negative 0.12 · positive 0.88`` where the labels are named."""
    values = sentence["probabilities"]
    if isinstance(values, dict):
        return " · ".join(f"{name} {value:.2f}" for name, value in values.items())
    return " · ".join(f"{value:.2f}" for value in values)


def activity_section(report: Report) -> Markup:
    """Firing rates as bars; synaptic operations and neurons in a folded table."""
    layers = report["activity"]
    lead = (
        "Firing rate: spikes per neuron and time step, averaged over the simulated sentences, padding "
        "included. A synaptic operation is one spike delivered over one non-zero weight (NeuroBench)."
    )
    if not layers:
        return section("activity", "How active is it?", lead, el("p", "No activity was recorded in this run."))
    picture = figure(_rates(layers), "Firing rate per layer, in the order of the graph.")
    columns = [
        Column("Layer"),
        Column("Firing rate", True),
        Column("Synaptic operations", True),
        Column("Neurons", True),
    ]
    lines = [[layer["name"], rate(layer), synops(layer), count(layer["neurons"])] for layer in layers]
    whole = table("Activity per inference", columns, rows(columns, lines))
    return section("activity", "How active is it?", lead, picture, details("Figures of every layer", whole))


def rate(layer: LayerActivity) -> str:
    """Firing rate in percent; a dash for a node that has no neurons to fire."""
    return "–" if layer["firing_rate"] is None else percent(layer["firing_rate"], 2)


def synops(layer: LayerActivity) -> str:
    """Synaptic operations per inference; a dash for a node that has no synapses."""
    return "–" if layer["synops"] is None else f"{si(layer['synops'])} SynOps".replace("  ", " ")


def _rates(layers: list[LayerActivity]) -> Markup:
    bars = [Bar(layer["name"], r, rate(layer)) for layer in layers if (r := layer["firing_rate"]) is not None]
    top = nice_maximum(max((bar.value for bar in bars), default=0.0))
    ticks = [(top * k / 4, percent(top * k / 4, 1 if top >= 0.04 else 2)) for k in range(5)]
    return bar_chart("Firing rate per layer", bars, top, ticks)
