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
    worst = max(manifest.bounds.items(), key=lambda item: max(-item[1]["low"], item[1]["high"]) / item[1]["limit"])
    return (
        f"{TITLE}\n\n"
        "A spiking transformer in integers, exported by spikeport. `model.nir` is the network, "
        "`encoder.safetensors` and `tokenizer.json` the host's part, `golden.npz` inputs with the spikes and "
        "logits that every backend must give, `manifest.json` the meaning of every number.\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        f"Every accumulator is proved to stay in the chip's range for every input; closest to its limit is "
        f"{worst[0]} (range {worst[1]['low']} to {worst[1]['high']}, limit {worst[1]['limit']}).\n\n"
        "Not run on neuromorphic hardware: simulated, and executed by Lava's fixed-point CPU models.\n"
    )


def _watermark(facts: dict[str, Any]) -> str:
    """Embedded, none, or, where the fact is null, neither: weights fine-tuned elsewhere have to be tested."""
    if "watermarked" in facts and facts["watermarked"] is None:
        return "not known: fine-tuned since; test it with `spikeport watermark verify`"
    return "embedded" if facts.get("watermarked") else "none"
