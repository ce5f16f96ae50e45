"""A run of paired data applied to a table of one platform."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from stem_paired.grid import listed
from stem_paired.importance import importance_of
from stem_paired.tables import Table, read_table
from stemcore import DataSpec, FieldSpec, UserError, load_run

log = logging.getLogger("stemcore")
INPUT = "input_"
MOST_VALUES = 1 << 26
"""Values of draws that are held at a time, 256 MB."""


class Imputation:
    """A run that imputes one platform from another.

    Args:
        run: its directory.
        source, wanted: names of the platforms.

    Raises:
        UserError: if there is no such run, or it has no such platforms.
    """

    def __init__(self, run: Path, source: str, wanted: str) -> None:
        self._predictor = load_run(run).predictor()
        fields: DataSpec = self._predictor.fields
        _refuse_platforms(fields, source, wanted, str(run))
        self._input, self._output = INPUT + source, INPUT + wanted
        self._known, self._named = (_features(fields[name]) for name in (self._input, self._output))

    def outputs_named(self, names: Sequence[str]) -> list[int]:
        """The places of these features of the imputed platform, of all if none is named.

        Raises:
            UserError: if it has no such feature.
        """
        place = {name: k for k, name in enumerate(self._named)}
        for name in names:
            if name not in place:
                near = get_close_matches(name, self._named, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"it has {listed(self._named)}"
                raise UserError(f"the imputed platform has no feature '{name}'", where="--importance-of", hint=hint)
        return [place[name] for name in dict.fromkeys(names)] or list(range(len(self._named)))

    def samples_of(self, path: Path, *, transpose: bool, allow_missing: bool) -> Table:
        """The samples of a table with the features of the run, in their order.

        Args:
            path: of the table.
            transpose: whether its features are in rows.
            allow_missing: whether features that it lacks are missing values.

        Raises:
            UserError: if it cannot be read or lacks features.
        """
        table = read_table(path, transpose=transpose)
        place = {name: k for k, name in enumerate(table.features)}
        absent = [name for name in self._known if name not in place]
        if len(absent) == len(self._known):
            hint = "its sample ids are such names: give --transpose" if {*self._known} & {*table.ids} else ""
            message = f"has none of the {len(absent)} features that the run was trained on, such as {absent[0]}"
            raise UserError(message, where=str(path), hint=hint or f"it has {listed(table.features)}")
        if absent and not allow_missing:
            message = f"lacks {len(absent)} of the {len(self._known)} features of the run: {listed(absent)}"
            raise UserError(message, where=str(path), hint="add them, or take them as missing by --allow-missing")
        if unknown := [name for name in table.features if name not in set(self._known)]:
            log.warning("%s: %d features are not the run's and left out: %s", path, len(unknown), listed(unknown))
        values = np.full((len(table.ids), len(self._known)), np.nan, np.float32)
        there = [k for k, name in enumerate(self._known) if name in place]
        values[:, there] = table.values[:, [place[self._known[k]] for k in there]]
        return Table(table.ids, self._known, values)

    def imputed(self, samples: Table, draws: int | None, reporter: Any) -> tuple[Table, Table | None]:
        """The other platform of the samples in physical units; of draws their mean, and their standard deviation (with
        n - 1).

        Args:
            samples: of the one platform.
            draws: how many; the one prediction that is the same every time without.
            reporter: progress.

        Raises:
            UserError: if the run does not impute, or values stay missing.
        """
        spread = None
        if draws is None:
            found = self._predictor.impute_arrays({self._input: samples.values}, reporter=reporter)[self._output]
        else:
            found, spread = self._drawn(samples.values, draws, reporter)
        _refuse_missing(samples, found, self._input)
        mean = Table(samples.ids, self._named, found)
        return mean, None if spread is None else Table(samples.ids, self._named, spread)

    def latents(self, samples: Table) -> Table:
        """The latents of the samples. Raises ``UserError`` if the model has none."""
        latents = self._predictor.encode_arrays({self._input: samples.values}).reshape(len(samples.ids), -1)
        return Table(samples.ids, tuple(f"latent_{k}" for k in range(latents.shape[1])), latents)

    def importance(self, samples: Table, method: str, outputs: Sequence[int], reporter: Any) -> Table:
        """How much each feature of the one platform matters for features of the other, the most important first.

        Args:
            samples: to explain.
            method: of ``captum``.
            outputs: places of the features that are explained; where these are not all, each has a column too.
            reporter: progress.

        Raises:
            UserError: if the method does not fit the model.
        """
        found = importance_of(
            self._predictor,
            self._input,
            self._output,
            samples.values,
            method=method,
            outputs=outputs,
            reporter=reporter,
        )
        names, values = ["importance"], found.mean(axis=1, keepdims=True)
        if len(outputs) < len(self._named):
            names += [self._named[k] for k in outputs]
            values = np.concatenate([values, found], axis=1)
        order = np.argsort(-values[:, 0], kind="stable")
        return Table(tuple(self._known[k] for k in order.tolist()), tuple(names), values[order])

    def _drawn(self, values: np.ndarray, draws: int, reporter: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = max(1, MOST_VALUES // (draws * len(self._named)))
        mean, spread = (np.empty((len(values), len(self._named)), np.float32) for _ in range(2))
        for start in range(0, len(values), rows):
            part = slice(start, start + rows)
            given = {self._input: values[part]}
            drawn = self._predictor.impute_arrays(given, draws=draws, reporter=reporter)[self._output]
            mean[part] = drawn.mean(axis=0, dtype=np.float64)
            spread[part] = drawn.std(axis=0, ddof=1, dtype=np.float64)
        return mean, spread


def _refuse_platforms(fields: Mapping[str, FieldSpec], source: str, wanted: str, run: str) -> None:
    there = [name[len(INPUT) :] for name in fields if name.startswith(INPUT)]
    if len(there) < 2:
        raise UserError("is no run of paired data", where=run, hint="train one on the data set paired_tables")
    for option, name in (("--from", source), ("--to", wanted)):
        if name not in there:
            raise UserError(f"the run has no platform '{name}'", where=option, hint=f"it has {' and '.join(there)}")
    if source == wanted:
        hint = f"name the other one: {' or '.join(name for name in there if name != source)}"
        raise UserError(f"'{wanted}' is what is imputed from", where="--to", hint=hint)


def _features(spec: FieldSpec) -> tuple[str, ...]:
    """The names of its features; their numbers where they have none."""
    return spec.features or tuple(f"{spec.name[len(INPUT) :]}_{k}" for k in range(spec.shape[-1] or 0))


def _refuse_missing(samples: Table, found: np.ndarray, field: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist()
    if not wrong:
        return
    named = listed((samples.ids[k] for k in wrong), len(wrong))
    message = f"nothing finite comes of {len(wrong)} samples ({named})"
    if np.isnan(samples.values).any():
        hint = f"values are missing, and the run fills in none: train with {{type: impute}} in data.transforms.{field}"
        raise UserError(message, hint=hint)
    raise UserError(message, hint="their values are far from those that the run was trained on")
