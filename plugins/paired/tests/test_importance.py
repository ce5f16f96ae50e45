from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stem_paired.importance import importance_of
from torch import Tensor, nn

from stemcore import DataSpec, FieldSpec, Model, UserError, reporter

MEAN = torch.tensor([1.0, -2.0, 0.5, 3.0])
WEIGHT = torch.tensor([[1.0, -2.0, 0.0, 0.5], [0.0, 3.0, 1.0, 0.0], [2.0, 2.0, -1.0, 1.0]])
ROWS = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)


class Known(Model):
    """Three outputs of four inputs, by a function whose attributions are known."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(DataSpec({"input_a": FieldSpec("input_a", (4,))}))
        self.linear = nn.Linear(4, 3)
        self.layers = nn.Sequential(*layers)
        with torch.no_grad():
            self.linear.weight.copy_(WEIGHT)

    def provides(self) -> Mapping[str, FieldSpec]:
        return {}

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        return {"input_b": self.layers(self.linear(fields["input_a"]))}


def predictor(model: Model, fills: bool = True) -> SimpleNamespace:
    """A run whose transforms fill in the mean, or nothing."""

    def prepared(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = given["input_a"]
        return {"input_a": torch.where(torch.isnan(x), MEAN, x) if fills else x}

    return SimpleNamespace(model=model, prepared=prepared, device=torch.device("cpu"))


def found(model: Model, method: str, outputs=(0, 1, 2), values=ROWS, **options) -> np.ndarray:
    told = reporter()
    return importance_of(
        predictor(model, **options), "input_a", "input_b", values, method=method, outputs=outputs, reporter=told
    )


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift"])
def test_a_linear_model_is_explained_exactly(method):
    expected = np.abs(WEIGHT.double().numpy()[None] * (ROWS - MEAN.double().numpy())[:, None]).mean(axis=0).T
    np.testing.assert_allclose(found(Known(), method), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found(Known(), method, outputs=(2, 0)), expected[:, [2, 0]], rtol=1e-4, atol=1e-6)


def test_gradient_shap_of_a_linear_model():
    expected = np.abs(WEIGHT.double().numpy()[None] * (ROWS - MEAN.double().numpy())[:, None]).mean(axis=0).T
    np.testing.assert_allclose(found(Known(), "gradient_shap"), expected, rtol=1e-4, atol=1e-6)


def test_the_baseline_is_zero_where_nothing_is_filled_in():
    expected = np.abs(WEIGHT.double().numpy()[None] * ROWS[:, None]).mean(axis=0).T
    np.testing.assert_allclose(found(Known(), "integrated_gradients", fills=False), expected, rtol=1e-4, atol=1e-6)


def test_integrated_gradients_of_a_sigmoid_against_the_integral():
    model = Known(nn.Sigmoid())
    w, bias = WEIGHT.double().numpy(), model.linear.bias.detach().double().numpy()
    start, rows = MEAN.double().numpy(), ROWS[:20].astype(np.float64)
    steps = (np.arange(4000) + 0.5) / 4000
    path = start + steps[:, None, None] * (rows - start)[None]
    s = 1 / (1 + np.exp(-(path @ w.T + bias)))
    slope = (s * (1 - s)).mean(axis=0)  # (rows, outputs), of the midpoint rule
    expected = np.abs(slope[:, :, None] * w[None] * (rows - start)[:, None]).mean(axis=0).T
    np.testing.assert_allclose(found(model, "integrated_gradients", values=ROWS[:20]), expected, rtol=1e-3, atol=1e-6)


def test_deeplift_divides_what_the_activation_does_in_proportion():
    model = Known(nn.ReLU())
    w, bias = WEIGHT.double().numpy(), model.linear.bias.detach().double().numpy()
    start, rows = MEAN.double().numpy(), ROWS.astype(np.float64)
    before, base = rows @ w.T + bias, start @ w.T + bias
    factor = (np.maximum(before, 0) - np.maximum(base, 0)) / (before - base)
    expected = np.abs(factor[:, :, None] * w[None] * (rows - start)[:, None]).mean(axis=0).T
    np.testing.assert_allclose(found(model, "deeplift"), expected, rtol=1e-3, atol=1e-5)


def test_random_numbers_of_others_are_left_alone():
    model = Known(nn.Sigmoid())
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    first = found(model, "gradient_shap")
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])
    assert first.shape == (4, 3)


def test_a_model_that_deeplift_cannot_follow_is_refused():
    shared = nn.ReLU()
    with pytest.raises(UserError, match="deeplift cannot follow this model"):
        found(Known(shared, nn.Linear(3, 3), shared), "deeplift")
