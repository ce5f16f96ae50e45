"""``stem probe``: what labels can be told from a run's features."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore import Command, UserError, complete_overrides_of_run, complete_runs

if TYPE_CHECKING:
    from stem_probes.outcome import Wanted

_file = click.Path(path_type=Path)
# As in draws.py, which is not imported for --help.
SPLITS = ("item", "group", "region", "given")
PROTOCOL = ("split", "per_class", "train_share", "repeats", "seed", "regions")


@click.command(cls=Command)
@click.argument("run", type=_file, shell_complete=complete_runs)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_overrides_of_run)
@click.option("--labels", required=True, metavar="LABELS", help="FILE.csv, FILE.npy, FILE.h5:DATASET or field:NAME.")
@click.option("--data", metavar="PATH", help="Data to use instead of those of the run's recipe.")
@click.option("--ignore-label", "ignored", multiple=True, metavar="LABEL", help="A label that stands for none.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classification", "regression"]),
    default="auto",
    show_default=True,
    help="Numbers that are not whole are a regression.",
)
@click.option(
    "--majority",
    "share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Part of a place's pixels that must have its label.",
)
@click.option(
    "--place-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Pixels of a place along an axis, where it does not follow from the shapes.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="item",
    show_default=True,
    help="What is held out: labels at random, whole groups, regions of the scan or of images, or what the data say.",
)
@click.option(
    "--regions",
    type=click.IntRange(min=2),
    default=4,
    show_default=True,
    metavar="N",
    help="Regions along each axis, for --split region.",
)
@click.option(
    "--per-class",
    type=click.IntRange(min=1),
    metavar="N",
    help="Training labels of each class; 10 without --train-share.",
)
@click.option(
    "--train-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Part of the labels (of the groups, of the regions) to train on; 0.5 for a regression.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Random draws of the training labels.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the draws.")
@click.option("--k", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="Neighbours of k-NN.")
@click.option(
    "--metric",
    type=click.Choice(["cosine", "euclidean"]),
    default="cosine",
    show_default=True,
    help="Distance of k-NN.",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="Whether raw inputs are probed, too, and their principal components.",
)
@click.option("--out", type=_file, metavar="DIR", help="Where to write; RUN/probe without it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def probe(run: Path, overrides: tuple[str, ...], out: Path | None, as_json: bool, **options: Any) -> None:
    """Score what labels can be told from the features of a run.

    A linear probe and k-NN are trained on some labels, with frozen features, and scored on the others, many times;
    beside them the same on the raw inputs and on their principal components, and the commonest class. KEY=VALUE asks
    the model for other features, such as model.pooling=tokens. DIR gets the scores, every prediction and a figure.
    """
    with redirect_stdout(sys.stderr):
        wanted = _wanted(out, **options)
        from stem_probes import report
        from stem_probes.outcome import probe_run
        from stemcore import load_run

        loaded = load_run(run, overrides)
        outcome = probe_run(loaded, wanted)
        found = report.document(outcome, loaded, overrides, wanted)
        written = report.write(outcome, found, out or loaded.directory / "probe")
    if as_json:
        click.echo(json.dumps({**found, "files": list(map(str, written))}, indent=2, allow_nan=False))
        return
    for line in (*report.table(found), "", *map(str, written)):
        click.echo(line)


def _wanted(out: Path | None, labels: str, **options: Any) -> Wanted:
    """What is asked for, checked as far as that goes without the run: torch is not imported for a mistyped name."""
    if find_spec("sklearn") is None:
        raise UserError("stem probe needs scikit-learn", hint="pip install 'stemcore[probe]'")
    if options["per_class"] is not None and options["train_share"] is not None:
        raise UserError("say how many labels train by one of --per-class and --train-share", where="--train-share")
    if out is not None and (out.is_file() or (not out.is_dir() and not out.parent.is_dir())):
        raise UserError("there is no such folder to write to", where=str(out))
    from stem_probes.draws import Protocol
    from stem_probes.label_files import FIELD, is_field, read_labels
    from stem_probes.outcome import Wanted
    from stem_probes.probing import Neighbours

    protocol = Protocol(**{name: options.pop(name) for name in PROTOCOL})
    neighbours = Neighbours(options.pop("k"), options.pop("metric"))
    given = None if is_field(labels) else read_labels(labels)
    return Wanted(given, labels.removeprefix(FIELD), protocol=protocol, neighbours=neighbours, **options)
