"""The pass over the training split that checks its values and fits the transforms, and the cache of what it found."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from stemcore.component.dataset import Dataset
from stemcore.component.fields import main_fields, mask_of
from stemcore.data.chain import Chain
from stemcore.data.intake import Findings, Intake, physical, suspect
from stemcore.data.loader import Loader
from stemcore.data.pipeline import Pipeline
from stemcore.data.source import Source
from stemcore.data.tensors import item_bytes
from stemcore.errors import Problem, UserError
from stemcore.files import write_atomically
from stemcore.progress import Reporter

CACHE = "STEM_CACHE_DIR"
PASS_BYTES = 4 << 20
log = logging.getLogger("stemcore")


def fit(
    pipeline: Pipeline,
    train: Source,
    *,
    describe: Mapping[str, Any],
    loader: Loader,
    reporter: Reporter,
    checked: Sequence[Source] = (),
) -> None:
    """Checks the training items and fits every transform that has to be, in chain order, on them alone.

    The first fitted transform of every chain is fitted in one pass, which checks the values too; one fitted transform
    behind another takes a further pass. ``checked`` are items to be checked besides, those of validation: a value that
    would end the run after its first epoch ends it before. The result is cached under the fingerprint of the data, the
    split and the recipe's transforms, in the user's cache folder (or ``STEM_CACHE_DIR``).

    Raises:
        UserError: if values are invalid and the recipe does not say what to do with them, or if the data cannot be
            transformed (a standard deviation of zero).
    """
    chains: dict[str, Chain] = dict(pipeline.chains.items())  # type: ignore[arg-type]
    checks = pipeline.intake.invalid == "error" and any(suspect(f) for f in pipeline.intake.stored.values())
    passes = max([sum(t.fitted for t in c.transforms()) for c in chains.values()], default=0)
    if not passes and not checks:
        return
    also = checked if checks else ()
    cache = _cache_file([train, *also], describe)
    if _restore(pipeline, cache):
        log.info("transforms taken from the cache (%s)", cache)
        return
    findings = _findings(pipeline.intake, train.dataset) if checks else []
    problems = _check(pipeline.intake, train, also, findings, loader, reporter)
    for number in range(max(passes, 1)):
        title = "fitting transforms" if passes else "checking values"
        seen = findings if number == 0 else []
        _one_pass(pipeline.intake, chains, train, number, seen, loader, reporter, title)
        problems += [p for f in seen if (p := f.problem())]
        if problems:
            raise UserError(*problems)
        for name, steps in _fitted(chains, number).items():
            chains[name].transforms()[steps[0]].finish()
    _store(pipeline, cache)


def _findings(intake: Intake, dataset: Dataset) -> list[Findings]:
    where = ", ".join(str(file) for file in dataset.files) or "data"
    return [Findings(spec, where) for spec in intake.stored.values() if suspect(spec)]


def _check(
    intake: Intake,
    train: Source,
    others: Sequence[Source],
    findings: list[Findings],
    loader: Loader,
    reporter: Reporter,
) -> list[Problem]:
    """Looks at the values of other items: those of the training data's own file are added to its ``findings``, the
    problems of other data sets are returned."""
    problems: list[Problem] = []
    for other in others:
        same = other.dataset is train.dataset
        mine = findings if same else _findings(intake, other.dataset)
        _one_pass(intake, {}, other, 0, mine, loader, reporter, "checking values")
        problems += [p for f in mine if not same and (p := f.problem())]
    return problems


def _one_pass(
    intake: Intake,
    chains: Mapping[str, Chain],
    source: Source,
    number: int,
    findings: Sequence[Findings],
    loader: Loader,
    reporter: Reporter,
    title: str,
) -> None:
    """Shows every item to the ``findings`` and to the fitted transform ``number`` of each chain."""
    fitting = _fitted(chains, number)
    lenient = Intake(intake.stored, "clip" if intake.invalid == "error" else intake.invalid)
    with reporter.task(title, len(source)) as task, torch.no_grad(), _leaving_a_core(loader.device):
        for batch in loader.ordered(source, batch_items(source.dataset)):
            for finding in findings:
                if finding.spec.name in batch:
                    finding.look(physical(finding.spec, batch[finding.spec.name]), batch["index"])
            batch = lenient(batch)
            for name, steps in fitting.items():
                _update(chains[name], steps[0], batch[name], _mask(batch, name))
            task.advance(len(batch["index"]))


@contextmanager
def _leaving_a_core(device: torch.device) -> Iterator[None]:
    """Leaves one core of a CPU to the thread that decodes. Sharing it makes both wait: on two cores the pass takes four
    times as long."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fitted(chains: Mapping[str, Chain], number: int) -> dict[str, list[int]]:
    """The places of the fitted transforms in each chain, from the ``number``-th on."""
    return {n: f for n, c in chains.items() if (f := [i for i, t in enumerate(c.transforms()) if t.fitted][number:])}


def _mask(batch: Mapping[str, Tensor], name: str) -> Tensor | None:
    return batch.get(mask_of(name)) if main_fields([name]) else None


def _update(chain: Chain, last: int, x: Tensor, mask: Tensor | None) -> None:
    """Takes a batch through the transforms before number ``last`` and hands it to that one."""
    for step in chain.transforms()[:last]:
        if step.kind == "geometry" and hasattr(step, "together"):
            masks = {} if mask is None else {"mask": mask}
            x, _, moved = step.together(x, {}, masks)  # type: ignore[operator]
            mask = moved.get("mask")
        else:
            x = step(x)
            mask = step.mask(mask) if mask is not None and step.kind == "geometry" else mask
    chain.transforms()[last].update(x, mask)


def batch_items(dataset: Dataset) -> int:
    """Items of about 4 MB: large enough that the overhead per batch is nothing, small enough for their memory to be
    reused from batch to batch: fresh pages cost more than the arithmetic."""
    return max(1, min(1024, PASS_BYTES // item_bytes(dataset)))


def _cache_file(sources: Sequence[Source], describe: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.dataset.fingerprint().encode())
        digest.update(np.ascontiguousarray(source.indices).tobytes())
    digest.update(repr(sorted(describe.items())).encode())
    root = Path(os.environ[CACHE]) if os.environ.get(CACHE) else user_cache_path("stemcore")
    return root / "fits" / f"{digest.hexdigest()}.pt"


def _restore(pipeline: Pipeline, cache: Path) -> bool:
    try:
        pipeline.load_state_dict(torch.load(cache, weights_only=True))
    except FileNotFoundError:
        return False
    except Exception as error:
        log.warning("the cached fit %s cannot be used (%s); fitting again", cache, error)
        return False
    return True


def _store(pipeline: Pipeline, cache: Path) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, lambda part: torch.save(pipeline.state_dict(), part))
    except OSError as error:
        log.warning("the fitted transforms could not be cached: %s", error)
