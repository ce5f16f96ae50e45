"""What images have in common by the features of a network that is not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stem_images.vgg import VggFeatures, ends_of_stages, read_vgg
from stemcore import Loss, UserError

Layers = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]

# Of the RGB images in [0, 1] that networks for ImageNet are trained on.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Perceptual(Loss):
    """Mean squared difference of the features f_l of two images in a network: mean over layers l of
    mean (f_l(y) - f_l(x))^2 (Johnson, Alahi and Fei-Fei, arXiv:1603.08155). Unlike pixels, features hardly mind that a
    texture is moved by a pixel.

    The network is a VGG whose weights lie in a file, such as torchvision's ``vgg16-397923af.pth``; nothing is
    downloaded, and of the file only tensors are read. Images are taken from ``data_range`` to the range that it knows;
    those of one channel are shown to it as grey.

    Args:
        path: the weights, a file of ``torch.save`` with features.0.weight and so on, without batch normalisation.
        layers: numbers (from 1) of the convolutions whose features, after their ReLU, are compared; by default the last
            one before each halving, as in the paper.
        data_range: the least and the largest value of images, in the model's space.

    Raises:
        UserError: for a file that is missing or is no such network, and a layer that it does not have.
    """

    def __init__(
        self, *, path: Path, layers: Layers | None = None, data_range: tuple[float, float] = (-1.0, 1.0)
    ) -> None:
        super().__init__()
        convolutions = read_vgg(path)
        chosen = layers or ends_of_stages(convolutions)
        if max(chosen) > len(convolutions):
            raise UserError(
                f"the network has no layer {max(chosen)}", where=str(path), hint=f"layers are 1 to {len(convolutions)}"
            )
        low, high = data_range
        if not low < high:
            raise UserError(f"perceptual has no range from {low} to {high}", hint="the first number is the smaller one")
        self.low, self.high = low, high
        self.features = VggFeatures(convolutions, chosen)
        self.channels = convolutions[0].weight.shape[1]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar, of images (n, c, h, w).

        Raises:
            UserError: if the two differ in shape, or have as many channels as the network does not take.
        """
        if prediction.shape != target.shape:
            raise UserError(
                f"the prediction {tuple(prediction.shape)} and its target {tuple(target.shape)} differ in shape",
                hint="'inputs' says what is compared with what",
            )
        pairs = zip(self.features(self._shown(prediction)), self.features(self._shown(target)), strict=True)
        return torch.stack([(found - true).square().mean() for found, true in pairs]).mean()

    def _shown(self, images: Tensor) -> Tensor:
        """The images as the network knows them."""
        if images.ndim != 4 or images.shape[1] not in (1, self.channels):
            raise UserError(
                f"the network takes images (n, {self.channels}, h, w), these are {tuple(images.shape)}",
                hint="grey ones of one channel are fine",
            )
        scaled = (images - self.low) / (self.high - self.low)
        whole = scaled.expand(-1, self.channels, -1, -1)
        return (whole - self.mean) / self.std if self.channels == len(MEAN) else whole
