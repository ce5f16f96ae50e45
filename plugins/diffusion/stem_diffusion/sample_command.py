"""``stem sample``: new items of a trained model."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from stemcore import Command, UserError, complete_overrides_of_run, complete_runs, reporter

SAMPLERS = ("ddpm", "ddim", "dpm++")
PARTS = ("train", "val", "test")


@click.command(cls=Command)
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_runs)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_overrides_of_run)
@click.option("-n", "count", type=click.IntRange(min=1), required=True, metavar="N", help="How many items.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder; RUN/samples/seed<SEED> without.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of the noise; that of the recipe without.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Of sampling; those of the recipe without.")
@click.option("--sampler", type=click.Choice(SAMPLERS), help="That of the recipe without.")
@click.option(
    "--guidance", type=click.FloatRange(min=0), metavar="G", help="How far conditions are followed; 1: as is."
)
@click.option("--eta", type=click.FloatRange(0, 1), metavar="ETA", help="Noise that ddim adds; 1: as much as ddpm.")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the items are to be, may be given again: label=NAME or label=0,1,2 (in turn), vector=0.5,1, or an "
    "image, a folder of images or a .npy file.",
)
@click.option("--condition-from", "part", type=click.Choice(PARTS), help="Conditions of the run's own items, in turn.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="At a time.")
def sample(
    run: Path,
    overrides: tuple[str, ...],
    count: int,
    out: Path | None,
    seed: int | None,
    steps: int | None,
    sampler: str | None,
    guidance: float | None,
    eta: float | None,
    conditions: tuple[str, ...],
    part: str | None,
    batch_size: int,
) -> None:
    """Draw new items by a trained model.

    RUN is a run directory. KEY=VALUE changes what of its model does not change the weights, such as
    model.clip_denoised. A model of latents hands them on to the decoder of its autoencoder.

    DIR gets samples.npy (physical units), latents.npy and segmentation.npy where there are such, grid.png, a PNG file
    for each image, and samples.json; where masks or images were given, conditions.png with the items below them, and
    how far the decoder sees the given classes of pixels. An item depends on the seed and its number alone: the first
    ones are the same however many are drawn, and at whatever batch size. The folder's name is printed.
    """
    from stem_diffusion.drawing import Drawing

    if guidance is not None and not conditions and part is None:
        raise UserError(
            "is for samples under conditions", where="--guidance", hint="give one by --condition NAME=VALUE"
        )
    given = {"sampler": sampler, "steps": steps, "guidance": guidance, "eta": eta}
    settings = [f"model.{name}={value}" for name, value in given.items() if value is not None]
    with redirect_stdout(sys.stderr):
        drawing = Drawing(run, [*overrides, *settings], seed)
        folder = drawing.write(count, out, conditions, part, batch_size, reporter())
    click.echo(str(folder))
