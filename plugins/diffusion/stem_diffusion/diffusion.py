"""What diffusion models have in common: a schedule of noise, conditions, and samplers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stem_diffusion.conditions import Condition, Conditions, Given, classes_of
from stem_diffusion.decoding import decoder_of
from stem_diffusion.fixed_draws import fixed_noise, fixed_steps
from stem_diffusion.schedules import NoiseSchedule, Prediction, Schedule
from stem_diffusion.steps_down import LEAST, SamplerName, stepper, steps_down
from stemcore import DataSpec, FieldSpec, Model, Run, UserError


class Diffusion(Model):
    """A model that turns noise into items step by step (Ho, Jain & Abbeel, NeurIPS 2020).

    In training every item is seen at a random step. In evaluation an item's step and noise depend on its ``index``
    alone, so that a loss is the same every time (without one all items have those of item 0).

    Outputs: ``estimate``, what the network says of the noisy item, and ``wanted``, what it should have said, like the
    item in shape; ``loss_weight`` (), the weight of the squared error between them; ``denoised``, the item seen in the
    noisy one.

    ``sample`` draws items; sampler, steps, guidance, eta and clip_denoised are its settings, which change no weights.

    Args:
        schedule: of the noise: linear, cosine, quadratic, sigmoid or exponential.
        timesteps: from an item to noise.
        prediction: what the network says: epsilon, the noise; v, the velocity; or x0, the item.
        min_snr_gamma: limits the weight of steps with little noise (Hang et al., ICCV 2023); 5 is usual. Without it all
            squared errors of the prediction count alike.
        conditions: fields that the model is told beside the item: label, vector.
        classes: of the label, where the data do not name them.
        condition_dropout: chance that an item's conditions are hidden in training, for guidance.
        sampler: ddpm, ddim or dpm++.
        steps: of sampling; all by default.
        guidance: how far samples follow their conditions: estimates are those without conditions and so many times the
            difference to those with them (Ho & Salimans 2022). 1 is none, 0 leaves conditions out.
        eta: noise that ddim adds at each step, from 0, none, to 1, that of ddpm.
        clip_denoised: largest size of a value of the items that are seen on the way; none by default. 1 for images in
            [-1, 1].
        autoencoder: the run whose latents the items are, which makes images of samples; none for items that are images
            themselves. It is not trained any further.

    Raises:
        UserError: if data lack a condition, eta is given for another sampler than ddim, or the latents are another
            run's than the autoencoder's.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        schedule: Schedule = "cosine",
        timesteps: Annotated[int, Field(ge=2)] = 500,
        prediction: Prediction = "epsilon",
        min_snr_gamma: Annotated[float, Field(gt=0)] | None = None,
        conditions: list[Condition] = [],  # noqa: B006 - read only
        classes: Annotated[int, Field(ge=1)] | None = None,
        condition_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        sampler: SamplerName = "ddim",
        steps: Annotated[int, Field(ge=1)] | None = None,
        guidance: Annotated[float, Field(ge=0)] = 1.0,
        eta: Annotated[float, Field(ge=0, le=1)] = 0.0,
        clip_denoised: Annotated[float, Field(gt=0)] | None = None,
        autoencoder: Run | None = None,
    ) -> None:
        super().__init__(spec)
        if eta and sampler != "ddim":
            raise UserError(f"eta is for the sampler ddim, not for {sampler}", hint="leave model.eta out")
        self.schedule = NoiseSchedule(schedule, timesteps)
        self.prediction, self.min_snr_gamma = prediction, min_snr_gamma
        self.condition_names, self.condition_dropout = tuple(conditions), condition_dropout
        self._classes = classes
        self.sampler: SamplerName = sampler
        self.steps, self.guidance, self.eta, self.clip_denoised = steps, guidance, eta, clip_denoised
        self.autoencoder = None if autoencoder is None else decoder_of(autoencoder, spec["input"])

    def conditions_of(self, width: int) -> Conditions:
        """The embedding of the conditions, (n, width), for the network to hold."""
        return Conditions(self.spec, self.condition_names, self._classes, width)

    def provides(self) -> Mapping[str, FieldSpec]:
        """``estimate``, ``wanted``, ``loss_weight``, and ``denoised``, like the input."""
        given = self.spec["input"]
        seen = {name: FieldSpec(name, given.shape) for name in ("estimate", "wanted")}
        denoised = FieldSpec("denoised", given.shape, unit=given.unit, like="input")
        return {**seen, "loss_weight": FieldSpec("loss_weight", ()), "denoised": denoised}

    @abstractmethod
    def estimated(self, xt: Tensor, t: Tensor, given: Given, kept: Tensor) -> Tensor:
        """What the network says of noisy items, (n, *shape).

        Args:
            xt: the items (n, *shape), float32.
            t: their steps (n,), int64.
            given: their conditions by name, each (n, ...); one may be missing.
            kept: (n,) bool, false where conditions are hidden.
        """

    def forward(
        self, input: Tensor, label: Tensor | None = None, vector: Tensor | None = None, index: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Items (n, *shape), their classes (n,), vectors (n, D) and numbers (n,) to the outputs."""
        return self.learnt(input, {"label": label, "vector": vector}, index)

    def learnt(self, x0: Tensor, given: Given, index: Tensor | None) -> dict[str, Tensor]:
        """The outputs for items ``x0`` (n, *shape) under conditions."""
        x0 = x0.float()
        if self.training:
            t = torch.randint(self.schedule.timesteps, (len(x0),), device=x0.device)
            noise = torch.randn_like(x0)
            kept = torch.rand(len(x0), device=x0.device) >= self.condition_dropout
        else:
            number = torch.zeros(len(x0), dtype=torch.long, device=x0.device) if index is None else index
            t, noise = fixed_steps(number, self.schedule.timesteps), fixed_noise(number, x0.shape[1:])
            kept = torch.ones(len(x0), dtype=torch.bool, device=x0.device)
        xt = self.schedule.noised(x0, t, noise)
        estimate = self.estimated(xt, t, given, kept).float()
        return {
            "estimate": estimate,
            "wanted": self.schedule.wanted(self.prediction, x0, t, noise),
            "loss_weight": self.schedule.weight(self.prediction, t, self.min_snr_gamma),
            "denoised": self.schedule.clean(self.prediction, estimate, xt, t),
        }

    def sample(self, n: int, **conditions: Tensor) -> Tensor:
        """``n`` new items (n, *shape) in the model's space, by torch's random numbers.

        Args:
            n: how many.
            conditions: by name, each (n, ...); without any, items of all kinds.

        Raises:
            UserError: for a condition that the model does not know, or of another number of items.
        """
        place = self.schedule.item.device
        shape = (n, *(s or 1 for s in self.spec["input"].shape))

        def noise() -> Tensor:
            return torch.randn(shape, device=place)

        return last_of(self.sampling(noise(), conditions, noise))

    def sampled_steps(self) -> list[int]:
        """The steps that sampling visits, from the noisiest down."""
        return steps_down(self.schedule.abar, self.steps, LEAST if self.prediction == "epsilon" else 0.0)

    @torch.no_grad()
    def sampling(
        self, start: Tensor, conditions: Mapping[str, Tensor], fresh: Callable[[], Tensor]
    ) -> Iterator[Tensor]:
        """The items after each step of sampling, the last of which are the samples.

        Args:
            start: noise (n, *shape).
            conditions: by name, each (n, ...).
            fresh: more noise (n, *shape), new at every call.

        Raises:
            UserError: for a condition that the model does not know, or of another number of items.
        """
        self.refuse_unknown(conditions, len(start))
        down = self.sampled_steps()
        step = stepper(self.sampler, self.schedule.abar, down, self.eta, fresh)
        x = start
        for k, t in enumerate(down):
            x = step(k, x, self.seen(x, torch.full((len(x),), t, device=x.device), conditions))
            yield x

    def seen(self, xt: Tensor, t: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        """The clean items that are seen in noisy ones at steps ``t`` (n,), guided and clipped."""
        x0 = self.schedule.clean(self.prediction, self._guided(xt, t, conditions), xt, t)
        return x0 if self.clip_denoised is None else x0.clamp(-self.clip_denoised, self.clip_denoised)

    def _guided(self, xt: Tensor, t: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        kept = torch.full((len(xt),), bool(given) and self.guidance != 0.0, device=xt.device)
        if not given or self.guidance in (0.0, 1.0):
            return self.estimated(xt, t, given, kept).float()
        twice = {name: torch.cat([value, value]) for name, value in given.items()}
        both = self.estimated(torch.cat([xt, xt]), torch.cat([t, t]), twice, torch.cat([kept, ~kept]))
        told, untold = both.float().chunk(2)
        return untold + self.guidance * (told - untold)

    def refuse_unknown(self, conditions: Mapping[str, Tensor], n: int) -> None:
        """Raises ``UserError`` for conditions of ``n`` items that the model does not know."""
        for name, value in conditions.items():
            if name not in self.condition_names:
                known = ", ".join(self.condition_names) or "none"
                raise UserError(f"the model knows no condition '{name}'", hint=f"its conditions are: {known}")
            if len(value) != n:
                raise UserError(f"condition '{name}' is of {len(value)} items, {n} are to be drawn")
            if name == "label" and n and int(value.max()) >= (classes := classes_of(self.spec, self._classes)):
                raise UserError(f"the model knows the classes 0 to {classes - 1}, not {int(value.max())}")


def last_of(steps: Iterator[Tensor]) -> Tensor:
    """The samples: the last items of :meth:`Diffusion.sampling`. Those before them are not kept."""
    for items in steps:
        samples = items
    return samples
