"""Options that several of the watermark's verbs share, and the test that they describe."""

from __future__ import annotations

from pathlib import Path

import typer

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")
KEY = typer.Option(None, help="Key file (default: the published demo key).")
CLEAN = typer.Option(..., help="Bundle of an independent unmarked model; give at least two.")
CARRIERS = typer.Option(None, help="Labelled sentences that carry the triggers (default: the shipped ones).")


def ownership_test(bundle: Path, clean: list[Path], key: Path | None, carriers: Path | None):  # type: ignore[no-untyped-def]
    """Clean models, bundle, test and key of a command line."""
    from toolkit.bundle.reader import open_bundle
    from toolkit.demo.ownership import chip_labels, make_test
    from toolkit.demo.run import SENTENCES
    from toolkit.distillation.corpus import read_examples
    from toolkit.watermark.key import Key, demo_key

    opened = open_bundle(bundle)
    models = []
    for folder in clean:
        other = open_bundle(folder)
        models.append(chip_labels(f"clean {other.manifest.student_sha256[:12]}", other))
    texts = read_examples(carriers or SENTENCES, len(opened.manifest.labels))
    secret = Key.load(key) if key else demo_key()
    return models, opened, make_test(opened, models, texts), secret
