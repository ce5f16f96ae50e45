"""Samples drawn while a model trains."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stem_diffusion.decoding import decoded, drawn_field
from stem_diffusion.diffusion import Diffusion, last_of
from stem_diffusion.given_conditions import repeated
from stem_diffusion.item_noise import ItemNoise
from stem_diffusion.pictures import drawing
from stemcore import Callback, Model, State, UserError

Count = Annotated[int, Field(ge=1)]


class Samples(Callback):
    """Draws the same items again and again while a diffusion model trains, as ``figures/samples_epochNNN.png``.

    They come from the weights that the run is judged by, through the decoder where there is one. The training's random
    numbers are left as they are.

    Args:
        n: items.
        every_n_epochs: how often; after the last epoch, too.
        conditions: what the items are to be by the field's name, in turn, such as ``label: [0, 1]``.
        guidance: how far they follow them; that of the model without.
        steps: of sampling; those of the model without.
    """

    def __init__(
        self,
        *,
        n: Count = 16,
        every_n_epochs: Count = 10,
        conditions: dict[str, list[float | list[float]]] | None = None,
        guidance: Annotated[float, Field(ge=0)] | None = None,
        steps: Count | None = None,
    ) -> None:
        self.n, self.every, self.conditions = n, every_n_epochs, conditions or {}
        self.settings = {n: v for n, v in (("guidance", guidance), ("steps", steps)) if v is not None}

    def on_fit_start(self, state: State) -> None:
        """Refuses a run of another model, and conditions that the model does not know."""
        if not isinstance(state.model, Diffusion):
            raise UserError("callback 'samples' is for diffusion models", where="callbacks", hint="leave it out")
        state.model.refuse_unknown(self._given(state), self.n)

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
            images = decoded(model, state.physical("input", items))["samples"].cpu().numpy()
            field = drawn_field(model, model.spec)
        state.show("samples", drawing(images, field, f"epoch {state.epoch}"))

    def _sampled(self, model: Model, state: State) -> Tensor:
        assert isinstance(model, Diffusion)
        kept = {name: getattr(model, name) for name in self.settings}
        shape = (self.n, *(s or 1 for s in model.spec["input"].shape))
        noise = ItemNoise(state.seed, 0, shape, state.device)
        try:
            for name, value in self.settings.items():
                setattr(model, name, value)
            with state.autocast():
                items = last_of(model.sampling(noise(), self._given(state), noise))
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
