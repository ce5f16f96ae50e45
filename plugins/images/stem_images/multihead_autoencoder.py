"""An autoencoder of images whose decoder has several heads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_images.head_choice import Head, heads_of, image_shape
from stem_images.presets import Preset, code_of
from stem_images.stages import decoder_of, encoder_of, filled_up, image_head, pooled_head, stage_channels
from stemcore import DataSpec, FieldSpec, Model

Output = Literal["tanh", "sigmoid", "linear"]
Positive = Annotated[int, Field(ge=1)]

LOGVAR_LIMITS = (-30.0, 20.0)  # exp() stays finite in every precision
ACTIVATIONS: dict[Output, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}


class MultiheadAutoencoder(Model):
    """Convolutional autoencoder with a latent image, (latent_channels, h, w), each side of it 2**downsamples times
    shorter than the input's (rounded up: images are filled up by repeating their last row and column, predictions are
    cut). From the decoder's features heads give the image, a class of each pixel, a class of the image and other
    fields. Segmentation and classification are logits: the loss ``cross_entropy`` has the softmax.

    ``S1`` at ``width`` 32 with a head of each kind, 3 channels, 10 classes of pixels and 2 of images has 3,119,455
    parameters: 2,378,160 of the encoder, 734,672 of the decoder, 2,787, 3,802 and 34 of the heads.

    Args:
        preset: latent channels and halvings of height and width, S1 16 and 4, S2 8/3, S3 4/3, S4 8/4, S5 16/5, S6 32/4,
            S7 4/4, S8 8/5, S9 16/3, S10 2/3, S11 8/6, S12 4/2.
        latent_channels: instead of the preset's.
        downsamples: instead of the preset's.
        width: channels of the encoder's first stage, doubled with every other one; even.
        variational: whether the encoder gives a normal distribution (mu, logvar), from which latent is drawn in
            training; in evaluation latent is mu. Add the loss kl.
        heads: rgb (the image, of any number of channels), segmentation, classification; by default the image, and the
            classes of pixels and of images where the data have the fields label_map and label with names of classes.
        segmentation_classes: of pixels; by default those of label_map.
        classes: of images; by default those of label.
        regression: fields to predict, as regression_NAME: numbers and vectors from the means of the features, images
            as large as the input pixel by pixel.
        output: what bounds the image: tanh for data in [-1, 1], sigmoid for [0, 1], linear for others, such as
            standardised ones.

    Raises:
        UserError: if the input is no image of a fixed size, a field is missing, or a number of classes is not known.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        preset: Preset = "S1",
        latent_channels: Positive | None = None,
        downsamples: Annotated[int, Field(ge=1, le=8)] | None = None,
        width: Annotated[int, Field(ge=2, multiple_of=2)] = 32,
        variational: bool = False,
        heads: Annotated[list[Head], Field(min_length=1)] | None = None,
        segmentation_classes: Annotated[int, Field(ge=2)] | None = None,
        classes: Annotated[int, Field(ge=2)] | None = None,
        regression: list[str] = [],  # noqa: B006 - never changed
        output: Output = "tanh",
    ) -> None:
        super().__init__(spec)
        depth, *self.size = image_shape(spec)
        self.latent_channels, self.downsamples = code_of(preset, latent_channels, downsamples)
        self.variational = variational
        chosen = heads_of(spec, heads, segmentation_classes, classes, regression)
        channels = stage_channels(width, self.downsamples)
        self.encoder = encoder_of(depth, channels, self.latent_channels * (2 if variational else 1))
        self.decoder = decoder_of(self.latent_channels, channels)
        self.heads, self._declared = nn.ModuleDict(), {}
        features = width // 2
        if chosen.rgb:
            head = image_head(features, depth).append(ACTIVATIONS[output]())
            self._add(head, FieldSpec("prediction", spec["input"].shape, unit=spec["input"].unit, like="input"))
        if chosen.segmentation:
            shape = (chosen.segmentation, *self.size)
            self._add(image_head(features, chosen.segmentation), FieldSpec("segmentation", shape))
        if chosen.classification:
            head = pooled_head(features, chosen.classification)
            self._add(head, FieldSpec("classification", (chosen.classification,)))
        for field in chosen.regression:
            self._add(regression_head(features, field), regressed(field))

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction`` like the input, ``segmentation`` (classes, height, width), ``classification`` (classes,) and
        ``regression_NAME`` like the field, each where there is its head; ``latent``, and where variational ``mu`` and
        ``logvar`` (latent_channels, height, width)."""
        factor = 2**self.downsamples
        shape = (self.latent_channels, *(math.ceil(side / factor) for side in self.size))
        names = ("latent", "mu", "logvar") if self.variational else ("latent",)
        return {**self._declared, **{name: FieldSpec(name, shape) for name in names}}

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Images (n, c, height, width) to what ``provides`` declares."""
        code = self._code(input)
        if not self.variational:
            return {**self.decode(code), "latent": code}
        mu, logvar = code.chunk(2, dim=1)
        logvar = logvar.clamp(*LOGVAR_LIMITS)
        latent = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training else mu
        return {**self.decode(latent), "latent": latent, "mu": mu, "logvar": logvar}

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents (n, latent_channels, h, w) by the encoder alone: the mean where variational, also in training."""
        return self._code(fields["input"])[:, : self.latent_channels]

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """What the heads make of latents (n, latent_channels, h, w), by their names in ``provides``."""
        features = self.decoder(latent)[:, :, : self.size[0], : self.size[1]]
        found = {name: head(features) for name, head in self.heads.items()}
        return {name: x.reshape(len(x), *shape_of(self._declared[name])) for name, x in found.items()}

    def _code(self, images: Tensor) -> Tensor:
        code: Tensor = self.encoder(filled_up(images, 2**self.downsamples))
        return code

    def _add(self, head: nn.Module, output: FieldSpec) -> None:
        self.heads[output.name] = head
        self._declared[output.name] = output


def regression_head(features: int, field: FieldSpec) -> nn.Module:
    """The head of a field: pixel by pixel of an image, of the means otherwise."""
    if len(field.shape) == 3:
        return image_head(features, shape_of(field)[0])
    return pooled_head(features, field.size)


def regressed(field: FieldSpec) -> FieldSpec:
    """The output that predicts a field, in its space."""
    return FieldSpec(f"regression_{field.name}", field.shape, unit=field.unit, like=field.name, features=field.features)


def shape_of(field: FieldSpec) -> tuple[int, ...]:
    """The shape of a field all of whose axes are fixed."""
    return tuple(n for n in field.shape if n is not None)
