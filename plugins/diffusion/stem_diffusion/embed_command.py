"""``stem embed``: the latents of a data set, in a file to train from."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from stemcore import Command, UserError, complete_runs

_file = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("run", type=_file, shell_complete=complete_runs)
@click.option("--data", type=_file, metavar="PATH", help="Data to use instead of those of the run's recipe.")
@click.option("--out", type=_file, required=True, metavar="FILE", help="HDF5 file to write, such as latents.h5.")
@click.option(
    "--posterior",
    type=click.Choice(["mean", "sample"]),
    default="mean",
    show_default=True,
    help="Of a variational run: its mean, or a draw of each item.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the draws.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the latents; float16 has three significant digits, up to 65504.",
)
@click.option(
    "--fields",
    default="all",
    show_default=True,
    metavar="NAMES",
    help="Fields to copy beside the latents: names with commas between, all, or none.",
)
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Items that are encoded at once.")
@click.option("--restart", is_flag=True, help="Begin anew where a store was begun and not finished.")
def embed(
    run: Path,
    data: Path | None,
    out: Path,
    posterior: str,
    seed: int,
    dtype: str,
    fields: str,
    batch_size: int | None,
    restart: bool,
) -> None:
    """Write the latents of every item to a store that diffusion models train from.

    RUN is the directory of a run that encodes. Beside the latents the store has their scale factor, labels and other
    fields of the data, and which run made them. Where the verb was stopped, the same call goes on. The name of the file
    is printed.
    """
    if out.suffix not in (".h5", ".hdf5"):
        raise UserError("the output must end in .h5 or .hdf5", where=str(out))
    if out.is_dir() or not out.parent.is_dir():
        raise UserError("there is no such folder to write to", where=str(out.parent))
    with redirect_stdout(sys.stderr):
        from stem_diffusion.embedding import Wanted
        from stem_diffusion.embedding import embed as write
        from stemcore import load_run

        names = {"all": None, "none": ()}.get(fields, tuple(filter(None, fields.split(","))))
        overrides = [] if batch_size is None else [f"data.eval_batch_size={batch_size}"]
        write(load_run(run, overrides), out, Wanted(posterior, seed, dtype, names, restart), data)
    click.echo(str(out))
