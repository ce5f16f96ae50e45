"""The joint autoencoder with quantised latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from stem_paired.autoencoder import PairedAutoencoder, Widths
from stem_paired.blocks import Network
from stem_paired.platforms import PLATFORMS
from stem_paired.posteriors import single
from stem_paired.quantizer import Quantized, Quantizer
from stemcore import DataSpec, FieldSpec, UserError


class JointVq(PairedAutoencoder):
    """Autoencoders of two platforms whose latents are entries of codebooks that both share.

    After van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (NeurIPS 2017). The latents
    of an item are cut into groups, each with a codebook of its own: one group, as for the patches of an image there,
    would leave an item no more than log2(codes) bits.

    Outputs, for the platforms a and b: ``encoded_a`` (before quantisation), ``quantized_a`` (the nearest entries, with
    gradients to the codebooks), ``codes_a`` (n, groups; their numbers), ``latent_a`` (the nearest entries, with
    gradients to ``encoded_a``), ``recon_a``, ``cross_a``, and ``latent``, the mean over the platforms that are there.

    Args:
        codes: entries of each codebook.
        groups: parts of the latents, a divisor of ``latent_dim``; 1 is one codebook for whole vectors.
        ema: whether entries follow the mean of what they are chosen for, and not the codebook loss. Under several
            processes they follow what the first of them is given.
        ema_decay: share of the past that an entry keeps at each step.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        codes: Annotated[int, Field(ge=1)] = 512,
        groups: Annotated[int, Field(ge=1)] = 16,
        ema: bool = False,
        ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        **rest: Any,
    ) -> None:
        super().__init__(spec, **rest)
        if self.latent_dim % groups:
            raise UserError(
                f"latent_dim {self.latent_dim} cannot be cut into {groups} equal groups",
                hint="set model.groups to a divisor of model.latent_dim",
            )
        self.groups = groups
        self.quantizer = Quantizer(groups, codes, self.latent_dim // groups, ema=ema, decay=ema_decay)

    def encoder_of(self, features: int, widths: Widths) -> nn.Module:
        """To a vector."""
        return Network(features, widths, self.latent_dim, **self.style)

    def provides(self) -> Mapping[str, FieldSpec]:
        """Vectors before and after quantisation and the numbers of the codes as well."""
        names = [f"{part}_{p}" for part in ("encoded", "quantized") for p in PLATFORMS]
        return {
            **super().provides(),
            **{n: FieldSpec(n, (self.latent_dim,)) for n in names},
            **{f"codes_{p}": FieldSpec(f"codes_{p}", (self.groups,), dtype="int64") for p in PLATFORMS},
        }

    def point(self, p: str, code: Tensor) -> Quantized:  # type: ignore[override]
        """The nearest entries."""
        found: Quantized = self.quantizer(code)
        return found

    def sampled(self, p: str, code: Tensor) -> Quantized:  # type: ignore[override]
        """The nearest entries: nothing is random."""
        return self.point(p, code)

    def points(self, codes: Mapping[str, Tensor], draws: Mapping[str, Any]) -> Mapping[str, Any]:
        """The nearest entries, in training too."""
        return draws

    def described(self, p: str, codes: Mapping[str, Tensor], draw: Any) -> dict[str, Tensor]:
        """Vectors before and after quantisation and the numbers of the codes as well."""
        found = {f"encoded_{p}": single(codes[p]), f"quantized_{p}": draw.vectors, f"codes_{p}": draw.codes}
        return {**super().described(p, codes, draw), **found}

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """The platform that is missing, decoded from the nearest entries of the other.

        Raises:
            UserError: for a draw, and unless exactly one platform is given.
        """
        if draw:
            raise UserError("joint_vq has nothing to draw from: its latents are the nearest codes", hint="impute once")
        return super().impute(**fields)
