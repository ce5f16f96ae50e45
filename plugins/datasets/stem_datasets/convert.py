"""``stem convert``: a scan in chunks that are read fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore import Command

if TYPE_CHECKING:
    from stem_datasets.rewriting import Rewritten

LEVEL = 4


@click.command(cls=Command)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--dataset", "names", multiple=True, help="an array to rewrite; without it every large one")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "bitshuffle-lz4", "zstd", "lz4", "none"]),
    default="gzip",
    show_default=True,
    help="gzip is read by every program; bitshuffle-lz4 several times as fast, where the plugin is installed",
)
@click.option("--level", type=click.IntRange(0, 22), help=f"of gzip ({LEVEL}, at most 9) or zstd (3)")
@click.option("--chunk-items", type=click.IntRange(1), help="patterns of a chunk; else half a megabyte of them")
@click.option("--force", is_flag=True, help="replace OUT where it exists")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
def convert(
    source: Path,
    out: Path,
    names: tuple[str, ...],
    compression: str,
    level: int | None,
    chunk_items: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Rewrite an HDF5 scan in chunks that are read fast.

    IN is only read. Everything else in it is carried over. What was written is read back and compared by checksums
    before OUT is there under its name; memory does not grow with the file.
    """
    from stem_datasets.handles import opened
    from stem_datasets.rewriting import chosen, rewrite
    from stemcore import reporter, write_atomically

    _check_places(source, out, force)
    with opened(source) as file:
        arrays = chosen(file, source, names)
    found: list[Rewritten] = []
    with reporter().task("rewriting and comparing", 2 * sum(arrays.values())) as task:

        def fill(part: Path) -> None:
            found.extend(rewrite(source, part, tuple(arrays), _filters(compression, level), chunk_items, task.advance))

        write_atomically(out, fill)
    if as_json:
        click.echo(json.dumps({"out": str(out), "verified": True, "arrays": [vars(entry) for entry in found]}))
    else:
        for entry in found:
            click.echo(_line(entry, out))


def _check_places(source: Path, out: Path, force: bool) -> None:
    from stemcore import UserError

    if out.exists() and source.exists() and out.samefile(source):
        raise UserError("OUT is the file that is read", where=str(out), hint="give it another name")
    if out.is_dir() or not out.parent.is_dir():
        raise UserError("there is no such folder to write to", where=str(out.parent))
    if out.exists() and not force:
        raise UserError("is there already", where=str(out), hint="give another name, or --force to replace it")


def _filters(compression: str, level: int | None) -> dict[str, Any]:
    import hdf5plugin

    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": min(9, LEVEL if level is None else level), "shuffle": True}
    if compression == "zstd":
        return {"shuffle": True, **hdf5plugin.Zstd(clevel=3 if level is None else level)}
    others = {"bitshuffle-lz4": hdf5plugin.Bitshuffle(cname="lz4"), "lz4": hdf5plugin.LZ4()}
    return dict(others[compression]) if compression in others else {}


def _line(entry: Rewritten, out: Path) -> str:
    from rich.filesize import decimal

    def chunks(shape: tuple[int, ...] | None) -> str:
        return "one piece" if shape is None else f"chunks of {shape}"

    return (
        f"{out}: {entry.name}, {chunks(entry.before)} -> {chunks(entry.after)}, "
        f"{decimal(entry.stored_before)} -> {decimal(entry.stored_after)} for {decimal(entry.nbytes)}, verified"
    )
