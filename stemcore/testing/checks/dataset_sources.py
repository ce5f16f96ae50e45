"""What a dataset promises of the files behind it."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from stemcore.component.dataset import Dataset
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import built
from stemcore.testing.examples import DatasetExample
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.sources import (
    built_or_refused,
    changed,
    copied,
    damaged,
    elsewhere,
    its_own,
    missing,
    open_files,
    source_of,
)
from stemcore.testing.subject import Subject
from stemcore.testing.trial_dataset import ensure_alike, one_by_one, opened, some_items

MOST_CHANGED = 4


@promise("dataset")
def check_closes_its_files(subject: Subject) -> None:
    """After ``close`` none of its files is open or mapped into memory: runs follow runs in one process, and elsewhere
    files that are open cannot be replaced."""
    before = open_files()
    dataset = built(subject)
    files = [str(Path(file).resolve()) for file in dataset.files]
    if not files:
        dataset.close()
        raise NotApplicable("no file is behind it")
    dataset.read(some_items(dataset))
    dataset.close()
    if _held(files, before):
        gc.collect()  # What is only waiting to be collected is let go of.
    held = _held(files, before)
    ensure(not held, f"{', '.join(held)} is still open after close")


def _held(files: Sequence[str], before: Mapping[str, int]) -> list[str]:
    after = open_files()
    return [file for file in files if after[file] > before.get(file, 0)]


@promise("dataset")
def check_broken_sources(subject: Subject) -> None:
    """A source that is missing, empty, damaged or not of its kind is refused by ``UserError`` when the data set is
    built, as is what its example lists as broken: the user is told in one line, before anything is trained."""
    example = subject.promised(DatasetExample)
    must_be_refused = dict(example.broken)
    if source_of(subject.config) is not None:
        must_be_refused["a missing file"] = elsewhere(subject.config, missing(subject.config, subject.folder))
    if not must_be_refused:
        raise NotApplicable("it has no file at 'path', and its example lists nothing broken")
    for what, config in must_be_refused.items():
        made = built_or_refused(subject, config, what)
        ensure(isinstance(made, UserError), f"{what}: it is built all the same, with the configuration {dict(config)}")
    for what, path in damaged(subject.config, subject.folder / "damaged").items():
        made = built_or_refused(subject, elsewhere(subject.config, path), what)
        if not isinstance(made, UserError):
            _ensure_readable(made, what, damage_may_be_inside="half" in what)


def _ensure_readable(dataset: Dataset, what: str, damage_may_be_inside: bool) -> None:
    """Formats without a header take any bytes for data, and half a table is a table: then its items can be read."""
    with closing(dataset):
        count = len(dataset)
        for item in {0, count - 1} if count else ():
            try:
                dataset.read(np.array([item]))
            except UserError as error:
                late = f"{what}: it is built all the same, and reading item {item} raises UserError: {error}"
                ensure(damage_may_be_inside, late)
            except Exception as error:
                raise Broken(f"{what}: reading item {item} raised {cause_of(error)}, not UserError") from error


@promise("dataset")
def check_fingerprint_is_stable(subject: Subject) -> None:
    """``fingerprint`` is text that stays the same while the data do, also after reading and for another data set of the
    configuration: a run can only be resumed with the data it was started with."""
    with opened(subject) as dataset, opened(subject) as another:
        first = dataset.fingerprint()
        ensure(isinstance(first, str) and first, f"fingerprint returned {first!r}, not text")
        dataset.read(some_items(dataset))
        ensure(dataset.fingerprint() == first, "its fingerprint is another one after it was read")
        ensure(another.fingerprint() == first, "another data set of the same configuration has another fingerprint")


@promise("dataset")
def check_fingerprint_notices_changes(subject: Subject) -> None:
    """``fingerprint`` changes when a file behind it does, even by one byte (``files`` must name them all, unless
    ``fingerprint`` is overridden): what was fitted to other data is not taken from the cache."""
    with opened(subject) as dataset:
        first, files = dataset.fingerprint(), [Path(file) for file in dataset.files]
    source = source_of(subject.config)
    behind = files or [source for source in [source] if source is not None]
    if not behind:
        raise NotApplicable("no file is behind it")
    own = its_own(subject, behind)
    if not own:
        raise NotApplicable("its files do not lie in its example's folder: they are not changed")
    for file in own[:MOST_CHANGED]:
        with changed(file):
            after = _fingerprint(subject)
        why = "" if files else ": 'files' names none"
        ensure(after != first, f"its fingerprint is the same after {file.name} was changed{why}")


def _fingerprint(subject: Subject) -> str:
    """That of another data set; empty where the change is noticed by refusing the file."""
    made = built_or_refused(subject, subject.config, "a changed file")
    if isinstance(made, UserError):
        return ""
    with closing(made):
        return str(made.fingerprint())


@promise("dataset")
def check_elsewhere(subject: Subject) -> None:
    """``elsewhere`` reads the same kind of data at the path that it is given, and refuses by ``UserError`` what it
    cannot read: a run is applied to other data by it (``--data``)."""
    kind: type[Dataset] = subject.target
    arguments, problems = subject.schema.validate(subject.config)
    ensure(not problems, f"the configuration {subject.config} is refused: {[str(p) for _, p in problems]}")
    absent = missing(subject.config, subject.folder)
    try:
        kind.elsewhere(absent, **arguments).close()
    except UserError:
        pass
    except Exception as error:
        raise Broken(f"elsewhere raised {cause_of(error)}, not UserError, for a path where nothing is") from error
    else:
        raise Broken("elsewhere returned a data set for a path where nothing is: it did not read that path")
    source = source_of(subject.config)
    if source is not None:
        try:
            found = kind.elsewhere(copied(subject, source), **arguments)
        except Exception as error:
            raise Broken(f"elsewhere raised {cause_of(error)} for a copy of its own data") from error
        _ensure_same_kind(subject, found)


def _ensure_same_kind(subject: Subject, found: Dataset) -> None:
    ensure(isinstance(found, Dataset), f"elsewhere returned {type(found).__name__}, not a Dataset")
    with opened(subject) as dataset, closing(found):
        ensure(len(found), "elsewhere found no items in a copy of its own data")
        main = [name for name in dataset.fields if name.startswith("input")]
        lost = [name for name in main if name not in found.fields]
        ensure(not lost, f"elsewhere found no '{', '.join(lost)}' in a copy of its own data")
        first, expected = some_items(dataset)[:1], one_by_one(dataset, some_items(dataset)[:1])
        # What accompanies the items may be left out there.
        seen = {name: values for name, values in found.read(first).items() if name in dataset.fields}
        rest = {name: expected[0][name] for name in dataset.fields if name not in found.fields}
        ensure_alike(dataset, {**seen, **rest}, first, expected, "an item of a copy, by elsewhere")
