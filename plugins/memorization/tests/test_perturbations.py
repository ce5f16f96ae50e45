"""Planted copies."""

from __future__ import annotations

import numpy as np
import pytest
from stem_memorization.perturbations import Perturbation, Scale, perturbations, planted

from stemcore import UserError


def changed(kind: str, strength: float, values: np.ndarray) -> np.ndarray:
    (one,) = planted(values.astype(np.float32), [Perturbation(kind, strength)], Scale(usual=5.0, std=2.0), 0)
    return one


def test_each_kind_does_what_it_says() -> None:
    values = np.random.default_rng(0).standard_normal((50, 3, 8, 9)).astype(np.float32)
    noise = changed("noise", 0.1, values) - values
    distances = np.sqrt((noise.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(distances, 0.5, rtol=0.2)
    assert distances.mean() == pytest.approx(0.5, rel=0.02)
    np.testing.assert_allclose(changed("brightness", 0.5, values), values + 1.0, rtol=1e-6)
    shifted = changed("shift", 2, values)
    np.testing.assert_array_equal(shifted[..., 2:], values[..., :-2])
    np.testing.assert_array_equal(shifted[..., 0], values[..., 0])
    np.testing.assert_array_equal(changed("flip", 1, values), values[..., ::-1])
    less = changed("contrast", 0.2, values)
    np.testing.assert_allclose(less.mean(axis=(1, 2, 3)), values.mean(axis=(1, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(less.std(axis=(1, 2, 3)), 0.8 * values.std(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(changed("noise", 0, values), values)


def test_latents_are_put_to_noise_alone() -> None:
    assert {p.kind for p in perturbations([], pictures=False)} == {"noise"}
    assert {p.kind for p in perturbations([], pictures=True)} == {"noise", "brightness", "contrast", "shift", "flip"}
    assert perturbations(["noise=0.1,1", "flip"], pictures=True) == [
        Perturbation("noise", 0.1),
        Perturbation("noise", 1),
        Perturbation("flip", 1),
    ]
    assert perturbations(["none"], pictures=True) == []


@pytest.mark.parametrize("text", ["shift=1", "colour", "noise=", "noise=a", "noise=-1", "noise=inf"])
def test_what_cannot_be_planted_is_named(text) -> None:
    with pytest.raises(UserError):
        perturbations([text], pictures=False)
