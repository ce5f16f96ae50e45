"""The joint importance weighted autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_paired.autoencoder import joint
from stem_paired.joint_vae import JointVae
from stem_paired.platforms import OTHER, PLATFORMS, known
from stem_paired.posteriors import Gaussian, log_gaussian, log_standard, single
from stemcore import DataSpec, FieldSpec


class JointIwae(JointVae):
    """A joint VAE with several draws per item, weighted by importance (Burda, Grosse and Salakhutdinov 2016).

    ``log_weights_a`` (n, samples) are log p(a | z) + log p(b | z) + log p(z) - log q(z | a) at draws z of the posterior
    of a, with a standard normal prior and decoders that give the means of Gaussians; ``log_weights_b`` are those at
    draws of the posterior of b. The logarithm of the mean weight is a lower bound of log p(a, b), whichever platform
    the draws come from; with one sample it is the evidence lower bound. Of one platform alone, its likelihood counts.

    Likelihoods are those of the target where there is one, which noise leaves as it is, and of measured values alone.
    In training, the other outputs are those of the first draw. In evaluation they are those of the posterior mean, and
    weights are at the same standard normal deviations for every item, which are kept with the model.

    Args:
        samples: draws per item.
        learn_scale: whether each feature's standard deviation about what is decoded is learned; else it is 1.
    """

    def __init__(
        self, spec: DataSpec, *, samples: Annotated[int, Field(ge=1)] = 5, learn_scale: bool = True, **rest: Any
    ) -> None:
        super().__init__(spec, **rest)
        self.samples = samples
        self.log_scales = nn.ParameterDict(
            {p: nn.Parameter(torch.zeros(n), requires_grad=learn_scale) for p, n in self.widths.items()}
        )
        self.deviations: Tensor
        self.register_buffer("deviations", torch.randn(samples, 1, self.latent_dim))

    def provides(self) -> Mapping[str, FieldSpec]:
        """The logarithms of the weights as well."""
        names = [f"log_weights_{p}" for p in PLATFORMS]
        return {**super().provides(), **{n: FieldSpec(n, (self.samples,)) for n in names}}

    def forward(
        self,
        input_a: Tensor | None = None,
        input_b: Tensor | None = None,
        target_a: Tensor | None = None,
        target_b: Tensor | None = None,
        mask_a: Tensor | None = None,
        mask_b: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What can be had from the platforms given, (n, features) each, and from the targets and masks of these."""
        codes: dict[str, Gaussian] = self.codes({"a": input_a, "b": input_b})
        targets = known({"a": pick(target_a, input_a), "b": pick(target_b, input_b)})
        masks = {"a": mask_a, "b": mask_b}
        outputs = {"latent": joint({p: self.point(p, code) for p, code in codes.items()})}
        for p, code in codes.items():
            z = self.several(code)
            means = {o: self.decoders[o](z.flatten(0, 1)).unflatten(0, z.shape[:2]) for o in PLATFORMS}
            weights = log_standard(z) - code.log_density(z)
            for o in codes:
                weights = weights + self.log_likelihood(o, targets[o], masks[o], means[o])
            outputs[f"log_weights_{p}"] = weights.T
            if self.training:
                outputs |= self.described(p, codes, self.carried(p, z[0]))
                outputs |= {f"recon_{p}": means[p][0], f"cross_{OTHER[p]}": means[OTHER[p]][0]}
            else:
                point = self.point(p, code)
                outputs |= self.described(p, codes, point) | self.decoded(p, point.latents)
        return outputs

    def several(self, code: Gaussian) -> Tensor:
        """Latents (samples, n, latent_dim): draws in training, else at the deviations that are kept."""
        if self.training:
            return code.at(torch.randn(self.samples, *code.mu.shape, dtype=code.mu.dtype, device=code.mu.device))
        return code.at(self.deviations)

    def log_likelihood(self, p: str, target: Tensor, mask: Tensor | None, mean: Tensor) -> Tensor:
        """log p(target | z) (samples, n) of the values that are measured, where ``mean`` (samples, n, features) is
        what is decoded."""
        scale = self.log_scales[p].clamp(min=LEAST_LOG_SCALE)
        terms = log_gaussian(target[..., None], single(mean)[..., None], 2.0 * scale[:, None])
        return (terms if mask is None else torch.where(mask, terms, 0.0)).sum(dim=-1)


LEAST_LOG_SCALE = -4.0
"""A feature that is decoded without error would else have an unbounded likelihood."""


def pick(target: Tensor | None, given: Tensor | None) -> Tensor | None:
    """The target of a platform, where there is one, else the platform as it was given."""
    return given if target is None else target
