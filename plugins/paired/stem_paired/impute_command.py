"""``stem impute``: one platform from the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from stem_paired.grid import together
from stem_paired.tables import FEATURE, ID, Table, check_output, write_table
from stemcore import Command, UserError, complete_runs, reporter

METHODS = ("integrated_gradients", "deeplift", "gradient_shap")
_file = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("run", type=_file, shell_complete=complete_runs)
@click.option("--from", "source", required=True, metavar="PLATFORM", help="Platform of the input, such as a.")
@click.option("--to", "wanted", required=True, metavar="PLATFORM", help="Platform to impute, such as b.")
@click.option("--input", "given", type=_file, required=True, metavar="FILE", help="Table of samples and features.")
@click.option("--out", type=_file, required=True, metavar="FILE", help="Table to write: .csv, .tsv or .parquet.")
@click.option("--latent", type=_file, metavar="FILE", help="Table of latents to write.")
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    metavar="N",
    help="Draws from the posterior, whose mean is written; without it the one prediction that is the same every time.",
)
@click.option(
    "--uncertainty",
    type=_file,
    metavar="FILE",
    help="Table of the draws' standard deviations to write; with --samples.",
)
@click.option("--importance", type=_file, metavar="FILE", help="Table of how much each feature of the input matters.")
@click.option("--method", type=click.Choice(METHODS), help="Of --importance; integrated_gradients without it.")
@click.option(
    "--importance-of",
    "explained",
    multiple=True,
    metavar="FEATURE",
    help="Imputed feature to explain, may be given again; all without it, which takes long where they are many.",
)
@click.option("--allow-missing", is_flag=True, help="Take features that the input lacks as missing values.")
@click.option("--transpose", is_flag=True, help="The input has features in rows and samples in columns.")
def impute(
    run: Path,
    source: str,
    wanted: str,
    given: Path,
    out: Path,
    latent: Path | None,
    samples: int | None,
    uncertainty: Path | None,
    importance: Path | None,
    method: str | None,
    explained: tuple[str, ...],
    allow_missing: bool,
    transpose: bool,
) -> None:
    """Impute one platform of paired data from the other.

    RUN is a run directory. The features of the input are put in the order of the run's, those that it does not know are
    left out; missing values are filled in by the run's transforms. What is written is in physical units. The names of
    the files are printed.
    """
    from stem_paired.imputation import Imputation

    outputs = {"--out": out, "--latent": latent, "--uncertainty": uncertainty, "--importance": importance}
    files = {option: path for option, path in outputs.items() if path is not None}
    _refuse_options(samples, files, method, explained)
    _refuse_files(files, given)
    imputation = Imputation(run, source, wanted)
    targets = imputation.outputs_named(explained)
    table = imputation.samples_of(given, transpose=transpose, allow_missing=allow_missing)
    progress = reporter()
    mean, spread = imputation.imputed(table, samples, progress)
    found: dict[str, Table] = {"--out": mean}
    if spread is not None:
        found["--uncertainty"] = spread
    if latent is not None:
        found["--latent"] = imputation.latents(table)
    if importance is not None:
        found["--importance"] = imputation.importance(table, method or METHODS[0], targets, progress)
    for option, path in files.items():
        rows = found[option]
        write_table(path, rows.ids, rows.features, rows.values, first=FEATURE if option == "--importance" else ID)
        click.echo(str(path))


def _refuse_options(
    samples: int | None, files: Mapping[str, Path], method: str | None, explained: tuple[str, ...]
) -> None:
    """Raises ``UserError`` for options that say nothing without another one."""
    needs = []
    if "--uncertainty" in files and samples is None:
        needs.append(
            UserError("is the spread of draws", where="--uncertainty", hint="give their number by --samples N")
        )
    for option, value in (("--method", method), ("--importance-of", explained)):
        if value and "--importance" not in files:
            needs.append(UserError("is for --importance", where=option, hint="name its file by --importance FILE"))
    if needs:
        raise together(needs)


def _refuse_files(files: Mapping[str, Path], given: Path) -> None:
    """Raises ``UserError`` for files that cannot be written, or are one and the same."""
    faults = []
    used = {given.resolve(): "--input"}
    for option, path in files.items():
        try:
            check_output(path)
            if (real := path.resolve()) in used:
                hint = "give each file a name of its own"
                raise UserError(f"{option} and {used[real]} are the same file", where=str(path), hint=hint)
            used[real] = option
        except UserError as error:
            faults.append(error)
    if faults:
        raise together(faults)
