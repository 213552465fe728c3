"""``spikeport watermark``: key, commitment, and the ownership test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, say, tell
from toolkit.cli.lava_options import LAVA_MODE

if TYPE_CHECKING:
    from toolkit.backends.protocol import SpikeBackend

JSON = typer.Option(False, "--json", help="One JSON object on standard output.")
KEY = typer.Option(None, help="Key file (default: the published demo key).")
CLEAN = typer.Option(..., help="Bundle of an independent unmarked model; give at least two.")
CARRIERS = typer.Option(None, help="Labelled sentences that carry the triggers (default: the shipped ones).")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    watermark = typer.Typer(help="Keys, commitments and ownership tests.", no_args_is_help=True)
    watermark.command()(keygen)
    watermark.command()(commit)
    watermark.command()(verify)
    app.add_typer(watermark, name="watermark")


def keygen(out: Path = typer.Argument(help="Key file to write (mode 0600).")) -> None:
    """Make a secret key; an existing file is never overwritten."""
    from toolkit.watermark.key import Key

    key = Key.generate()
    key.save(out)
    tell(f"{out}: keep it secret; its commitment is {key.commitment}")


def commit(
    out: Path = typer.Argument(help="Commitment file to write and publish."),
    owner: str = typer.Option(..., help="Who claims the model."),
    release: str = typer.Option(..., help="Which release of it."),
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    carriers: Path | None = CARRIERS,
    json: bool = JSON,
) -> None:
    """Bind key, model, owner, release and test plan in one hash, before release."""
    from toolkit.bundle.manifest import GRAPH_FILE, MANIFEST_FILE
    from toolkit.bundle.writer import tool_version
    from toolkit.watermark.certificate import commit as make

    _, opened, test, secret = _test(bundle, clean, key, carriers)
    made = make(
        secret,
        opened.folder / GRAPH_FILE,
        opened.folder / MANIFEST_FILE,
        test.plan,
        owner=owner,
        release=release,
        tool_version=tool_version(),
    )
    made.save(out)
    emit(made.to_dict(), json)
    tell(f"{out}: digest {made.digest}; have it time-stamped by somebody else before you release")


def verify(
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    carriers: Path | None = CARRIERS,
    backend: str = typer.Option("simulator", help="simulator or lava."),
    lava_mode: str = LAVA_MODE,
    json: bool = JSON,
) -> None:
    """Test whether a bundle carries the key's watermark; exit status 1 where it is not proven."""
    from toolkit.backends.labels import EncodedLabels
    from toolkit.backends.lava import Lava
    from toolkit.backends.lava_options import LavaOptions
    from toolkit.backends.simulator import Simulator
    from toolkit.errors import SpikeportError

    if backend not in ("simulator", "lava"):
        raise SpikeportError(f"--backend {backend}: unknown; choose simulator or lava")
    _, opened, test, secret = _test(bundle, clean, key, carriers)
    calibrated = opened.manifest.calibrated
    runner: SpikeBackend = Simulator(opened.graph)
    if backend == "lava":
        runner = Lava(opened.graph, say, calibrated, LavaOptions(lava_mode))
    name = f"{backend} {opened.manifest.student_sha256[:12]}"
    evidence = test.evidence(secret, EncodedLabels(name, opened.encoder, runner))
    entry = evidence.to_dict() | {"mode": runner.mode}
    emit(entry, json)
    level = entry["key_level"]
    tell(
        f"{entry['hits']} of {entry['queries']} triggered queries hit (WESR {100 * entry['wesr']:.1f} %), "
        f"null at most {100 * entry['p0']:.1f} %, p = {entry['p_value']:.2g}; {level['passes']} of "
        f"{level['keys']} random keys pass (rate at most {100 * level['bound']:.1f} %): {entry['verdict']}"
    )
    if not evidence.passed:
        raise typer.Exit(1)


def _test(bundle: Path, clean: list[Path], key: Path | None, carriers: Path | None):  # type: ignore[no-untyped-def]
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
