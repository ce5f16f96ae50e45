"""``stem convert``: a scan in chunks that are fast to read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stem_datasets.encoding import DEFAULT, LEVELS, encoding
from stemcore import Command, UserError

if TYPE_CHECKING:
    from stem_datasets.plan import Plan

_path = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("source", metavar="IN", type=_path)
@click.argument("out", metavar="OUT", type=_path)
@click.option(
    "--dataset",
    "names",
    multiple=True,
    metavar="PATH",
    help="Dataset to rewrite, may be given again; all that are large or badly chunked without it.",
)
@click.option(
    "--compression",
    type=click.Choice(list(LEVELS)),
    default=DEFAULT,
    show_default=True,
    help="gzip is read by every program, the others where there is hdf5plugin.",
)
@click.option("--level", type=int, metavar="N", help="Level of gzip (1-9), zstd (1-22) or blosc (1-9).")
@click.option(
    "--chunk-items",
    type=click.IntRange(min=1),
    metavar="N",
    help="Patterns in a chunk; about 1 MB within a scan line without it.",
)
@click.option(
    "--memory",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="MB",
    help="Most that patterns in memory may take; chunks of IN beyond it are decoded several times.",
)
@click.option("--force", is_flag=True, help="Replace OUT where it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def convert(
    source: Path,
    out: Path,
    names: tuple[str, ...],
    compression: str,
    level: int | None,
    chunk_items: int | None,
    memory: int,
    force: bool,
    as_json: bool,
) -> None:
    """Rewrite an HDF5 scan so that it is read fast.

    OUT holds all that IN does. Patterns are written in chunks of whole patterns, compressed, read back and compared
    by checksum. IN is never changed, and OUT is there only if all went well.
    """
    from stem_datasets.handles import opened
    from stem_datasets.plan import check_space, planned
    from stem_datasets.rewrite import rewrite

    chosen = encoding(compression, level)
    with opened(source) as file:
        plans = planned(file, names, chosen, chunk_items, memory << 20)
        target = _place_of(out, file, force)
    check_space(source, target.parent, plans, chosen)
    rewrite(source, target, plans, chosen)
    result = _result(source, out, plans, chosen.name)
    click.echo(json.dumps(result, indent=2) if as_json else _line(result))


def _place_of(out: Path, file: Any, force: bool) -> Path:
    """Where to write, links followed.

    Raises:
        UserError: if there is something that may not be replaced, or no folder that may be written to.
    """
    from stem_datasets.plan import files_behind

    target = out.resolve()
    if target.is_dir() or not target.parent.is_dir():
        what = "is a directory" if target.is_dir() else "its folder does not exist"
        raise UserError(what, where=str(out), hint="name a file to write in a folder that exists")
    if target.exists():
        for path in files_behind(file):
            if path.exists() and target.samefile(path):
                raise UserError("holds data of IN, which is not changed", where=str(out), hint="name another file")
        if not force:
            raise UserError("exists", where=str(out), hint="name another file, or replace it with --force")
    if not os.access(target.parent, os.W_OK):
        raise UserError("its folder may not be written to", where=str(out), hint="name a file elsewhere")
    return target


def _result(source: Path, out: Path, plans: list[Plan], compression: str) -> dict[str, Any]:
    from stem_datasets.handles import opened

    with opened(out) as file:
        datasets = [
            {
                "name": plan.name,
                "shape": plan.shape,
                "dtype": plan.dtype.str,
                "chunk_before": plan.before,
                "chunk": plan.chunk,
                "bytes_before": plan.before_bytes,
                "bytes": file[plan.name].id.get_storage_size(),
            }
            for plan in plans
        ]
    sizes = {"bytes_before": source.stat().st_size, "bytes": out.stat().st_size}
    return {
        "in": str(source),
        "out": str(out),
        **sizes,
        "compression": compression,
        "datasets": datasets,
        "verified": True,
    }


def _line(result: dict[str, Any]) -> str:
    before, after = result["bytes_before"], result["bytes"]
    chunks = "; ".join(
        f"{d['name'].strip('/')} in chunks {d['chunk_before']} -> {d['chunk'] or 'contiguous'}"
        for d in result["datasets"]
    )
    ratio = f"{before / 1e6:,.1f} MB -> {after / 1e6:,.1f} MB (x {after / before:.2f})"
    return f"{result['out']}: {ratio}, {result['compression']}; {chunks}; verified"
