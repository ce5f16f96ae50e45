"""What images have in common by the features of a network that is not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_images.run_features import RunFeatures
from stem_images.vgg import VggFeatures, ends_of_stages, read_vgg
from stemcore import Loss, Run, UserError

Layers = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
Modules = Annotated[list[str], Field(min_length=1)]

# Of the RGB images in [0, 1] that networks for ImageNet are trained on.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Perceptual(Loss):
    """Mean squared difference of the features f_l of two images in a network that is not trained: mean over layers l of
    mean (f_l(y) - f_l(x))^2 (Johnson, Alahi and Fei-Fei, arXiv:1603.08155). Unlike pixels, features hardly mind that a
    texture is moved by a pixel.

    The network is the encoder of another run, or a VGG whose weights lie in a file, such as torchvision's
    ``vgg16-397923af.pth``. Nothing is downloaded, and of the file only tensors are read: neither pickled objects nor
    exported programs, which could run what they hold.

    Args:
        run: whose model gives the features, from images in physical units.
        modules: names of modules within that model, such as encoder.5, whose outputs are compared; by default the
            latents are.
        path: weights of a VGG network without batch normalisation, a file of ``torch.save`` with features.0.weight and
            so on, in place of a run.
        layers: numbers (from 1) of its convolutions whose features, after their ReLU, are compared; by default the last
            one before each halving, as in the paper.
        data_range: the least and the largest physical value of images, for the network in a file; it knows those of
            ImageNet. Images of one channel are shown to it as grey.

    Raises:
        UserError: without a network or with two of them, for a file that is missing or is none, and a layer or a module
            that the network does not have.
    """

    inputs: ClassVar[dict[str, str]] = {"prediction": "prediction@physical", "target": "target@physical"}

    def __init__(
        self,
        *,
        run: Run | None = None,
        modules: Modules | None = None,
        path: Path | None = None,
        layers: Layers | None = None,
        data_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if (run is None) == (path is None):
            raise UserError("perceptual takes the features of one network", hint="give either run or path")
        if (modules and run is None) or (layers and path is None):
            raise UserError("modules are those of a run, layers those of a network in a file (path)")
        self.features: nn.Module
        if run is not None:
            self.features = RunFeatures(run.frozen(), modules or ())
        elif path is not None:
            self.features = PictureFeatures(path, layers, *data_range)

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
        with torch.no_grad():
            wanted = self.features(target)
        pairs = zip(self.features(prediction), wanted, strict=True)
        return torch.stack([(found - true).square().mean() for found, true in pairs]).mean()


class PictureFeatures(nn.Module):
    """Features of a VGG network in a file, of images that are first brought to the range that it knows.

    Args:
        path: the file.
        layers: numbers (from 1) of convolutions; ``None`` for the last one before each halving.
        low: the least value of images.
        high: the largest.

    Raises:
        UserError: as ``Perceptual`` does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path, layers: list[int] | None, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise UserError(f"perceptual has no range from {low} to {high}", hint="the first number is the smaller one")
        convolutions = read_vgg(path)
        chosen = layers or ends_of_stages(convolutions)
        if max(chosen) > len(convolutions):
            raise UserError(
                f"the network has no layer {max(chosen)}", where=str(path), hint=f"layers are 1 to {len(convolutions)}"
            )
        self.low, self.high = low, high
        self.network = VggFeatures(convolutions, chosen)
        self.channels = convolutions[0].weight.shape[1]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features (n, ...) of each layer, of images (n, c, h, w)."""
        if images.ndim != 4 or images.shape[1] not in (1, self.channels):
            raise UserError(
                f"the network takes images (n, {self.channels}, h, w), these are {tuple(images.shape)}",
                hint="grey ones of one channel are fine",
            )
        scaled = ((images - self.low) / (self.high - self.low)).expand(-1, self.channels, -1, -1)
        found: list[Tensor] = self.network((scaled - self.mean) / self.std if self.channels == len(MEAN) else scaled)
        return found
