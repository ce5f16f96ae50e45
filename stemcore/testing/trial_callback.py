"""Trying out a callback: a run without training that calls it as the trainer does."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from stemcore.component.callback import Callback, State
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import CallbackExample
from stemcore.testing.promises import Broken, NotApplicable
from stemcore.testing.standard import ITEMS, LATENT, image_spec, standard_tensors
from stemcore.testing.standard_model import standard_model
from stemcore.testing.subject import Subject

STEPS = 3
"""Optimizer steps per epoch."""
LOSSES = (1.0, 0.6, 0.5, 0.55, 0.56, 0.58, 0.6, 0.61)
HISTORY: tuple[Mapping[str, float], ...] = tuple(
    {
        "lr": 1e-3,
        **{f"train/{name}": 0.9 * loss / (k + 1) for name in ("loss", "term")},
        **{f"val/{name}": loss for name in ("loss", "term")},
    }
    for k, loss in enumerate(LOSSES)
)
"""What the epochs of a run log that learns, and then overfits."""


class TrialState(State):
    """A run on a CPU whose data are what the model of the trial takes."""

    def items(self, part: Literal["train", "val"] = "train") -> Iterator[dict[str, Tensor]]:
        """Two batches of the standard fields, or of the fields that the model was built for."""
        spec = getattr(self.model, "spec", None) or image_spec()
        for batch in range(2):
            fields = standard_tensors(ITEMS, spec)
            yield {**{n: fields[n] for n in spec}, "index": torch.arange(ITEMS) + batch * ITEMS}


class CallbackTrial:
    """A callback in a run of as many epochs as its example has a history of.

    Attributes:
        call: how its methods are called.
    """

    def __init__(self, subject: Subject, call: Callable[[Callback, str, State], None] | None = None) -> None:
        self.call = call or called
        self.subject = subject
        self.example = subject.promised(CallbackExample)
        self.history = list(self.example.history or HISTORY)

    def fresh(self) -> Callback:
        """The callback, which has seen nothing."""
        callback: Callback = self.subject.build()
        return callback

    def state(self, name: str = "run") -> State:
        """A run that is about to begin, in a directory of its own."""
        directory: Path = self.subject.folder / name
        directory.mkdir(exist_ok=True)
        model = self.example.model() if self.example.model is not None else standard_model(image_spec(), LATENT)
        return TrialState(model, directory, len(self.history), STEPS)

    def fit(self, callback: Callback, state: State, epochs: int | None = None, *, start: bool = True) -> None:
        """Calls it from the start, or goes on, to the end or until ``epochs`` are done, unless it stops the run.

        Raises:
            Broken: if it raises.
            NotApplicable: if it raises a ``UserError``, since it may want something that this run lacks.
        """
        last = state.max_epochs if epochs is None else epochs
        if start:
            self.call(callback, "on_fit_start", state)
        while state.epoch < last and state.stop_reason is None:
            self._epoch(callback, state)
        if epochs is None:
            self.call(callback, "on_fit_end", state)

    def _epoch(self, callback: Callback, state: State) -> None:
        self.call(callback, "on_epoch_start", state)
        state.model.train()
        for _ in range(state.steps_per_epoch):
            with torch.no_grad():
                for parameter in state.model.parameters():
                    parameter.mul_(0.99)
            state.step += 1
            self.call(callback, "on_step_end", state)
        row = self.history[state.epoch]
        state.epoch += 1
        state.metrics = {"epoch": float(state.epoch), "step": float(state.step), **row}
        if any(name.startswith("val/") for name in row):
            self.call(callback, "on_validation_end", state)
        state.history.append(dict(state.metrics))
        self.call(callback, "on_epoch_end", state)

    def resumed(self, saved: Mapping[str, Any], before: State) -> tuple[Callback, State]:
        """Another callback of the kind, given what was saved, in a run that goes on where one ended."""
        state = self.state(before.directory.name)
        state.model.load_state_dict(before.model.state_dict())
        state.epoch, state.step = before.epoch, before.step
        state.history = [dict(row) for row in before.history]
        state.metrics = dict(state.history[-1]) if state.history else {}
        callback = self.fresh()
        callback.load_state_dict(saved)
        return callback, state


def called(callback: Callback, event: str, state: State) -> None:
    """Calls a method of a callback, and says which one raised."""
    try:
        getattr(callback, event)(state)
    except UserError as error:
        raise NotApplicable(f"it refuses the run ({error}): give an example of one") from error
    except Exception as error:
        raise Broken(f"{event} after {state.epoch} epochs raised {cause_of(error)}") from error


def saved(callback: Callback) -> dict[str, Any]:
    """Its state as a checkpoint gives it back.

    Raises:
        Broken: if no checkpoint can hold it.
    """
    made = callback.state_dict()
    if not isinstance(made, Mapping):
        raise Broken(f"state_dict returned {type(made).__name__}, not a mapping")
    buffer = io.BytesIO()
    try:
        torch.save(dict(made), buffer)
        buffer.seek(0)
        found: dict[str, Any] = torch.load(buffer, weights_only=True)
    except Exception as error:
        kinds = ", ".join(f"'{name}' of {type(value).__name__}" for name, value in made.items())
        said = cause_of(error).split(". ")[0]
        raise Broken(f"no checkpoint can hold its state ({kinds}): {said}") from error
    return found


def alike(a: Any, b: Any) -> bool:
    """Whether two saved values are the same, up to the rounding of numbers."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.allclose(a.double(), b.double(), equal_nan=True)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and bool(a == b)
