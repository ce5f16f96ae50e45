import math

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from stem_transforms.value_transforms import Log1p, Sqrt

from stemcore import FieldSpec, UserError

SPEC = FieldSpec("input", (1, 8, 8), "uint16", "counts", minimum=0)
EVERY = [Log1p(SPEC), Sqrt(SPEC), Sqrt(SPEC, offset=0.0), Sqrt(SPEC, offset=1.5)]


@pytest.fixture
def counts():
    return torch.from_numpy(np.random.default_rng(0).poisson(3.0, (5, 1, 8, 8)).astype(np.float64))


def test_log1p_is_numpys(counts):
    np.testing.assert_allclose(Log1p(SPEC)(counts).numpy(), np.log(counts.numpy() + 1), rtol=1e-14)
    tiny = torch.tensor([1e-20, 1e-8], dtype=torch.float32)
    torch.testing.assert_close(Log1p(SPEC)(tiny), tiny)


def test_log1p_refuses_a_field_that_goes_down_to_minus_one():
    with pytest.raises(UserError, match=r"above -1.*'ratio'.*-3"):
        Log1p(FieldSpec("ratio", (4,), minimum=-3))
    Log1p(FieldSpec("ratio", (4,), minimum=None))


def test_anscombe_formula_and_unit_variance():
    x = np.random.default_rng(1).poisson(20.0, 200_000).astype(np.float64)
    y = Sqrt(SPEC)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, 2 * np.sqrt(x + 3 / 8), rtol=1e-14)
    assert abs(y.var() - 1) < 0.02


@pytest.mark.parametrize("transform", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 64), (320,)])
def test_inverse_undoes_forward_on_any_shape(transform, dtype, shape, counts):
    x = counts.to(dtype).reshape(shape)
    y = transform(x)
    assert y.dtype == dtype
    assert y.shape == x.shape
    back = transform.inverse(y)
    assert back.dtype == dtype
    torch.testing.assert_close(back, x, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=1e-5)
    assert transform.kind == "value"
    assert transform.out_spec() == SPEC


@pytest.mark.parametrize("transform", [*EVERY, Sqrt(SPEC, inverse="unbiased")])
def test_gradient_through_the_inverse(transform):
    y = torch.linspace(-3, 8, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform.inverse, (y,))


@pytest.mark.parametrize("inverse", ["algebraic", "unbiased"])
def test_inverses_of_sqrt_are_defined_and_increase_everywhere(inverse):
    y = torch.linspace(-20, 60, 8001, dtype=torch.float64, requires_grad=True)
    x = Sqrt(SPEC, inverse=inverse).inverse(y)
    assert (x.diff() > 0).all()
    (slope,) = torch.autograd.grad(x.sum(), y)
    assert slope.isfinite().all()
    assert (slope >= 0).all()
    for extreme in (0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30):
        y = torch.tensor(extreme, requires_grad=True)
        Sqrt(SPEC, inverse=inverse).inverse(y).backward()
        assert not y.isnan()
        assert not y.grad.isnan()


def test_algebraic_inverse_below_the_range_follows_the_sign():
    y = torch.tensor([-2.0, 0.0, 2.0])
    torch.testing.assert_close(Sqrt(SPEC).inverse(y), torch.tensor([-1.375, -0.375, 0.625]))


def test_unbiased_inverse_of_the_mean_transformed_counts_is_the_mean_count():
    """E[2 sqrt(X + 3/8)], summed over the distribution goes back to its mean; the algebraic inverse is short."""
    k = np.arange(0, 400)
    unbiased, algebraic = Sqrt(SPEC, inverse="unbiased"), Sqrt(SPEC)
    for mean in (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0):
        expected = torch.tensor(float((poisson.pmf(k, mean) * 2 * np.sqrt(k + 3 / 8)).sum()), dtype=torch.float64)
        # The closed form is an approximation, off by no more than this; the algebraic inverse is off by 1/4.
        assert abs(float(unbiased.inverse(expected)) - mean) < 0.025
        if mean >= 5:
            assert float(algebraic.inverse(expected)) < mean - 0.2


def test_unbiased_inverse_is_the_closed_form_and_zero_for_no_counts():
    d = np.linspace(math.sqrt(1.5), 50, 100)
    closed = d**2 / 4 + math.sqrt(1.5) / 4 / d - 11 / 8 / d**2 + 5 / 8 * math.sqrt(1.5) / d**3 - 1 / 8
    unbiased = Sqrt(SPEC, inverse="unbiased")
    np.testing.assert_allclose(unbiased.inverse(torch.from_numpy(d)).numpy(), closed, atol=1e-12)
    assert abs(float(unbiased.inverse(torch.tensor(math.sqrt(1.5), dtype=torch.float64)))) < 1e-12


def test_sqrt_of_values_below_the_offset_is_zero():
    assert Sqrt(SPEC)(torch.tensor([-5.0, -0.375])).tolist() == [0.0, 0.0]


def test_unbiased_inverse_needs_anscombes_offset():
    with pytest.raises(UserError, match=r"offset of 0\.375, not 1"):
        Sqrt(SPEC, offset=1.0, inverse="unbiased")
