"""Training from a recipe: ``stem run``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from stemcore.assemble import Parts, assemble, hashes, refuse_other_inner
from stemcore.assemble.sources import Sources
from stemcore.component.callback import Callback
from stemcore.data.fit import fit
from stemcore.errors import Interrupted, TrainingFailed, UserError
from stemcore.progress import Reporter
from stemcore.progress import reporter as default_reporter
from stemcore.recipe import Recipe
from stemcore.recipe.load import changed_recipe, load
from stemcore.recipe.stages import LadderRecipe
from stemcore.runs import directory as files
from stemcore.runs.apply import Run, load_run
from stemcore.runs.folds import Folds, cross_validate, go_on
from stemcore.runs.ladder import Ladder, climb
from stemcore.runs.ladder_plan import contents as summary_of
from stemcore.runs.readable import write_transforms
from stemcore.runs.resume import holds_folds, holds_stages, locate, recipe_of, refuse_changed_data
from stemcore.trainer import Limits, Trainer, checkpoint
from stemcore.trainer.callbacks.keeper import BEST, LAST
from stemcore.trainer.engine import launch, with_common_statistics
from stemcore.trainer.feed import keep_in_memory, loader_of
from stemcore.trainer.processes import explained, one_of_several

log = logging.getLogger("stemcore")
TRIAL = Limits(train_batches=2, val_batches=2, epochs=1)


def run(
    recipe: Recipe | LadderRecipe | str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    output: str | Path | None = None,
    resume: str | Path | None = None,
    init_from: str | Path | None = None,
    fast_dev_run: bool = False,
    overfit_batches: int = 0,
    callbacks: Sequence[Callback] = (),
    reporter: Reporter | None = None,
) -> Run | Folds | Ladder:
    """Trains what a recipe says: one run, or one for each fold where ``data.folds`` is set and ``data.fold`` is null,
    or the stages of a ladder, one after the other.

    Args:
        recipe: a recipe, a path to one, the name of a shipped one, or its contents. Not read when resuming, since a
            run's own recipe holds.
        overrides: ``KEY=VALUE`` on top of it.
        output: the run directory; ``runs/<recipe name>/<time>`` by default. Of a ladder it may be there already: stages
            that have finished are kept.
        resume: a run directory (its last checkpoint) or a checkpoint: go on exactly there, in that run's directory. Or
            the directory of a cross-validation or a ladder: the folds or stages that have finished are kept.
        init_from: a run directory (its best checkpoint) or a checkpoint: start a new run with its weights.
        fast_dev_run: one epoch of two batches, to see whether everything works.
        overfit_batches: train and validate on this many batches, without augmentations; 0 for all data.
        callbacks: besides those of the recipe, for code that follows the run. Their ``state_dict`` is in checkpoints;
            they are not in the recipe that the run leaves, so hand them in again with ``resume``. With folds they
            follow one run after the other.
        reporter: progress; on stderr by default.

    Returns:
        the finished run, or those of all folds or stages.

    Raises:
        UserError: if the recipe, the data or the arguments are wrong; nothing has been written then.
        TrainingFailed: if a loss is not finite.
        Interrupted: after SIGINT or SIGTERM; ``resume`` goes on from there.
    """
    reporter = reporter or default_reporter()
    begin, go_on_with = partial(_begin, callbacks=callbacks), partial(_resume, callbacks=callbacks)
    if resume is not None:
        for name, value in (("--output", output), ("--init-from", init_from)):
            if value is not None:
                raise UserError(f"--resume goes on in the run's own directory and cannot be combined with {name}")
        if holds_stages(Path(resume)):
            ladder = load(Path(resume) / files.RECIPE, overrides)
            trial = bool(summary_of(Path(resume)).get("options", {}).get("fast_dev_run"))
            return _climb(ladder, Path(resume), trial, init_from, overfit_batches, callbacks, reporter)
        if holds_folds(Path(resume)):
            return go_on(Path(resume), overrides, reporter, begin, go_on_with)
        return go_on_with(Path(resume), overrides, reporter)
    if not isinstance(recipe, (Recipe, LadderRecipe)):
        recipe = load(recipe, overrides)
    elif overrides and isinstance(recipe, Recipe):
        recipe = changed_recipe(recipe, recipe.document(), overrides)
    elif overrides:
        recipe = load(recipe.document(), overrides)
    directory = Path(output) if output is not None else files.default_output(recipe.name)
    if isinstance(recipe, LadderRecipe):
        if output is None and one_of_several():
            raise UserError("several processes need --output: by default the folder is named by the time of each")
        if not holds_stages(directory):
            files.refuse_occupied(directory)
        return _climb(recipe, directory, fast_dev_run, init_from, overfit_batches, callbacks, reporter)
    options: dict[str, Any] = {
        "init_from": None if init_from is None else str(init_from),
        "fast_dev_run": fast_dev_run,
        "overfit_batches": overfit_batches,
    }
    if recipe.data.every_fold:
        return cross_validate(recipe, directory, options, reporter, begin, go_on_with)
    return begin(recipe, directory, reporter=reporter, **options)


def _climb(
    ladder: Recipe | LadderRecipe,
    directory: Path,
    trial: bool,
    init_from: str | Path | None,
    overfit_batches: int,
    callbacks: Sequence[Callback],
    reporter: Reporter,
) -> Ladder:
    assert isinstance(ladder, LadderRecipe)
    for name, value in (("--init-from", init_from), ("--overfit-batches", overfit_batches)):
        if value:
            raise UserError(f"{name} is for one recipe, and these are the stages of a ladder", hint="leave it out")
    return climb(ladder, directory, trial=trial, reporter=reporter, train=partial(run, callbacks=callbacks))


def _begin(
    recipe: Recipe,
    directory: Path,
    *,
    callbacks: Sequence[Callback],
    reporter: Reporter,
    init_from: str | None,
    fast_dev_run: bool,
    overfit_batches: int,
) -> Run:
    start = checkpoint.load(locate(init_from, (BEST, LAST))[1]) if init_from is not None else None
    files.refuse_occupied(directory)
    with files.remembering() as earlier, files.undone_if_wrong(directory):
        parts = assemble(recipe)
        _hand_in(parts, callbacks)
        if overfit_batches:
            overfit(parts, overfit_batches)
        return _train(
            parts,
            directory,
            reporter,
            earlier,
            limits=TRIAL if fast_dev_run else Limits(),
            start=start,
            start_from=init_from,
            overfit_batches=overfit_batches,
        )


def overfit(parts: Parts, batches: int) -> None:
    """Cuts training and validation to the same few batches."""
    few = parts.sources.train.first(batches * parts.recipe.data.batch_size)
    parts.sources = Sources(few, few, parts.sources.test)
    parts.pipeline.augmentations = []


def _hand_in(parts: Parts, callbacks: Sequence[Callback]) -> None:
    """Adds callbacks that the recipe does not name. A name of a recipe's own has no dot."""
    parts.callbacks |= {f"given.{place}": callback for place, callback in enumerate(callbacks)}


def _resume(given: Path, overrides: Sequence[str], reporter: Reporter, *, callbacks: Sequence[Callback]) -> Run:
    with files.remembering() as earlier:
        return _go_on(given, overrides, reporter, callbacks, earlier)


def _go_on(
    given: Path,
    overrides: Sequence[str],
    reporter: Reporter,
    callbacks: Sequence[Callback],
    earlier: MemoryHandler,
) -> Run:
    directory, path = locate(given, (LAST, BEST))
    contents = checkpoint.load(path)
    recipe = recipe_of(directory, overrides)
    parts = assemble(recipe)
    _hand_in(parts, callbacks)
    refuse_other_inner(recipe, contents.get("runs", {}), str(path))
    refuse_changed_data(parts.sources.train.dataset, contents.get("data"))
    if contents["overfit_batches"]:
        overfit(parts, contents["overfit_batches"])
    return _train(
        parts,
        directory,
        reporter,
        earlier,
        resume=contents,
        start_from=path,
        overfit_batches=contents["overfit_batches"],
    )


@explained()
def _train(
    parts: Parts,
    directory: Path,
    reporter: Reporter,
    earlier: MemoryHandler,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resume: dict[str, Any] | None = None,
    start: dict[str, Any] | None = None,
    start_from: str | Path | None = None,
    overfit_batches: int = 0,
) -> Run:
    recipe = parts.recipe
    fabric = launch(parts)
    if fabric.global_rank > 0:
        reporter = Reporter()  # one of several speaks
    directory = Path(fabric.broadcast(str(directory)))  # named by the time, which is another one in each process
    model = parts.build_model()
    weights = (resume or start or {}).get("weights")
    if weights is not None:
        checkpoint.load_weights(weights, checkpoint.MODEL, model, str(start_from))
    model = with_common_statistics(model, parts, fabric)
    pipeline = parts.pipeline.to(fabric.device)
    keep_in_memory(parts, fabric)
    if resume is not None:
        checkpoint.load_weights(resume["weights"], checkpoint.TRANSFORMS, pipeline, str(start_from))
    else:
        _fit_transforms(parts, fabric, reporter, check_held_out=not overfit_batches)
    first = fabric.global_rank == 0
    if resume is None and first:
        files.begin(directory, parts, parts.backend.describe())
        write_transforms(directory, pipeline, recipe.data.transforms)
    fabric.barrier()
    loggers = [component.build(directory) for component in recipe.loggers] if first else []
    stamp = {
        "recipe": recipe.to_yaml(),
        "data": parts.sources.train.dataset.fingerprint(),
        "overfit_batches": overfit_batches,
        "fields": checkpoint.fields_document(parts.sources.spec),
        "runs": hashes(recipe),
    }
    with files.logging_to(directory, earlier) if first else nullcontext():
        log.info(
            "%s %s in %s on %s", "resuming" if resume else "training", recipe.name, directory, parts.backend.describe()
        )
        trainer = Trainer(parts, model, fabric, directory, loggers, reporter, stamp, limits)
        _follow(trainer, parts, directory, resume, first=first)
    fabric.barrier()  # now there is the whole run
    return load_run(directory)


def _fit_transforms(parts: Parts, fabric: Fabric, reporter: Reporter, *, check_held_out: bool) -> None:
    document = parts.recipe.document()["data"]
    held_out = parts.sources.val
    fit(
        parts.pipeline,
        parts.sources.train,
        describe={key: document.get(key) for key in ("train", "transforms", "invalid")},
        loader=replace(loader_of(parts, fabric), rank=0, world=1),  # every process fits to all items
        reporter=reporter,
        checked=[held_out] if held_out is not None and check_held_out else [],
    )


def _follow(trainer: Trainer, parts: Parts, directory: Path, resume: dict[str, Any] | None, *, first: bool) -> None:
    """Trains, and writes down how it ended, whichever way it does."""
    status, reason = "failed", None
    try:
        with explained():
            state = trainer.fit(resume)
        status, reason = "finished", state.stop_reason
    except Interrupted as error:
        status, reason = "interrupted", str(error)
        raise Interrupted(f"{error}; go on with: stem run {directory / files.RECIPE} --resume {directory}") from None
    except TrainingFailed as error:
        reason = str(error)
        raise TrainingFailed(f"{error}; the last good checkpoint is {directory / files.CHECKPOINTS / LAST}") from None
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        raise
    finally:
        parts.sources.close()
        if first:
            _close(trainer, directory, parts, status, reason)


def _close(trainer: Trainer, directory: Path, parts: Parts, status: str, reason: str | None) -> None:
    log.info("%s%s", status, f": {reason}" if reason else "")
    files.summarize(
        directory, parts, trainer.state, status=status, seconds=trainer.seconds, items=trainer.items, reason=reason
    )
    for logger in trainer.loggers:  # after the summary, which some of them record
        logger.finish(status)
