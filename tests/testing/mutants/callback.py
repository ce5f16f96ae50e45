"""Callbacks broken in one way each."""

from __future__ import annotations

import random
import time
from fractions import Fraction

import torch

from stemcore import Callback, UserError
from stemcore.testing import CallbackExample
from tests.testing.mutation import Mutant


class Sound(Callback):
    """Ends training when a scalar has not improved for some epochs, and keeps a running mean of the weights.

    Args:
        monitor: its name.
        patience: epochs without improvement.
    """

    order = 10

    def __init__(self, *, monitor: str = "val/loss", patience: int = 3):
        self.monitor, self.patience = monitor, patience
        self.best, self.waited = None, 0
        self.mean, self.seconds = {}, 0.0

    def on_fit_start(self, state):
        self.began = time.monotonic()

    def on_step_end(self, state):
        for name, weight in state.model.named_parameters():
            mean = self.mean.setdefault(name, weight.detach().clone())
            mean.lerp_(weight.detach(), 0.1)

    def on_epoch_end(self, state):
        self.seconds += time.monotonic() - self.began
        value = state.metrics.get(self.monitor)
        if value is None or value != value:
            return
        if self.best is None or value < self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            state.stop(f"{self.monitor} has not improved")

    def state_dict(self):
        return {"best": self.best, "waited": self.waited, "mean": self.mean, "seconds": self.seconds}

    def load_state_dict(self, state):
        self.best, self.waited = state["best"], state["waited"]
        self.mean, self.seconds = state["mean"], state["seconds"]


class Picky(Sound):
    """Says in words what it misses.

    Args:
        monitor: a scalar's name.
        patience: epochs without improvement.
    """

    def on_epoch_end(self, state):
        if self.monitor not in state.metrics:
            raise UserError(f"nothing is logged as '{self.monitor}'")
        super().on_epoch_end(state)


class Nothing(Callback):
    """Does nothing."""


class Pictures(Sound):
    """Draws what the model makes of random numbers and of the data."""

    def on_validation_end(self, state):
        from matplotlib.figure import Figure

        with state.evaluation() as model:
            noise = torch.rand(4, *model.spec["input"].shape, device=state.device)
            seen = [model(input=noise)["prediction"]] + [model(input=b["input"])["prediction"] for b in state.items()]
        figure = Figure()
        figure.subplots().plot(state.physical("prediction", seen[0]).flatten().numpy())
        path = state.show("drawn", figure)
        assert path is None or path.is_file()


class DrawsInTraining(Sound):
    def on_epoch_end(self, state):
        torch.rand(3)
        super().on_epoch_end(state)


class Misspelt(Sound):
    def on_epoch_ends(self, state):
        self.waited = 0


class TwoArguments(Sound):
    def on_validation_end(self, state, metrics):
        self.waited = 0


class Late(Sound):
    order = "last"


class AskedTooMuch(Sound):
    def on_validation_end(self, state):
        self.best = min(self.best, state.metrics["val/loss"])


class NoValidation(Sound):
    def on_epoch_end(self, state):
        self.best = state.metrics["val/loss"]


class NothingToDo(Sound):
    def on_fit_end(self, state):
        self.best = min(row["train/loss"] for row in state.history if "train/loss" in row)


class Counts(Sound):
    def on_epoch_end(self, state):
        state.epoch += 1


class Rewrites(Sound):
    def on_epoch_end(self, state):
        state.history[-1]["val/loss"] = 0.0


class Evaluates(Sound):
    def on_step_end(self, state):
        state.model.eval()


class SwitchesOff(Sound):
    def on_validation_end(self, state):
        torch.set_grad_enabled(False)


class StopsForNothing(Sound):
    def on_epoch_end(self, state):
        state.stop_reason = True


class KeepsAnObject(Sound):
    def state_dict(self):
        return {**super().state_dict(), "ratio": Fraction(1, 3)}


class NoMapping(Sound):
    def state_dict(self):
        return [self.best, self.waited]


class NeverTakesItBack(Sound):
    def load_state_dict(self, state):
        pass


class StartsAfresh(Sound):
    def on_fit_start(self, state):
        super().on_fit_start(state)
        self.best, self.waited = None, 0


class Forgets(Sound):
    def state_dict(self):
        return {name: value for name, value in super().state_dict().items() if name != "waited"}

    def load_state_dict(self, state):
        super().load_state_dict({"waited": 0, **state})


class CountsAnew(Sound):
    def state_dict(self):
        return {**super().state_dict(), "epochs": getattr(self, "epochs", 0)}

    def on_epoch_end(self, state):
        super().on_epoch_end(state)
        self.epochs = getattr(self, "epochs", 0) + 1


class Draws(Picky):
    """Saves what is another number every time.

    Args:
        monitor: a scalar's name.
        patience: epochs without improvement.
    """

    def state_dict(self):
        return {**super().state_dict(), "drawn": random.random()}


class Reports(Nothing):
    """Adds a scalar to each epoch."""

    def reports(self):
        return {"waiting/epochs": "min"}

    def on_epoch_end(self, state):
        state.report({"waiting/epochs": float(state.epoch)})


class AddsMore(Reports):
    def on_epoch_end(self, state):
        state.report({"waiting/epochs": 1.0, "waiting/seconds": 2.0})


class NoDirection(Reports):
    def reports(self):
        return {"waiting/epochs": "low"}


class TakesAName(Reports):
    def reports(self):
        return {"val/loss": "min"}


def patient(folder):
    falling = [{"train/loss": 1 / (k + 1), "val/loss": 1 / (k + 1)} for k in range(5)]
    never = CallbackExample(label="never stops", config={"patience": 99}, history=falling)
    return [CallbackExample(config={"patience": 2}), never]


def nothing(folder):
    return [CallbackExample(model=lambda: torch.nn.Linear(2, 2))]


def default(folder):
    return [CallbackExample()]


SOUND = [
    (Sound, patient),
    (Picky, default),
    (Nothing, nothing),
    (Draws, default),
    (Pictures, default),
    (Reports, default),
]
MUTANTS = [
    Mutant("check_method_names", Misspelt, "nobody calls its method on_epoch_ends; did you mean 'on_epoch_end'"),
    Mutant("check_method_names", TwoArguments, "on_validation_end cannot be called with a State alone"),
    Mutant("check_order", Late, "its order is 'last', not a whole number"),
    Mutant("check_whole_run", AskedTooMuch, "on_validation_end after 1 epochs raised TypeError"),
    Mutant("check_missing_values", NoValidation, "without validation, on_epoch_end after 1 epochs raised KeyError"),
    Mutant("check_missing_values", NothingToDo, "on_fit_end after . epochs raised ValueError"),
    Mutant("check_reports", AddsMore, r"it adds 'waiting/seconds', which reports\(\) does not name"),
    Mutant("check_reports", NoDirection, "it says of 'waiting/epochs' that 'low' is better"),
    Mutant("check_reports", TakesAName, "it reports 'val/loss', which the run logs without it"),
    Mutant("check_leaves_the_run_alone", Counts, "on_epoch_end changed state.epoch from 1 to 2"),
    Mutant("check_leaves_the_run_alone", Rewrites, "on_epoch_end changed state.history"),
    Mutant("check_leaves_the_run_alone", Evaluates, "after on_step_end the model is in evaluation mode"),
    Mutant("check_leaves_the_run_alone", SwitchesOff, "after on_validation_end gradients are switched off"),
    Mutant("check_leaves_the_run_alone", DrawsInTraining, "on_epoch_end used random numbers of torch: draw them"),
    Mutant("check_leaves_the_run_alone", StopsForNothing, "it stopped the run for the reason True"),
    Mutant("check_state", KeepsAnObject, "no checkpoint can hold its state .*'ratio' of Fraction"),
    Mutant("check_state", NoMapping, "state_dict returned list, not a mapping"),
    Mutant("check_state", NeverTakesItBack, "saved and loaded its state has 'best': None, not 0.5"),
    Mutant("check_state", StartsAfresh, "saved and loaded its state has 'best': None, not 0.5"),
    Mutant("check_resume", Forgets, "resumed after 4 of 8 epochs it ends after epoch 7, not 6", default),
    Mutant("check_resume", CountsAnew, "resumed after 1 of 8 epochs its state has 'epochs': 5, not 6", default),
]
