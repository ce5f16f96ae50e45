"""Samples drawn while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_diffusion.decoding import decoded, drawn_field
from stem_diffusion.diffusion import Diffusion, last_of
from stem_diffusion.given_conditions import repeated
from stem_diffusion.item_noise import ItemNoise
from stem_diffusion.pictures import beside, drawing, told_rows
from stemcore import Callback, Model, State, UserError

Count = Annotated[int, Field(ge=1)]


class Samples(Callback):
    """Draws the same items again and again while a diffusion model trains, as ``figures/samples_epochNNN.png``.

    They come from the weights that the run is judged by, through the decoder where there is one. Where conditions are
    images or classes of pixels they are drawn above the items, and below these the classes that the decoder sees. The
    training's random numbers are left as they are.

    Args:
        n: items.
        every_n_epochs: how often; after the last epoch, too.
        conditions: what the items are to be by the field's name, in turn, such as ``label: [0, 1]``.
        conditions_from: of whose items the conditions are that are not given, val or train; of none without it.
        guidance: how far they follow them; that of the model without.
        steps: of sampling; those of the model without.
    """

    def __init__(
        self,
        *,
        n: Count = 16,
        every_n_epochs: Count = 10,
        conditions: dict[str, list[float | list[float]]] | None = None,
        conditions_from: Literal["train", "val"] | None = None,
        guidance: Annotated[float, Field(ge=0)] | None = None,
        steps: Count | None = None,
    ) -> None:
        self.n, self.every, self.conditions, self.part = n, every_n_epochs, conditions or {}, conditions_from
        self.settings = {n: v for n, v in (("guidance", guidance), ("steps", steps)) if v is not None}

    def on_fit_start(self, state: State) -> None:
        """Refuses a run of another model, and conditions that the model does not know."""
        if not isinstance(state.model, Diffusion):
            raise UserError("callback 'samples' is for diffusion models", where="callbacks", hint="leave it out")
        self._told = {**self._of_items(state, state.model.condition_names), **self._given(state)}
        try:
            state.model.refuse_unknown(self._told, self.n)
        except UserError as error:
            raise UserError(*(replace(p, where="callbacks.samples.conditions") for p in error.problems)) from error

    def on_epoch_end(self, state: State) -> None:
        """Draws, if it is time."""
        if state.epoch % self.every == 0:
            self._draw(state)

    def on_fit_end(self, state: State) -> None:
        """Draws once more, after the last epoch."""
        if state.epoch % self.every and state.epoch:
            self._draw(state)

    def _draw(self, state: State) -> None:
        with state.evaluation() as model:
            items = self._sampled(model, state)
            found = decoded(model, state.physical("input", items))
            field = drawn_field(model, model.spec)
        images, title = found["samples"].cpu().numpy(), f"epoch {state.epoch}"
        told = told_rows({name: values.cpu().numpy() for name, values in self._told.items()})
        seen = found.get("segmentation")
        classes = [] if seen is None or not told else told_rows({"label_map": seen.cpu().numpy()[:, None]})
        state.show("samples", beside(told, images, classes, field, title) if told else drawing(images, field, title))

    def _sampled(self, model: Model, state: State) -> Tensor:
        assert isinstance(model, Diffusion)
        kept = {name: getattr(model, name) for name in self.settings}
        shape = (self.n, *(s or 1 for s in model.spec["input"].shape))
        noise = ItemNoise(state.seed, 0, shape, state.device)
        try:
            for name, value in self.settings.items():
                setattr(model, name, value)
            with state.autocast():
                items = last_of(model.sampling(noise(), self._told, noise))
        finally:
            for name, value in kept.items():
                setattr(model, name, value)
        return items.float()

    def _given(self, state: State) -> dict[str, Tensor]:
        spec = state.model.spec
        given = {}
        for name, values in self.conditions.items():
            whole = name in spec and spec[name].dtype == "int64"
            rows = torch.tensor(values, dtype=torch.int64 if whole else torch.float32).numpy()
            given[name] = torch.from_numpy(repeated({name: rows}, 0, self.n)[name]).to(state.device)
        return given

    def _of_items(self, state: State, names: Sequence[str]) -> dict[str, Tensor]:
        """The conditions of the first items of a part, in turn, each (n, ...)."""
        if self.part is None:
            return {}
        read: list[dict[str, Tensor]] = []
        for batch in state.items(self.part):
            read.append({name: batch[name] for name in names if name in batch})
            if sum(len(next(iter(some.values()), ())) for some in read) >= self.n or not read[-1]:
                break
        if not read or not read[0]:
            message = (
                f"the items of '{self.part}' have no conditions" if read else f"the run has no items of '{self.part}'"
            )
            raise UserError(message, where="callbacks.samples.conditions_from", hint="leave it out")
        whole = {name: torch.cat([some[name] for some in read]) for name in read[0]}
        return {name: values[torch.arange(self.n) % len(values)] for name, values in whole.items()}
