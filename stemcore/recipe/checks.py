"""Keys of a recipe that contradict each other."""

from __future__ import annotations

from collections import Counter

from stemcore.errors import Problem, close_match
from stemcore.recipe.document import Recipe
from stemcore.recipe.parts import Component
from stemcore.recipe.sections import Checkpointing, TrainerConfig


def has_validation(recipe: Recipe) -> bool:
    """Whether any data are kept for validation."""
    return isinstance(recipe.data.val, Component) or recipe.data.val > 0 or recipe.data.folds is not None


def contradictions(recipe: Recipe) -> list[Problem]:
    """What cannot hold together in a recipe whose parts are each valid."""
    return [
        *_monitors(recipe),
        *_optimizer_losses(recipe),
        *_weights(recipe),
        *_names(recipe),
        *_folds(recipe),
        *_averages(recipe),
    ]


def without_validation(trainer: TrainerConfig) -> TrainerConfig:
    """The trainer of a run that has no validation data: the default monitor is the training loss."""
    if trainer.checkpoint.monitor != Checkpointing().monitor or "monitor" in trainer.checkpoint.model_fields_set:
        return trainer
    checkpoint = trainer.checkpoint.model_copy(update={"monitor": "train/loss"})
    return trainer.model_copy(update={"checkpoint": checkpoint})


def _monitors(recipe: Recipe) -> list[Problem]:
    if has_validation(recipe):
        return []
    stopping, checkpoint = recipe.trainer.early_stopping, recipe.trainer.checkpoint
    watched = {"early_stopping": stopping.monitor if stopping else "", "checkpoint": checkpoint.monitor}
    return [
        Problem(
            f"trainer.{key}.monitor is {monitor}, but data.val is 0: nothing is validated",
            recipe.where(("trainer", key, "monitor")),
            "watch train/loss, or keep some data for validation",
        )
        for key, monitor in watched.items()
        if monitor.startswith("val/")
    ]


def _averages(recipe: Recipe) -> list[Problem]:
    if recipe.trainer.ema is None or recipe.trainer.strategy != "fsdp":
        return []
    message = "trainer.ema does not go with trainer.strategy=fsdp, where no process has whole weights"
    return [Problem(message, recipe.where(("trainer", "ema")), "use ddp, or leave out trainer.ema")]


def _folds(recipe: Recipe) -> list[Problem]:
    data, problems = recipe.data, []
    if data.fold is not None:
        where = recipe.where(("data", "fold"))
        if data.folds is None:
            problems.append(Problem(f"data.fold is {data.fold}, but data.folds is null", where, "set data.folds, too"))
        elif data.fold >= data.folds:
            message = f"data.fold is {data.fold}, but data.folds is {data.folds}"
            problems.append(Problem(message, where, f"choose 0 to {data.folds - 1}"))
    if data.folds is not None and isinstance(data.val, Component):
        message = "data.folds validates on parts of the training data, but data.val is a data set of its own"
        problems.append(Problem(message, recipe.where(("data", "folds")), "leave out data.val, or data.folds"))
    return problems


def _optimizer_losses(recipe: Recipe) -> list[Problem]:
    """Losses that optimizers name wrongly, and those that none of them minimises."""
    return _misnamed_losses(recipe) or [*_idle_optimizers(recipe), *_losses_of_nobody(recipe)]


def _misnamed_losses(recipe: Recipe) -> list[Problem]:
    return [
        Problem(
            f"optimizer.{key}.losses names '{loss}', which is not one of the losses",
            recipe.where(("optimizer", key, "losses", i)),
            close_match(loss, recipe.losses),
        )
        for key, group in recipe.optimizer.items()
        for i, loss in enumerate(group.losses or ())
        if loss not in recipe.losses
    ]


def _idle_optimizers(recipe: Recipe) -> list[Problem]:
    return [
        Problem(
            f"optimizer.{key} minimises nothing: no loss that it names has a weight",
            recipe.where(("optimizer", key, "losses")),
            "name a loss whose weight is not 0, or leave losses out for all",
        )
        for key, group in recipe.optimizer.items()
        if group.losses is not None and not any(_counts(recipe, loss) for loss in group.losses)
    ]


def _losses_of_nobody(recipe: Recipe) -> list[Problem]:
    groups = recipe.optimizer.values()
    if not groups or any(group.losses is None for group in groups):
        return []
    owners = " or ".join(f"optimizer.{key}.losses" for key in recipe.optimizer)
    return [
        Problem(
            f"losses.{loss} is minimised by no optimizer",
            recipe.where(("losses", loss)),
            f"add it to {owners}, or give it weight 0",
        )
        for loss in recipe.losses
        if _counts(recipe, loss) and not any(loss in (group.losses or ()) for group in groups)
    ]


def _counts(recipe: Recipe, loss: str) -> bool:
    weight = recipe.losses[loss].weight
    return isinstance(weight, Component) or weight > 0


def _weights(recipe: Recipe) -> list[Problem]:
    if any(_counts(recipe, loss) for loss in recipe.losses):
        return []
    return [Problem("every loss has weight 0: there is nothing to train", recipe.where(("losses",)))]


def _names(recipe: Recipe) -> list[Problem]:
    """Names that the total loss has already, and loggers that would write the same files."""
    problems = []
    for section in ("losses", "metrics"):
        if "loss" in getattr(recipe, section):
            message = f"{section}.loss: 'loss' is the name of the total loss; choose another"
            problems.append(Problem(message, recipe.where((section, "loss"))))
    for name, count in Counter(logger.type for logger in recipe.loggers).items():
        if count > 1:
            problems.append(Problem(f"loggers: '{name}' is listed {count} times", recipe.where(("loggers",))))
    return problems
