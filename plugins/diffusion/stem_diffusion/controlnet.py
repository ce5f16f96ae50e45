"""Diffusion that is steered by an image, a label map or a vector."""

from __future__ import annotations

import copy
import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_diffusion.conditions import Given
from stem_diffusion.diffusion import Diffusion
from stem_diffusion.fusion import Fusion, Join
from stem_diffusion.hints import IMAGES, Control, Hints
from stem_diffusion.steps_down import SamplerName
from stem_diffusion.unet import DiffusionUnet, Encoder, Unet
from stemcore import DataSpec, FieldSpec, FrozenRun, Run, UserError

Count = Annotated[int, Field(ge=1)]
SAMPLING = ("sampler", "steps", "guidance", "eta", "clip_denoised")
"""Settings of sampling, those of the base where they are not given."""


class DiffusionControlnet(Diffusion):
    """A trained ``diffusion_unet`` that stays as it is, steered by a trainable copy of its way down (ControlNet: Zhang,
    Rao & Agrawala, ICCV 2023).

    The copy sees the noisy item and the controls; its features join those of the base through convolutions that begin
    with zeros, so that before training the model is the base, to the bit. Schedule, prediction and conditions are the
    base's. Hidden conditions, and items without controls, get what the base says: guidance goes from the base to the
    steered model.

    Args:
        base: the run of a diffusion_unet, on the same data.
        control: fields that steer: label_map, the classes of all places; condition, an image; vector. Without any, all
            images of these that the data have.
        fusion: how features join: add, scaled_add, concat, gated or film.
        control_scale: how far samples follow the controls; 0 gives the base's.
        hint_channels: of the network that reads images, at their own size.
        min_snr_gamma: see diffusion_unet.
        condition_dropout: chance that the base's conditions are hidden in training; controls never are.
        sampler: ddpm, ddim or dpm++; the base's without.
        steps: of sampling; those of the base without.
        guidance: how far samples follow conditions and controls; that of the base without.
        eta: noise that ddim adds; that of the base without.
        clip_denoised: largest size of a value of the items seen on the way; that of the base without.

    Raises:
        UserError: if the base is another kind of model or was trained on other data, or data lack a control.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        base: Run,
        control: list[Control] = [],  # noqa: B006 - read only
        fusion: Fusion = "add",
        control_scale: Annotated[float, Field(ge=0)] = 1.0,
        hint_channels: Count = 16,
        min_snr_gamma: Annotated[float, Field(gt=0)] | None = None,
        condition_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        sampler: SamplerName | None = None,
        steps: Count | None = None,
        guidance: Annotated[float, Field(ge=0)] | None = None,
        eta: Annotated[float, Field(ge=0, le=1)] | None = None,
        clip_denoised: Annotated[float, Field(gt=0)] | None = None,
    ) -> None:
        frozen, model = _base(base, spec)
        given = {"sampler": sampler, "steps": steps, "guidance": guidance, "eta": eta, "clip_denoised": clip_denoised}
        if sampler is not None and sampler != "ddim" and eta is None:
            given["eta"] = 0.0  # that of the base is for the base's sampler
        told: dict[str, Any] = {name: getattr(model, name) if given[name] is None else given[name] for name in SAMPLING}
        of_base = base.recipe.model.arguments
        told |= {name: of_base[name] for name in ("schedule", "timesteps", "prediction", "conditions", "classes")}
        super().__init__(spec, min_snr_gamma=min_snr_gamma, condition_dropout=condition_dropout, **told)
        self.base, self.autoencoder = frozen, model.autoencoder
        names = control or [name for name in IMAGES if name in spec]
        if not names:
            message = f"model.control: the data have nothing that could steer: they have {', '.join(spec)}"
            raise UserError(message, hint="give them label_map, condition or vector")
        its = (name for name in self.condition_names if name in spec)  # what the data lack stays hidden
        self.condition_names = tuple(dict.fromkeys([*its, *names]))
        self.control_names, self.control_scale = tuple(names), control_scale
        self.branch = ControlBranch(model.unet, spec, self.control_names, fusion, hint_channels)

    def forward(
        self,
        input: Tensor,
        label: Tensor | None = None,
        vector: Tensor | None = None,
        condition: Tensor | None = None,
        label_map: Tensor | None = None,
        index: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Items (n, *shape), their classes (n,), vectors (n, D), images (n, K, H, W), label maps (n, 1, H, W) and
        numbers (n,) to the outputs."""
        given = {"label": label, "vector": vector, "condition": condition, "label_map": label_map}
        return self.learnt(input, given, index)

    def estimated(self, xt: Tensor, t: Tensor, given: Given, kept: Tensor) -> Tensor:
        """See :meth:`Diffusion.estimated`."""
        base: DiffusionUnet = self.base.model  # type: ignore[assignment]
        unet = base.unet
        shown = base.conditions(given, kept)
        if all(given.get(name) is None for name in self.control_names):
            return unet(xt, t, shown)
        told, x = unet.told(t, shown), unet.padded(xt)
        middle, skips = unet.down(x, told)
        # In training all items are steered: what the model says of the others is the base's, and there to stay.
        strength = torch.ones_like(kept) if self.training else kept
        scale = (1.0 if self.training else self.control_scale) * strength.to(middle.dtype).reshape(-1, 1, 1, 1)
        added = self.branch(unet, x, t, shown, given, [*skips, middle])
        *skips, middle = [f + scale * a for f, a in zip([*skips, middle], added, strict=True)]
        return unet.up(middle, skips, told)[..., : xt.shape[-2], : xt.shape[-1]]


class ControlBranch(nn.Module):
    """The trainable copy of a UNet's way down, what it is shown, and where it joins.

    Args:
        unet: of the base, from whose weights the copy begins.
        spec: the fields after the transforms.
        names: the controls.
        fusion: how features join.
        hint_channels: see :class:`DiffusionControlnet`.
    """

    def __init__(
        self, unet: Unet, spec: DataSpec, names: tuple[Control, ...], fusion: Fusion, hint_channels: int
    ) -> None:
        super().__init__()
        self.copy = Encoder(copy.deepcopy(unet)).requires_grad_()
        width = unet.time_embedding.linear_2.out_features
        self.hints = Hints(spec, names, unet.conv_in.out_channels, width, hint_channels)
        self.joins = nn.ModuleList(Join(channels, fusion) for channels in _widths(unet))

    def forward(
        self, unet: Unet, x: Tensor, t: Tensor, shown: Tensor | None, given: Given, features: list[Tensor]
    ) -> list[Tensor]:
        """What is added to the base's ``features``, those on the way down and the middle one.

        Args:
            unet: of the base.
            x: noisy items (n, C, H, W), filled up to sizes that halve evenly.
            t: their steps (n,).
            shown: the embedding (n, width) of the base's conditions.
            given: the controls by name.
            features: of the base.
        """
        told = self.copy.told(t, shown)
        vector, hint = self.hints.embedding(given), self.hints.features(given)
        told = told if vector is None else told + vector
        middle, skips = self.copy.down(x, told, None if hint is None else unet.padded(hint))
        return [join(f, c) for join, f, c in zip(self.joins, features, [*skips, middle], strict=True)]


def _widths(unet: Unet) -> list[int]:
    """The channels of the features on the way down and in the middle."""
    found = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        out = block.resnets[-1].out_channels
        found += [out] * (len(block.resnets) + (block.downsamplers is not None))
    return [*found, found[-1]]


def _base(run: Run, spec: DataSpec) -> tuple[FrozenRun, DiffusionUnet]:
    frozen = run.frozen()
    model = frozen.model
    if not isinstance(model, DiffusionUnet):
        message = f"model.base: the model of {run.directory} is {run.recipe.model.type}, not diffusion_unet"
        raise UserError(message, hint="name a run of diffusion_unet")
    mine, its = spec["input"], frozen.spec["input"]
    if mine.shape != its.shape:
        message = f"model.base: it was trained on items {its.shape}, here they are {mine.shape}"
        raise UserError(message, hint="train both on the same data")
    if mine.source != its.source or not _alike(mine.scale, its.scale) or not _alike(mine.offset, its.offset):
        if mine.source != its.source:
            message = "model.base: it was trained on latents of another encoder"
            raise UserError(message, hint="train both on the same data")
        if its.source is None or not _alike(mine.offset, its.offset):
            message = "model.base: it was trained on items of another scale"
            raise UserError(message, hint="train both on the same data")
        message = f"model.base: it was trained on latents times {its.scale!r}, here they are times {mine.scale!r}"
        raise UserError(message, hint=f"set data.train.scale_factor={its.scale!r}")
    for name in model.condition_names:
        if name in spec:
            _refuse_other_condition(spec[name], frozen.spec[name])
    return frozen, model


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)


def _refuse_other_condition(mine: FieldSpec, its: FieldSpec) -> None:
    """Raises ``UserError`` where numbers of classes, or of a vector, mean something else to the base."""
    if mine.classes != its.classes:
        named, here = (", ".join(classes) or "without names" for classes in (its.classes, mine.classes))
        message = f"model.base: to it the classes of '{mine.name}' are {named}, here they are {here}"
        raise UserError(message, hint="name them alike, in the same order")
    if mine.shape != its.shape:
        raise UserError(f"model.base: it was told a '{mine.name}' {its.shape}, here it is {mine.shape}")
