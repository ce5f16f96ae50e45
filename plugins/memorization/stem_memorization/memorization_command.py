"""``stem memorization``: whether samples are copies of what was trained on."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from stemcore import Command, UserError, complete_overrides_of_run, complete_runs

_file = click.Path(path_type=Path)
VERDICTS = ("none", "minimal", "significant")


@click.command(cls=Command)
@click.argument("run", type=_file, shell_complete=complete_runs)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_overrides_of_run)
@click.option(
    "--samples", type=_file, required=True, metavar="DIR|FILE", help="Folder of 'stem sample', or a .npy file."
)
@click.option("--data", type=_file, metavar="PATH", help="Training data, instead of those of the run's recipe.")
@click.option(
    "--space",
    type=click.Choice(["latent", "pixel"]),
    help="What is compared; without it what the model was trained on, latents or pixels.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(-1, 1),
    default=0.99,
    show_default=True,
    metavar="COSINE",
    help="Cosine above which a sample is that of a training item.",
)
@click.option(
    "--ratio",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="RATIO",
    help="Distance to the nearest training item over that to the next one, below which it is a copy.",
)
@click.option(
    "--perturb",
    multiple=True,
    metavar="KIND=S,S",
    help="Planted copies: noise, brightness, contrast, shift, flip with strengths, may be given again; none.",
)
@click.option(
    "--planted", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="Copies of each strength."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of what is drawn.")
@click.option(
    "--top", type=click.IntRange(min=1), default=16, show_default=True, metavar="N", help="Closest pairs in the figure."
)
@click.option("--out", type=_file, metavar="DIR", help="Where to write; RUN/memorization without it.")
@click.option("--fail-on", type=click.Choice(VERDICTS[1:]), help="Exit code 1 for this verdict or a worse one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def memorization(
    run: Path,
    overrides: tuple[str, ...],
    samples: Path,
    data: Path | None,
    space: str | None,
    threshold: float,
    ratio: float,
    perturb: tuple[str, ...],
    planted: int,
    seed: int,
    top: int,
    out: Path | None,
    fail_on: str | None,
    as_json: bool,
) -> None:
    """Tell whether generated samples are copies of training items.

    RUN is the directory of the run that drew them. A copy has a cosine above the threshold with a training item, and is
    nearer to one of them than RATIO times its distance to any other. Held-out items of the run, which no model has
    seen, are compared likewise, and what they show is taken off. DIR gets the verdict, the nearest training item of
    each sample, and a figure of the closest pairs.
    """
    with redirect_stdout(sys.stderr):
        from stem_memorization import report
        from stem_memorization.outcome import Wanted, compare
        from stem_memorization.perturbations import perturbations
        from stem_memorization.views import View
        from stemcore import load_run

        if out is not None and (out.is_file() or (not out.is_dir() and not out.parent.is_dir())):
            raise UserError("there is no such folder to write to", where=str(out))
        loaded = load_run(run, overrides)
        view = View(loaded, space, data)
        pictures = view.space == "pixel" and len(view.shape) == 3
        wanted = Wanted(threshold, ratio, tuple(perturbations(perturb, pictures)), planted, seed)
        outcome = compare(view, view.samples(samples), wanted)
        about = {"run": str(loaded.directory.resolve()), "sha256": loaded.sha256, "source": str(samples)}
        document = {**about, **outcome.document}
        written = report.write(outcome, document, view, out or loaded.directory / "memorization", top)
    if as_json:
        click.echo(json.dumps({**document, "files": list(map(str, written))}, indent=2))
    else:
        for line in (*report.lines(document), "", *map(str, written)):
            click.echo(line)
    if fail_on is not None and VERDICTS.index(document["verdict"]) >= VERDICTS.index(fail_on):
        click.get_current_context().exit(1)
