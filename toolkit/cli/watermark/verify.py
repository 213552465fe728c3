"""``spikeport watermark verify``: the pre-registered test on one backend or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from toolkit.cli.classify_verb import BUNDLE
from toolkit.cli.io import emit, say, tell
from toolkit.cli.lava_options import LAVA_MODE
from toolkit.cli.watermark.options import (
    ALPHA,
    CARRIERS,
    CLEAN,
    JSON,
    KEY,
    KIND,
    NULL,
    QUERIES,
    TRIGGERS,
    UNKNOWN_HEAD,
    load_key,
    load_setting,
)


def verify(
    clean: list[Path] = CLEAN,
    bundle: Path = BUNDLE,
    key: Path | None = KEY,
    certificate: Path | None = typer.Option(None, help="What was committed before release; its plan is the test."),
    carriers: Path | None = CARRIERS,
    null: Path | None = NULL,
    backend: list[str] = typer.Option(
        ["simulator"], help='torch, simulator, onnx, snntorch, lava or command:"PROGRAM"; repeatable.'
    ),
    student: Path | None = typer.Option(None, help="Student folder, for torch."),
    lava_mode: str = LAVA_MODE,
    timeout: float = typer.Option(600.0, help="Seconds that one call of a program may take."),
    queries: int = QUERIES,
    kind: str = KIND,
    triggers: int | None = TRIGGERS,
    alpha: float = ALPHA,
    unknown_head: bool = UNKNOWN_HEAD,
    partial: bool = typer.Option(False, "--partial", help="Also ask partial triggers, which must not fire."),
    json: bool = JSON,
) -> None:
    """Test whether a model carries the key's watermark; exit status 1 where it is not proven.

    Without a certificate nothing is proven: a key or a plan chosen after the fact cannot be ruled out. The plan's
    options (--queries, --kind, ...) are read only then.
    """
    from toolkit.backends.label_backends import check_names, open_labels
    from toolkit.backends.lava_options import LavaOptions
    from toolkit.bundle.manifest import GRAPH_FILE
    from toolkit.bundle.reader import open_bundle
    from toolkit.ownership.setting import check_suspect
    from toolkit.ownership.verification import verify_on
    from toolkit.watermark.certificate import hash_file, open_certificate
    from toolkit.watermark.null import NullRecord

    secret = load_key(key)
    check_names(backend)
    opened = open_certificate(certificate, secret) if certificate else None
    record = NullRecord.load(null) if null else None
    setting, suspect = load_setting(clean, carriers), open_bundle(bundle)
    check_suspect(setting, suspect)
    plan = opened.plan if opened else setting.plan(
        null=record, queries=queries, kind=kind, triggers=triggers, alpha=alpha, unknown_head=unknown_head
    )  # fmt: skip
    test = setting.test(plan, record)
    models = [
        open_labels(name, suspect, student=student, say=say, lava=LavaOptions(lava_mode), timeout=timeout)
        for name in dict.fromkeys(backend)
    ]
    _tell_budget(test.budget(secret))  # before any of them is asked
    found, told = verify_on(
        test, secret, models,
        certificate=opened, model_sha256=hash_file(suspect.folder / GRAPH_FILE), partial=partial,
    )  # fmt: skip
    emit(told, json)
    for entry in told["backends"]:
        _tell_entry(entry)
    if told["equal"] is not None:
        _tell_equal(told["equal"])
    if not all(entry.passed for entry in found) or (told["equal"] or {}).get("first_difference"):
        raise typer.Exit(1)


def _tell_budget(budget: dict[str, Any]) -> None:
    """What will be asked and what will count, before the suspect is asked anything."""
    for entry in budget["labels"]:
        needed = entry["hits_needed"]
        tell(
            f"plan: {entry['queries']} queries, kind {budget['kind']}; unmarked models give the label to at most "
            f"{100 * entry['p0']:.1f} %; p < {budget['alpha']:g} needs "
            + (f"{needed} hits" if needed is not None else "more hits than there are queries")
        )
    tell(
        f"plan: also the same {budget['queries']} sentences without triggers; where more of those get the label than "
        "unmarked models give, more hits are needed"
    )


def _tell_entry(entry: dict[str, Any]) -> None:
    level = entry["key_level"]
    tell(
        f"{entry['backend']}: {entry['hits']} of {entry['queries']} triggered queries hit "
        f"(WESR {100 * entry['wesr']:.1f} %), p = {entry['p_value']:.2g}; {level['passes']} of {level['keys']} random "
        f"keys pass (rate at most {100 * level['bound']:.2g} %): {entry['verdict']} [{entry['seconds']:.2f} s]"
    )
    if "partial" in entry:
        part = entry["partial"]
        tell(
            f"  partial triggers: {part['hits']} of {part['queries']} call the label, {part['carrier_hits']} of the "
            f"same sentences without any (p of equality {part['p_value']:.2g})"
        )


def _tell_equal(equal: dict[str, Any]) -> None:
    tell(f"answers equal on all backends: {equal['equal']} of {equal['queries']}")
    if equal["first_difference"]:
        first = equal["first_difference"]
        shown = ", ".join(f"{name}: {label}" for name, label in first["answers"].items())
        tell(f"  first difference at query {first['query']}: {shown}")
