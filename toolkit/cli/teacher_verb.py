"""``spikeport teacher``: fine-tune a raw BERT on a recipe's data, for people who have no classifier yet."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.distill_verb import recipe_file
from toolkit.cli.io import say


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def teacher(
        out: Path = typer.Argument(help="Folder for the teacher."),
        data: str = typer.Option(..., help="Data folder; hub downloads the recipe's own, hub:NAME another."),
        recipe: str = typer.Option("sst2", help="Recipe name or TOML file; its [teacher] and [data] are used."),
        base: Path | None = typer.Option(
            None, help="BERT to start from (default: all-MiniLM-L6-v2 as packaged on PyPI)."
        ),
        seed: int = typer.Option(0, min=0, help="Random seed."),
        resume: bool = typer.Option(False, "--resume", help="Go on with a run that was stopped."),
        precision: str = typer.Option("fp32", help="fp32, bf16 or fp16."),
        cpu: bool = typer.Option(False, "--cpu", help="Stay on the CPU even where there is a GPU."),
        threads: int | None = typer.Option(None, min=1, help="CPU threads."),
        quiet: bool = typer.Option(False, "--quiet", help="No progress bars."),
    ) -> None:
        """Fine-tune a BERT; keeps the weights that are best on the validation split, then reads the test split once."""
        import torch

        from toolkit.distillation.command import teach
        from toolkit.distillation.trainer import Machine

        if threads:
            torch.set_num_threads(threads)
        teach(
            recipe_file(recipe), data, out, base=base, seed=seed, resume=resume,
            machine=Machine(precision=precision, quiet=quiet, cpu=cpu), say=say,
        )  # fmt: skip
