"""The formula, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_tv.losses import TotalVariation

from stemcore import UserError

IMAGES = np.random.default_rng(0).normal(size=(3, 2, 7, 5))


def reference(y: np.ndarray, eps: float = 0.0, valid: np.ndarray | None = None) -> float:
    valid = np.ones(y.shape, bool) if valid is None else valid
    total = 0.0
    for n, c, i, j in np.ndindex(y.shape):
        for k, m in ((i + 1, j), (i, j + 1)):
            if k < y.shape[2] and m < y.shape[3] and valid[n, c, i, j] and valid[n, c, k, m]:
                total += np.sqrt((y[n, c, k, m] - y[n, c, i, j]) ** 2 + eps**2) - eps
    return float(total / valid.sum())


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_it_is_the_mean_of_absolute_differences(eps: float) -> None:
    found = TotalVariation(eps=eps)(torch.from_numpy(IMAGES))
    assert found.item() == pytest.approx(reference(IMAGES, eps), rel=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_what_is_masked_has_no_influence(eps: float) -> None:
    valid = np.random.default_rng(1).random(IMAGES.shape) > 0.3
    spoilt = torch.from_numpy(np.where(valid, IMAGES, np.nan)).requires_grad_()
    found = TotalVariation(eps=eps)(spoilt, torch.from_numpy(valid))
    assert found.item() == pytest.approx(reference(IMAGES, eps, valid), rel=1e-12)
    found.backward()
    assert torch.isfinite(spoilt.grad).all()
    assert (spoilt.grad[~torch.from_numpy(valid)] == 0).all()
    assert TotalVariation()(spoilt, torch.zeros(3, 2, 7, 5, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_its_gradient(eps: float) -> None:
    images = torch.from_numpy(IMAGES[:1]).requires_grad_()
    assert torch.autograd.gradcheck(TotalVariation(eps=eps), (images,))


def test_flat_images_have_none_and_a_step_has_its_height() -> None:
    step = torch.zeros(1, 1, 4, 4)
    assert float(TotalVariation()(step)) == 0
    step[..., 2:] = 3.0
    assert float(TotalVariation()(step)) == pytest.approx(4 * 3.0 / 16)


def test_it_needs_images() -> None:
    with pytest.raises(UserError, match="needs images"):
        TotalVariation()(torch.zeros(4, 8))
