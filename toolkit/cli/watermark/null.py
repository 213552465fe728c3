"""``spikeport watermark null``: how often random keys pass on models that nobody marked."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import emit, say, tell
from toolkit.cli.watermark.options import (
    ALPHA,
    CARRIERS,
    CLEAN,
    JSON,
    KIND,
    QUERIES,
    TRIGGERS,
    UNKNOWN_HEAD,
    load_setting,
)


def null(
    out: Path = typer.Argument(help="Null record to write."),
    clean: list[Path] = CLEAN,
    carriers: Path | None = CARRIERS,
    keys: int = typer.Option(10_000, min=59, help="Random keys."),
    queries: int = QUERIES,
    kind: str = KIND,
    triggers: int | None = TRIGGERS,
    alpha: float = ALPHA,
    unknown_head: bool = UNKNOWN_HEAD,
    resume: bool = typer.Option(False, "--resume", help="Go on with what the file holds."),
    jobs: int = typer.Option(1, min=1, help="Clean models asked at the same time."),
    json: bool = JSON,
) -> None:
    """Test random keys on the clean models, once, before release: the key-level false-positive rate.

    A key counts where it passes on any of the models, the others being its null.
    """
    from toolkit.errors import SpikeportError
    from toolkit.watermark.null import measure_null

    if out.exists() and not resume:
        raise SpikeportError(f"{out}: exists; add --resume to go on with it, or name another file")
    setting = load_setting(clean, carriers)
    plan = setting.plan(
        queries=queries, kind=kind, triggers=triggers, alpha=alpha, unknown_head=unknown_head, null_keys=keys
    )
    record = measure_null(
        setting.test(plan),
        setting.hashes,
        path=out,
        resume=resume,
        jobs=jobs,
        progress=lambda done, passes: say(f"{done} of {keys} keys asked, {passes} pass"),
    )
    level = record.level
    emit(record.to_dict() | {"rate": level.rate, "bound": level.bound}, json)
    tell(
        f"{out}: {level.passes} of {level.keys} random keys pass on any of {len(setting.clean)} clean models; "
        f"the rate is at most {level.bound:.2g} (95 %)"
    )
