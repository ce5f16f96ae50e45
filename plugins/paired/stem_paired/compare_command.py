"""``stem compare``: runs beside baselines on the same samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemcore import Command, UserError, write_atomically

if TYPE_CHECKING:
    from stem_paired.comparison import Comparison

BASELINES = ("mean", "knn", "wnn", "ridge", "pls")
_path = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=_path)
@click.option(
    "--baselines",
    default=",".join(BASELINES),
    show_default=True,
    metavar="NAMES",
    help="What to compare with, separated by commas.",
)
@click.option("--part", type=click.Choice(["test", "val"]), help="Samples to score; test where the run has such.")
@click.option("--out", type=_path, metavar="DIR", help="Where to write; RUN/comparison of the first run without it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare(runs: tuple[Path, ...], baselines: str, part: str | None, out: Path | None, as_json: bool) -> None:
    """Score how well runs impute each platform from the other, beside simple baselines.

    Baselines are fitted to the samples that the first run has seen, and tuned by cross-validation on them. DIR gets the
    table of scores, that of every feature, and a figure of both.
    """
    from stem_paired.comparison import compare as compared
    from stem_paired.comparison_figure import draw

    chosen = _chosen(baselines)
    folder = out or runs[0] / "comparison"
    if out is not None and not out.parent.is_dir():
        raise UserError("there is no such folder to write to", where=str(out.parent))
    found = compared(runs, chosen, part)
    folder.mkdir(exist_ok=True)
    written = {
        "scores": folder / "scores.csv",
        "features": folder / "features.csv",
        "figure": folder / "comparison.png",
    }
    write_atomically(written["scores"], lambda file: file.write_text(_scores(found), encoding="utf-8"))
    write_atomically(written["features"], lambda file: file.write_text(_features(found), encoding="utf-8"))
    write_atomically(written["figure"], lambda file: draw(found).savefig(file, format="png"))
    if as_json:
        click.echo(json.dumps(_document(found, written), indent=2, allow_nan=False))
        return
    click.echo(f"{found.part}: {found.items:,} samples")
    click.echo(_aligned(_rows(found)))
    for path in written.values():
        click.echo(str(path))


def _chosen(baselines: str) -> list[str]:
    names = [name.strip() for name in baselines.split(",") if name.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise UserError(
            f"there is no baseline {' and no '.join(map(repr, unknown))}",
            where="--baselines",
            hint=f"choose from {', '.join(BASELINES)}",
        )
    return names


def _rows(found: Comparison) -> list[list[str]]:
    from stem_paired.comparison import SCORES

    head = ["direction", "method", *SCORES, "setting"]
    rows = [
        [f"{r.source} -> {r.wanted}", r.method, *(f"{r.scores[name]:.3f}" for name in SCORES), r.setting]
        for r in found.results
    ]
    return [head, *rows]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _scores(found: Comparison) -> str:
    return _csv(_rows(found))


def _features(found: Comparison) -> str:
    """Pearson's r of every feature, a column for each method; empty where it has none."""
    lines = []
    for wanted, names in found.features.items():
        results = [r for r in found.results if r.wanted == wanted]
        lines = lines or [["platform", "feature", *(r.method for r in results)]]
        columns = [["" if r != r else f"{r:.6g}" for r in result.feature_r.tolist()] for result in results]
        lines += [[wanted, name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return _csv(lines)


def _csv(rows: list[list[str]]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _document(found: Comparison, written: dict[str, Path]) -> dict[str, Any]:
    results = [
        {"from": r.source, "to": r.wanted, "method": r.method, "setting": r.setting, "scores": dict(r.scores)}
        for r in found.results
    ]
    files = {name: str(path) for name, path in written.items()}
    return {"part": found.part, "items": found.items, "results": results, "files": files}
