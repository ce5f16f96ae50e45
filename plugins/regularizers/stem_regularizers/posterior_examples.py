"""Posteriors, codes and sets of latents to check the penalties by, and their values by NumPy in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcore.testing import LossExample

RNG = np.random.default_rng(1)
A, B, LOGVAR_A, LOGVAR_B = RNG.normal(size=(4, 6, 5))


def kl_monte_carlo(folder: Path) -> list[LossExample]:
    """An estimate as it is, and one under the floor and over it."""
    tensors = {"log_posterior": A[:, 0] + 0.7, "log_prior": B[:, 0]}
    same = {"log_posterior": B[:, 0]}

    def estimate(log_posterior: np.ndarray, log_prior: np.ndarray) -> float:
        return float(np.mean(log_posterior - log_prior))

    given: dict[str, Any] = {"tensors": tensors, "reference": estimate}
    floor = max(estimate(**tensors), 1.0) + 1.0
    return [
        LossExample(label="estimate", zero=same, mean=True, **given),
        LossExample(label="above the floor", config={"free_bits": 1e-3}, **given),
        LossExample(
            label="below the floor",
            config={"free_bits": floor},
            tensors=tensors,
            reference=lambda **densities: floor,
        ),
    ]


def alignment_kl(folder: Path) -> list[LossExample]:
    """Both directions, dimension by dimension; equal posteriors, and nearly equal ones."""

    def one_way(m: np.ndarray, v: np.ndarray, to_m: np.ndarray, to_v: np.ndarray) -> np.ndarray:
        return 0.5 * (np.log(to_v / v) + (v + (m - to_m) ** 2) / to_v - 1)

    posteriors = {"mu_a": A, "logvar_a": LOGVAR_A, "mu_b": B, "logvar_b": LOGVAR_B}
    same = {"mu_b": A, "logvar_b": LOGVAR_A}
    near = {"nearly equal": {"mu_b": A + 1e-7, "logvar_b": LOGVAR_A - 1e-7}}
    examples = []
    for reduction, over in {"sum": np.sum, "mean": np.mean}.items():

        def reference(
            mu_a: np.ndarray, logvar_a: np.ndarray, mu_b: np.ndarray, logvar_b: np.ndarray, over: Any = over
        ) -> float:
            a, b = (mu_a, np.exp(logvar_a)), (mu_b, np.exp(logvar_b))
            return float(np.mean(over((one_way(*a, *b) + one_way(*b, *a)) / 2, axis=1)))

        examples.append(
            LossExample(
                label=reduction,
                config={"reduction": reduction},
                tensors=posteriors,
                zero=same,
                mean=True,
                edges=near,
                reference=reference,
            )
        )
    return examples


def mmd(folder: Path) -> list[LossExample]:
    """Sets of the same size and of others, kernel by kernel; the biased one is zero for a set and itself."""
    few = {"first": A[:4], "second": B}
    same = {"first": A, "second": A}

    def discrepancy(first: np.ndarray, second: np.ndarray, widths: list[float], unbiased: bool) -> float:
        def kernel(x: np.ndarray, y: np.ndarray) -> float:
            return float(sum(np.exp(-((x - y) ** 2).sum() / (2 * h**2)) for h in widths))

        def within(x: np.ndarray) -> float:
            pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j or not unbiased]
            return float(np.mean([kernel(x[i], x[j]) for i, j in pairs]))

        between = np.mean([kernel(x, y) for x in first for y in second])
        return within(first) + within(second) - 2 * float(between)

    cases: dict[str, tuple[dict[str, Any], list[float], bool, Any]] = {
        "unbiased": ({}, [1.0], True, None),
        "wide": ({"bandwidth": 3.0, "unbiased": False}, [3.0], False, same),
        "several kernels": ({"bandwidth": [0.5, 2.0, 4.0]}, [0.5, 2.0, 4.0], True, None),
    }
    return [
        LossExample(
            label=label,
            config=config,
            tensors=few if zero is None else {"first": A, "second": B},
            zero=zero,
            reference=lambda first, second, w=widths, u=unbiased: discrepancy(first, second, w, u),
        )
        for label, (config, widths, unbiased, zero) in cases.items()
    ]


def total_correlation(folder: Path) -> list[LossExample]:
    """Latents at some distance from the means of their posteriors, density by density; equal posteriors."""

    def normal(z: float, mu: float, logvar: float) -> float:
        return float(np.exp(-((z - mu) ** 2) / (2 * np.exp(logvar))) / np.sqrt(2 * np.pi * np.exp(logvar)))

    def reference(latent: np.ndarray, mu: np.ndarray, logvar: np.ndarray, size: int) -> float:
        n, dims = mu.shape
        found = []
        for z in latent:
            densities = np.array([[normal(z[d], mu[j, d], logvar[j, d]) for d in range(dims)] for j in range(n)])
            joint = densities.prod(1).sum() / (size * n)
            found.append(np.log(joint) - np.log(densities.sum(0) / (size * n)).sum())
        return float(np.mean(found))

    equal = {"mu": 0 * A, "logvar": 0 * A}
    given = {"latent": A + 0.4 * B, "mu": A, "logvar": 0.5 * LOGVAR_A}
    of_batch = LossExample(label="batch", tensors=given, zero=equal, reference=lambda **t: reference(**t, size=1))
    of_data = LossExample(
        label="data set",
        config={"dataset_size": 278},
        tensors=given,
        reference=lambda **t: reference(**t, size=278),
    )
    return [of_batch, of_data]


def vq_commitment(folder: Path) -> LossExample:
    """Codes at some distance; only the encoder gets a gradient."""
    return _quantized("encoded")


def vq_codebook(folder: Path) -> LossExample:
    """Codes at some distance; only the codebook gets a gradient."""
    return _quantized("quantized")


def _quantized(differentiated: str) -> LossExample:
    return LossExample(
        tensors={"encoded": A, "quantized": B},
        zero={"encoded": A, "quantized": A},
        mean=True,
        reference=lambda encoded, quantized: float(np.mean((encoded - quantized) ** 2)),
        gradient=[differentiated],
    )
