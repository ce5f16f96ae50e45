"""Direct imputation of each platform from the other by residual U-Nets over features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_paired.blocks import Activation, Perceptron
from stem_paired.platforms import OTHER, PLATFORMS, known, platform_of, widths_of
from stemcore import DataSpec, FieldSpec, Model, UserError

Width = Annotated[int, Field(ge=1)]


class FeatureUnet(nn.Module):
    """From the features of one platform to those of another: residual layers down to a bottleneck and up again, where
    each level sees what the level of its width gave on the way down.

    Args:
        inputs, outputs: features that come in and go out.
        widths: of the levels, the bottleneck's last.
        layers: residual layers of each level.
        style: of the layers.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], layers: int, **style: object) -> None:
        super().__init__()
        ends = [inputs, *widths]
        self.down = nn.ModuleList(Perceptron(i, [o] * layers, **style) for i, o in pairwise(ends))
        self.up = nn.ModuleList(
            Perceptron(below + skip, [skip] * layers, **style) for skip, below in reversed(list(pairwise(widths)))
        )
        self.head = nn.Linear(widths[0], outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, inputs) to (n, outputs), and the bottleneck (n, widths[-1])."""
        levels = []
        for level in self.down:
            x = level(x)
            levels.append(x)
        bottleneck = x
        for level, skip in zip(self.up, reversed(levels[:-1]), strict=True):
            x = level(torch.cat([x, skip], dim=1))
        return self.head(x), bottleneck


class ResUnet(Model):
    """Residual U-Nets over features that impute each platform from the other, without a posterior.

    After Ronneberger, Fischer & Brox (MICCAI 2015) and He et al. (CVPR 2016), with layers of features in place of
    convolutions. A platform that was imputed is imputed back, for a cycle loss (Zhu et al., ICCV 2017).

    Outputs, for the platforms a and b: ``cross_b`` (b from a) and ``cycle_a`` (a from ``cross_b``), the same the other
    way about, and ``latent``, the bottleneck, the mean of both where both platforms are there. Of one platform alone,
    those that can be had from it.

    Args:
        widths: of the levels, the bottleneck's last.
        layers: residual layers of each level.
        activation: of the layers; leaky_relu has the slope 0.2.
        dropout: chance of a hidden value to be dropped in training.
        batch_norm: whether layers are normalised over the batch; the running statistics are then of measured and of
            imputed platforms together, and platforms are imputed worse.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        widths: Annotated[list[Width], Field(min_length=1)] = [512, 256, 128],  # noqa: B006 - read only
        layers: Annotated[int, Field(ge=1)] = 1,
        activation: Activation = "leaky_relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(spec)
        self.features = widths_of(spec)
        self.latent_dim = widths[-1]
        style = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm, "residual": True}
        self.unets = nn.ModuleDict(
            {p: FeatureUnet(self.features[p], self.features[OTHER[p]], widths, layers, **style) for p in PLATFORMS}
        )

    def provides(self) -> Mapping[str, FieldSpec]:
        """Imputed platforms, both imputed back, and the bottleneck."""
        imputed = {f"{part}_{p}": p for part in ("cross", "cycle") for p in PLATFORMS}
        return {"latent": FieldSpec("latent", (self.latent_dim,))} | {
            n: FieldSpec(n, (self.features[p],), like=f"input_{p}") for n, p in imputed.items()
        }

    def forward(self, input_a: Tensor | None = None, input_b: Tensor | None = None) -> dict[str, Tensor]:
        """What can be had from the platforms given, (n, features) each."""
        outputs, bottlenecks = {}, []
        for p, x in known({"a": input_a, "b": input_b}).items():
            imputed, bottleneck = self.unets[p](x)
            outputs[f"cross_{OTHER[p]}"] = imputed
            outputs[f"cycle_{p}"] = self.unets[OTHER[p]](imputed)[0]
            bottlenecks.append(bottleneck)
        return {**outputs, "latent": torch.stack(bottlenecks).mean(dim=0)}

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """The platform that is missing.

        Raises:
            UserError: unless exactly one platform is given, and for draws, since there is one answer only.
        """
        if draw:
            raise UserError("res_unet imputes one value, it has nothing to draw", hint="leave the samples out")
        p = platform_of(fields)
        return {f"input_{OTHER[p]}": self.unets[p](fields[f"input_{p}"])[0]}

    def reconstruct(self, **fields: Tensor) -> Tensor:
        """Refused: there are two platforms. Raises ``UserError``."""
        raise UserError("res_unet has two platforms to reconstruct", hint="use stem impute")
