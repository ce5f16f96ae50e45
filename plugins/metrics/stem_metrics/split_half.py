"""The error to the unknown truth, from the two halves of thinned counts."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from stem_metrics.counts import FLOOR, deviance
from stem_metrics.pattern import PatternSums, Pixels, everywhere, pixels
from stemcore import Model, UserError

ROOTS = (0.1, 1.65, 1.2)
NOISE = (0.0, 1.86, -0.46)


class SplitHalf(PatternSums):
    """Error of the denoised pattern to the unknown noise-free one, estimated from real counts without any truth.

    Each electron is put into one of two halves by a fair coin. For Poisson counts of rate r the halves are
    independent Poisson counts of rate r / 2. The model reconstructs a rate p from the first half; the second half m
    has noise that p knows nothing of, so the error of p to m less the noise of m is the error of p to r / 2. A model
    that copies the noise gains nothing by it. Values are given for the whole dose, mean over pixels.

    - ``deviance``: ``2 * deviance(m, p) - noise``, for the Poisson deviance of p from the truth. All that depends on
      the model is estimated without bias, so differences between models or epochs on the same data are unbiased,
      and it weighs every electron as the likelihood does. No unbiased estimate exists of the noise alone: the one
      used leaves an offset of at most 0.3 per pixel (of 0.1 to 10 counts; below 0.01 from 20 counts on), which is
      the same for every model.
    - ``squared``: ``4 ((p - m)**2 - m)``, for the squared error in counts. Unbiased without exception, also in its
      offset, but ruled by the brightest pixels and noisier for it.
    - ``sqrt``: ``2 (p - 2 sqrt(p) s(m) + m)``, for the squared error of the square roots, as ``expected_error``
      computes it. No s(m) has the expectation sqrt(r / 2) (that of sqrt(m) is smaller); this one, sqrt(m + 1/4) but
      for m < 3, comes close: where p is right the score is off by at most 0.14 per pixel (of up to 10 counts; below
      0.02 from 20 counts on), and by a part that depends on the model: do not compare models closely by it.

    The error is that of a reconstruction from half the dose, so an upper estimate of that from the whole. The coin
    is torch's global random generator. Counts have to be whole numbers: bin, crop or shift them before any transform
    of their values.

    Args:
        score: the measure of error, see above.
        dose: ``full`` doubles the half that the model is shown and halves its answer: the intensity that the model
            knows, with the noise of half the dose; ``half`` shows the half as it is, for models that follow the dose.
        eps: for ``deviance``, rates below it, negative ones included, are taken as ``eps`` counts.
    """

    def __init__(
        self,
        *,
        score: Literal["deviance", "squared", "sqrt"] = "deviance",
        dose: Literal["full", "half"] = "full",
        eps: Annotated[float, Field(gt=0)] = FLOOR,
    ) -> None:
        super().__init__()
        self.score = score
        self.factor = 2.0 if dose == "full" else 1.0
        self.eps = eps

    def update(self, target: Tensor, model: Model, transforms: Any, mask: Tensor | None = None) -> None:
        """Takes in a batch.

        Args:
            target: counts (n, c, h, w) or (n, d).
            model: has ``reconstruct(input=...)``.
            transforms: ``forward`` takes counts to the model's space, ``inverse`` back.
            mask: true where a pixel counts; also given to a model that takes one.

        Raises:
            UserError: if the target does not hold counts.
        """
        seen, held = thin(target, mask)
        fields = {"input": transforms.forward((seen * self.factor).to(torch.float32))}
        if mask is not None and "mask" in inspect.signature(model.forward).parameters:
            fields["mask"] = mask
        rate = transforms.inverse(model.reconstruct(**fields)) / self.factor
        self.add(pixels(rate, held, mask))

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The estimated error of each pattern (n,), from the rate and the counts of half the dose."""
        rate, held = batch.prediction, batch.target
        if self.score == "squared":
            error = 4 * ((rate - held).square() - held)
        elif self.score == "sqrt":
            rate = rate.clamp(min=0)
            error = 2 * (rate - 2 * rate.sqrt() * _by_count(held, ROOTS, (held + 0.25).sqrt()) + held)
        else:
            noise = 2 * _by_count(held, NOISE, 0.5 + 1 / (12 * held.clamp(min=1)))
            error = 2 * (deviance(held, rate.clamp(min=self.eps)) - noise)
        return everywhere(batch.mean(error.where(batch.valid, 0)))


def thin(counts: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Two halves of Poisson counts, as if recorded one after the other: independent, and adding up to the counts.

    Raises:
        UserError: if they are not whole numbers from 0 on, pixels apart where ``mask`` is false.
    """
    whole = counts.where(counts.isfinite() & (counts >= 0), 0).round().float()
    wrong = counts != whole if mask is None else (counts != whole) & mask
    if bool(wrong.any()):
        raise UserError(
            "split_half needs counts: whole numbers from 0 on",
            hint="leave it out for data without Poisson noise, or transform geometry (bin, crop) before values",
        )
    first = torch.binomial(whole, torch.full_like(whole, 0.5))
    return first, whole - first


def _by_count(counts: Tensor, few: tuple[float, ...], many: Tensor) -> Tensor:
    """``few[n]`` for the smallest counts n, ``many`` for the others."""
    for n, value in enumerate(few):
        many = many.where(counts != n, value)
    return many
