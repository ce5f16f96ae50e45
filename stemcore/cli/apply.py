"""``stem encode``, ``stem reconstruct`` and ``stem evaluate``: a run applied to data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from stemcore.cli import completion
from stemcore.cli.output import number, show, show_json, show_table, stdout_kept_clean
from stemcore.component.command import reporter

_run = click.argument("run", type=click.Path(path_type=Path), shell_complete=completion.complete_runs)
_overrides = click.argument(
    "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completion.complete_overrides_of_run
)
_data = click.option(
    "--data", type=click.Path(path_type=Path), metavar="PATH", help="Data to use instead of those of the run's recipe."
)
_out = click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write.")


@click.command()
@_run
@_overrides
@_data
@_out
def encode(run: Path, overrides: tuple[str, ...], data: Path | None, out: Path) -> None:
    """Write the latents of every item.

    RUN is a run directory. KEY=VALUE changes what of its model does not change the weights, such as model.pooling, or
    data.eval_batch_size. The latents are shaped to the scan where there is one. The name of the file is printed.
    """
    _write("encode", run, overrides, data, out)


@click.command()
@_run
@_overrides
@_data
@_out
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the values; float16 has three significant digits, up to 65504.",
)
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "bitshuffle-lz4", "blosc-zstd"]),
    default="none",
    show_default=True,
    help="Of the chunks; every reader of HDF5 has gzip, for the others it needs hdf5plugin.",
)
def reconstruct(
    run: Path, overrides: tuple[str, ...], data: Path | None, out: Path, dtype: str, compression: str
) -> None:
    """Write the reconstruction of every item, in physical units.

    RUN is a run directory. KEY=VALUE changes what of its model does not change the weights, or data.eval_batch_size.
    The data set is read and written in pieces: it need not fit into memory. The name of the file is printed.
    """
    _write("reconstruct", run, overrides, data, out, dtype=dtype, compression=compression)


@click.command()
@_run
@_overrides
@_data
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def evaluate(run: Path, overrides: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Score a run by every metric of its recipe.

    RUN is a run directory. KEY=VALUE changes what of its model does not change the weights, or data.eval_batch_size.
    The test data of its recipe are used unless others are given; what simple predictors reach on them stands beside the
    scores of the model.
    """
    with stdout_kept_clean():
        from stemcore import load_run

        result = load_run(run, overrides).evaluate(data=data, reporter=reporter())
    if as_json:
        show_json(result)
    else:
        show(f"{result['data']}: {result['items']} items")
        _show_scores(result["scores"])


def _write(verb: str, run: Path, overrides: tuple[str, ...], data: Path | None, out: Path, **options: str) -> None:
    with stdout_kept_clean():
        from stemcore import load_run

        getattr(load_run(run, overrides), verb)(out, data=data, reporter=reporter(), **options)
    show(str(out))


def _show_scores(scores: Mapping[str, Mapping[str, Any]]) -> None:
    metrics = list(dict.fromkeys(name for of_one in scores.values() for name in of_one))
    rows = [(name, *(number(of_one.get(name)) for of_one in scores.values())) for name in metrics]
    show_table(("metric", *scores), rows)
