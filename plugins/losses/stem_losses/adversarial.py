"""The two sides of adversarial training, as terms of the scores that a critic gives."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from stemcore import Loss

Mode = Literal["nonsaturating", "hinge", "least_squares"]


class AdversarialGenerator(Loss):
    """What a generator minimises: the mean over the scores s of what it made, higher for what looks measured, of

    - ``nonsaturating``: log(1 + exp(-s)), with s a logit (Goodfellow et al., arXiv:1406.2661);
    - ``hinge``: -s (Lim and Ye, arXiv:1705.02894); without a lower bound;
    - ``least_squares``: (s - 1)^2 / 2 (Mao et al., arXiv:1611.04076).

    Args:
        mode: the formula; that of the critic has to be the same.
    """

    def __init__(self, *, mode: Mode = "nonsaturating") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, fake_score: Tensor) -> Tensor:
        """The loss, a scalar, of scores (n, ...), one or several for each item."""
        if self.mode == "nonsaturating":
            return functional.softplus(-fake_score).mean()
        if self.mode == "hinge":
            return -fake_score.mean()
        return 0.5 * (fake_score - 1.0).square().mean()


class AdversarialCritic(Loss):
    """What a critic minimises: the mean over scores r of measured items plus that over scores s of made ones, of

    - ``nonsaturating``: log(1 + exp(-r)) and log(1 + exp(s)), the cross-entropy of logits;
    - ``hinge``: max(0, 1 - r) and max(0, 1 + s);
    - ``least_squares``: (r - 1)^2 / 2 and s^2 / 2.

    The model scores what it made apart from the generator, so that no gradient of this term reaches that.

    Args:
        mode: the formula; that of the generator has to be the same.
    """

    def __init__(self, *, mode: Mode = "nonsaturating") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, real_score: Tensor, fake_score_detached: Tensor) -> Tensor:
        """The loss, a scalar, of the scores (n, ...) of measured items and of those that were made."""
        real, fake = real_score, fake_score_detached
        if self.mode == "nonsaturating":
            return functional.softplus(-real).mean() + functional.softplus(fake).mean()
        if self.mode == "hinge":
            return (1.0 - real).relu().mean() + (1.0 + fake).relu().mean()
        return 0.5 * ((real - 1.0).square().mean() + fake.square().mean())
