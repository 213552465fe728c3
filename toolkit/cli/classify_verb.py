"""``spikeport classify``: one sentence, answered by the simulated chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from toolkit.cli.io import emit, tell, warn_if_approximate

BUNDLE = typer.Option(Path("build/demo/bundle"), help="Bundle folder.")


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def classify(
        sentences: list[str] = typer.Argument(help="One or more sentences."),
        bundle: Path = BUNDLE,
        json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
    ) -> None:
        """Answer sentences from the simulated chip."""
        from toolkit.bundle.reader import open_bundle
        from toolkit.demo.classify import classify as run

        opened = open_bundle(bundle)
        warn_if_approximate(opened.manifest.approximation)
        answer = run(opened, sentences)
        names = opened.manifest.labels
        results: list[dict[str, Any]] = [
            {
                "text": text,
                "label": names[int(answer.labels[i])],
                "probabilities": {n: float(p) for n, p in zip(names, answer.probabilities[i], strict=True)},
                "integer_logits": [int(v) for v in answer.sums[i]],
            }
            for i, text in enumerate(sentences)
        ]
        for index, length in answer.truncated:
            tell(f"sentence {index + 1}: {length} word pieces, cut to {opened.encoder.limit}")
            results[index]["truncated_from"] = length

        def human() -> None:
            for result in results:
                typer.echo(_line(result))

        emit({"results": results}, json, human)


def _line(result: dict[str, Any]) -> str:
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in result["probabilities"].items())
    text = str(result["text"])
    return f"{result['label']}  ({shares})  {text if len(text) <= 80 else text[:77] + '...'}"
