"""The model card of a bundle, from its own facts."""

from __future__ import annotations

from typing import Any

from toolkit.bundle.manifest import Manifest

TITLE = "# Spiking text classifier"


def model_card(manifest: Manifest) -> str:
    """Markdown text; states only what the manifest holds."""
    config, facts = manifest.config, manifest.facts
    rows = [
        ("Labels", ", ".join(manifest.labels)),
        (
            "Network",
            f"{config.layers} blocks x {config.width} channels, {config.attention} attention, "
            f"T = {config.steps} steps, {manifest.tokens} tokens",
        ),
        ("Weights", "8-bit even integers, int16 encoder tables"),
        ("Made by", f"recipe {facts.get('recipe', 'unknown')}, seed {facts.get('seed', 'unknown')}"),
        ("Watermark", _watermark(facts)),
        ("Student sha256", manifest.student_sha256),
        ("Written by", f"spikeport {manifest.tool}"),
    ]
    accuracy = facts.get("accuracy")
    if isinstance(accuracy, dict):
        rows += [(f"Accuracy, {name}", f"{100 * float(value):.2f} %") for name, value in accuracy.items()]
    if facts.get("data_licence"):
        rows.append(("Training data", str(facts["data_licence"])))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        f"{TITLE}\n\n"
        "A spiking transformer in integers, exported by spikeport. `model.nir` is the network, "
        "`encoder.safetensors` and `tokenizer.json` the host's part, `golden.npz` inputs with the spikes and "
        "logits that every backend must give, `manifest.json` the meaning of every number.\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        f"{_bounds(manifest)}\n\n"
        "Not run on neuromorphic hardware: simulated, and executed by Lava's fixed-point CPU models.\n"
    )


def _watermark(facts: dict[str, Any]) -> str:
    """Embedded, none, or, where the fact is null, neither: weights fine-tuned elsewhere have to be tested."""
    if "watermarked" in facts and facts["watermarked"] is None:
        return "not known: fine-tuned since; test it with `spikeport watermark verify`"
    return "embedded" if facts.get("watermarked") else "none"


def _bounds(manifest: Manifest) -> str:
    """What is known of the accumulators."""

    def closeness(item: tuple[str, dict[str, Any]]) -> float:
        bound = item[1]
        return float(bound.get("margin", 1) * max(-bound["low"], bound["high"]) / bound["limit"])

    if not manifest.calibrated:
        name, worst = max(manifest.bounds.items(), key=closeness)
        return (
            f"Every accumulator is proved to stay in the chip's range for every input; closest to its limit is "
            f"{name} (range {worst['low']} to {worst['high']}, limit {worst['limit']})."
        )
    measured = {name: bound for name, bound in manifest.bounds.items() if bound["kind"] == "calibrated"}
    name, worst = max(measured.items(), key=closeness)
    return (
        f"**Calibrated, not proved.** In {len(measured)} of {len(manifest.bounds)} layers an input may take an "
        f"accumulator out of the chip's range. On {worst['samples']} sentences none came within a factor of "
        f"{worst['margin']:g} of it; closest to its limit is {name} (measured {worst['low']} to {worst['high']}, "
        f"limit {worst['limit']}). The host must run each input in spikeport's simulator first and refuse one that "
        "overflows: every verb of spikeport does, a program that reads `model.nir` by itself does not."
    )
