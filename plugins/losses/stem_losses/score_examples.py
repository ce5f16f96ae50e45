"""Weights and scores to check the terms by that compare with no target, and their values by NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stemcore.testing import LossExample

Cost = Callable[[np.ndarray], np.ndarray]


def iwae(folder: Path) -> list[LossExample]:
    """One draw and several, and weights so small that none can be had without its logarithm."""
    weights = np.random.default_rng(0).normal(-3.0, 2.0, size=(6, 5))

    def bound(log_weights: np.ndarray) -> float:
        return -float(np.mean([np.log(np.mean(np.exp(row))) for row in log_weights]))

    tiny = {"log likelihoods of many features": {"log_weights": 1e4 * weights.astype(np.float32)}}
    given = {"zero": {"log_weights": 0 * weights}, "mean": True, "edges": tiny, "reference": bound}
    return [
        LossExample(label=f"{k} draws", tensors={"log_weights": weights[:, :k]}, **given) for k in (1, weights.shape[1])
    ]


def adversarial_generator(folder: Path) -> list[LossExample]:
    """Scores far to either side."""
    _, fake = _scores()
    return [
        LossExample(
            label=mode,
            config={"mode": mode},
            tensors={"fake_score": fake},
            zero={"fake_score": np.full_like(fake, ZERO_OF[mode][0])},
            mean=True,
            reference=lambda fake_score, cost=GENERATOR[mode]: float(cost(fake_score).mean()),
        )
        for mode in GENERATOR
    ]


def adversarial_critic(folder: Path) -> list[LossExample]:
    """Scores far to either side."""
    real, fake = _scores()
    examples = []
    for mode, (of_real, of_fake) in CRITIC.items():
        zero_real, zero_fake = ZERO_OF[mode][1:]

        def total(
            real_score: np.ndarray, fake_score_detached: np.ndarray, a: Cost = of_real, b: Cost = of_fake
        ) -> float:
            return float(a(real_score).mean() + b(fake_score_detached).mean())

        examples.append(
            LossExample(
                label=mode,
                config={"mode": mode},
                tensors={"real_score": real, "fake_score_detached": fake},
                zero={
                    "real_score": np.full_like(real, zero_real),
                    "fake_score_detached": np.full_like(fake, zero_fake),
                },
                mean=True,
                reference=total,
            )
        )
    return examples


GENERATOR: dict[str, Cost] = {
    "nonsaturating": lambda s: -np.log(1 / (1 + np.exp(-s))),
    "hinge": lambda s: -s,
    "least_squares": lambda s: (s - 1) ** 2 / 2,
}
CRITIC: dict[str, tuple[Cost, Cost]] = {
    "nonsaturating": (lambda r: -np.log(1 / (1 + np.exp(-r))), lambda s: -np.log(1 - 1 / (1 + np.exp(-s)))),
    "hinge": (lambda r: np.maximum(0, 1 - r), lambda s: np.maximum(0, 1 + s)),
    "least_squares": (lambda r: (r - 1) ** 2 / 2, lambda s: s**2 / 2),
}
ZERO_OF = {"nonsaturating": (40.0, 40.0, -40.0), "hinge": (0.0, 1.0, -1.0), "least_squares": (1.0, 1.0, 0.0)}
"""Scores at which there is nothing to be gained: of the generator, and of the critic for what is measured and made."""


def _scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0.8, 2.0, size=7), rng.normal(-0.5, 2.0, size=7)
