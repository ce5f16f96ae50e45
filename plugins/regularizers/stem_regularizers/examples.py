"""Latents to check the penalties by, and their values by NumPy in float64."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stemcore.testing import LossExample

LATENT = np.random.default_rng(0).normal(size=(6, 5))
NOTHING = {"latent": np.zeros((6, 5))}


def lp(folder: Path) -> list[LossExample]:
    """Exponents below, at and above 1, summed and averaged over the dimensions."""
    configurations = [{"p": 1.0}, {"p": 0.5}, {"p": 2.5, "reduction": "mean"}]
    return [_lp(config) for config in configurations]


def _lp(config: dict[str, Any]) -> LossExample:
    over = np.mean if config.get("reduction") == "mean" else np.sum

    def reference(latent: np.ndarray) -> float:
        return float(np.mean([over(np.abs(z) ** config["p"]) for z in latent]))

    tensors = {"latent": LATENT}
    return LossExample(label=str(config), config=config, tensors=tensors, zero=NOTHING, mean=True, reference=reference)


def contrastive(folder: Path) -> list[LossExample]:
    """Each formula, pair by pair."""

    def infonce(latent: np.ndarray) -> float:
        similar = np.array([[cosine(a, b) / 0.2 for b in latent] for a in latent])
        return float(np.mean([np.log(np.exp(row - row[i]).sum()) for i, row in enumerate(similar)]))

    def alike(latent: np.ndarray) -> float:
        return float(np.mean([cosine(a, b) for a, b in combinations(latent, 2)]))

    def margin(latent: np.ndarray) -> float:
        return float(np.mean([max(0.0, cosine(a, b) - 0.1) for a, b in combinations(latent, 2)]))

    apart = {"latent": np.eye(5)}
    opposite = {"latent": np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])}
    config: dict[str, Any] = {"mode": "infonce", "temperature": 0.2}
    tensors = {"latent": LATENT}
    return [
        LossExample(label="infonce", config=config, tensors=tensors, reference=infonce, edges={"opposite": opposite}),
        LossExample(label="cosine", config={"mode": "cosine"}, tensors=tensors, reference=alike, zero=apart),
        LossExample(
            label="margin", config={"mode": "margin", "margin": 0.1}, tensors=tensors, reference=margin, zero=apart
        ),
    ]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two latents."""
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def divergence(folder: Path) -> list[LossExample]:
    """Both formulas."""

    def inverse_variance(latent: np.ndarray) -> float:
        return float(np.mean([1 / (unit.var(ddof=1) + 1e-3) for unit in latent.T]))

    def pairwise(latent: np.ndarray) -> float:
        return -float(np.mean([np.linalg.norm(a - b) for a, b in combinations(latent, 2)]))

    tensors = {"latent": LATENT}
    inverse = {"mode": "inverse_variance", "eps": 1e-3}
    same = {"latent": np.ones((4, 3))}
    return [
        LossExample(label="inverse_variance", config=inverse, tensors=tensors, reference=inverse_variance),
        LossExample(label="pairwise", config={"mode": "pairwise"}, tensors=tensors, reference=pairwise, zero=same),
    ]


def l2(folder: Path) -> list[LossExample]:
    """Weights of a small network, without its biases and its normalisation, and latents."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Conv1d(2, 3, 5))
    weights = [network[i].weight.detach().double().numpy() for i in (0, 2)]
    expected = float(sum(np.sum(w**2) for w in weights))
    blank = nn.Linear(2, 2)
    nn.init.zeros_(blank.weight)
    tensors = {"latent": LATENT}
    return [
        LossExample(
            label="weights",
            tensors={"model": network, **tensors},
            zero={"model": blank},
            reference=lambda **latents: expected,
        ),
        LossExample(
            label="latent",
            config={"target": "latent"},
            tensors=tensors,
            zero=NOTHING,
            mean=True,
            reference=lambda latent: float(np.mean(latent**2)),
        ),
    ]


def kl(folder: Path) -> list[LossExample]:
    """A posterior, summed and averaged over its dimensions, and the latent of a deterministic encoder; far from the
    prior, and near it."""

    def divergence(latent: np.ndarray, mu: np.ndarray, logvar: np.ndarray) -> float:
        return float(np.mean(0.5 * (np.exp(logvar) + mu**2 - 1 - logvar).sum(1)))

    def of_latent(latent: np.ndarray) -> float:
        return float(np.mean(0.5 * (latent**2).sum(1)))

    posterior = {"latent": LATENT, "mu": LATENT + 0.3, "logvar": 0.7 * LATENT[::-1].copy()}
    prior = {"mu": NOTHING["latent"], "logvar": NOTHING["latent"]}
    near = {"near the prior": {name: 1e-7 * values for name, values in posterior.items()}}
    return [
        LossExample(label="posterior", tensors=posterior, zero=prior, mean=True, edges=near, reference=divergence),
        LossExample(
            label="mean",
            config={"reduction": "mean"},
            tensors=posterior,
            zero=prior,
            mean=True,
            reference=lambda **given: divergence(**given) / LATENT.shape[1],
        ),
        LossExample(label="latent", tensors={"latent": LATENT}, zero=NOTHING, mean=True, reference=of_latent),
    ]
