"""The joint autoencoder with decoders that draw: by diffusion, or against critics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from stem_paired.autoencoder import Widths
from stem_paired.critic import Critic, NoisyDecoder
from stem_paired.ddpm import Diffusion, Schedule
from stem_paired.diffusion_decoder import DiffusionDecoder
from stem_paired.joint_vae import JointVae
from stem_paired.platforms import OTHER, PLATFORMS, known, platform_of
from stemcore import DataSpec, FieldSpec

Count = Annotated[int, Field(ge=1)]
NOISES = ("noise", "noise_prediction", "noise_cross")
SCORES = ("real_score", "fake_score", "fake_score_detached")


class GenerativeVae(JointVae):
    """A joint_vae whose imputed platforms can be drawn as they would be measured, with their noise.

    ``diffusion`` puts a denoising diffusion model beside each decoder (Ho, Jain & Abbeel, NeurIPS 2020), which predicts
    the noise in features, given the latents. The decoder gives the mean and imputes, draws come from the diffusion.
    Further outputs: ``noise_a``, (draws, features) of noise that was added to a at as many steps;
    ``noise_prediction_a``, the noise seen given the latents of a, and ``noise_cross_a``, given those of b. Each is
    compared with ``noise_a`` by a squared error.

    ``gan`` gives each decoder noise beside the latents, and has a critic for each platform (Goodfellow et al., NeurIPS
    2014). Imputing is at the mean of the noise, 0, draws are of latents and noise. Further outputs, one score an item:
    ``real_score_a``, of a; ``fake_score_a``, of ``cross_a``, whose gradient does not reach the critic;
    ``fake_score_detached_a``, the same scores, whose gradient reaches the critic alone. The critics are the parameters
    ``critics``, for an optimizer of their own.

    Args:
        decoder: widths of the decoders' hidden layers.
        decoder_type: diffusion or gan.
        steps: of the diffusion, from an item to noise.
        schedule: of the noise of the diffusion.
        draws: steps of the diffusion that each item is trained on at once.
        denoiser: widths of the hidden layers that predict the noise of the diffusion.
        time_dim: values in which a step of the diffusion is given to them; even.
        noise_dim: values of noise beside the latents, for gan.
        critic: widths of the critics' hidden layers, for gan.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        decoder: Widths = [512],  # noqa: B006 - read only
        decoder_type: Literal["diffusion", "gan"] = "diffusion",
        steps: Annotated[int, Field(ge=2)] = 100,
        schedule: Schedule = "cosine",
        draws: Count = 4,
        denoiser: Widths = [512, 512],  # noqa: B006 - read only
        time_dim: Annotated[int, Field(ge=2, multiple_of=2)] = 32,
        noise_dim: Count = 16,
        critic: Widths = [256, 128],  # noqa: B006 - read only
        **rest: Any,
    ) -> None:
        super().__init__(spec, decoder=decoder, **rest)
        self.decoder_type, self.draws = decoder_type, draws
        if decoder_type == "diffusion":
            # Without normalisation over the batch: items at all steps of the diffusion have no statistics in common.
            style = {**self.style, "batch_norm": False}
            self.diffusions = nn.ModuleDict(
                {
                    p: DiffusionDecoder(
                        n, self.latent_dim, Diffusion(schedule, steps), draws, denoiser, time_dim=time_dim, **style
                    )
                    for p, n in self.widths.items()
                }
            )
        else:
            self.decoders = nn.ModuleDict(
                {p: NoisyDecoder(self.latent_dim, noise_dim, decoder, n, **self.style) for p, n in self.widths.items()}
            )
            self.critics = nn.ModuleDict({p: Critic(n, critic) for p, n in self.widths.items()})

    def provides(self) -> Mapping[str, FieldSpec]:
        """What a joint_vae does, and the noise and its predictions, or the scores."""
        if self.decoder_type == "diffusion":
            names = {f"{n}_{p}": (self.draws, self.widths[p]) for n in NOISES for p in PLATFORMS}
        else:
            names = {f"{n}_{p}": () for n in SCORES for p in PLATFORMS}
        return {**super().provides(), **{n: FieldSpec(n, shape) for n, shape in names.items()}}

    def forward(self, input_a: Tensor | None = None, input_b: Tensor | None = None) -> dict[str, Tensor]:
        """What can be had from the platforms given, (n, features) each."""
        outputs = super().forward(input_a, input_b)
        given = known({"a": input_a, "b": input_b})
        more = self._noises if self.decoder_type == "diffusion" else self._scores
        return {**outputs, **more(given, outputs)}

    def _noises(self, given: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for p, x in given.items():
            decoder = self.diffusions[p]
            xt, t, noise = decoder.noised(x)
            found |= {f"noise_{p}": noise, f"noise_prediction_{p}": decoder(xt, t, outputs[f"latent_{p}"])}
            if OTHER[p] in given:
                found[f"noise_cross_{p}"] = decoder(xt, t, outputs[f"latent_{OTHER[p]}"])
        return found

    def _scores(self, given: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {f"real_score_{p}": self.critics[p](x) for p, x in given.items()}
        for p in (OTHER[q] for q in given):
            fake = outputs[f"cross_{p}"]
            found[f"fake_score_{p}"] = self.critics[p].frozen(fake)
            found[f"fake_score_detached_{p}"] = self.critics[p](fake.detach())
        return found

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """The platform that is missing: its mean, decoded from the posterior mean of the other; or, for a draw, of the
        latents and then of the features.

        Raises:
            UserError: unless exactly one platform is given.
        """
        if not draw:
            return super().impute(False, **fields)
        p = platform_of(fields)
        z = self.sampled(p, self.encoders[p](fields[f"input_{p}"])).latents
        if self.decoder_type == "diffusion":
            return {f"input_{OTHER[p]}": self.diffusions[OTHER[p]].sample(z)}
        return {f"input_{OTHER[p]}": self.decoders[OTHER[p]](z, draw=True)}
