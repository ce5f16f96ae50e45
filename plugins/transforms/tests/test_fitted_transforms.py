from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from stem_transforms.fitted_transforms import MinMax, Standardize

from stemcore import FieldSpec, UserError

SPEC = FieldSpec("input", (1, 6, 5), "uint16", "counts", minimum=0)
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem"


def fit(transform, x, sizes=(None,), mask=None):
    start = 0
    for size in sizes:
        stop = len(x) if size is None else start + size
        transform.update(x[start:stop], None if mask is None else mask[start:stop])
        start = stop
    transform.finish()
    return transform


@pytest.fixture
def data():
    return np.random.default_rng(0).gamma(2.0, 3.0, (40, 1, 6, 5)).astype(np.float32)


@pytest.mark.parametrize("sizes", [(None,), (1,) * 40, (7, 1, 0, 20, 12), (39, 1)])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_standardize_merged_over_blocks_is_numpys(data, sizes, mean):
    data = (data + np.float32(mean)).astype(np.float32)
    s = fit(Standardize(SPEC), torch.from_numpy(data), sizes)
    exact = data.astype(np.float64)
    np.testing.assert_allclose(float(s.mean), exact.mean(), rtol=2e-7)
    np.testing.assert_allclose(float(s.std), exact.std(ddof=1), rtol=2e-7)
    y = s(torch.from_numpy(data))
    assert y.dtype == torch.float32
    np.testing.assert_allclose(y.numpy(), (exact - exact.mean()) / exact.std(ddof=1), atol=2e-3 if mean else 2e-6)


@pytest.mark.parametrize("shape", [(40, 30), (1200,), (2, 20, 1, 6, 5)])
def test_standardize_takes_any_shape(data, shape):
    s = fit(Standardize(SPEC), torch.from_numpy(data.reshape(shape)))
    np.testing.assert_allclose(float(s.std), data.astype(np.float64).std(ddof=1), rtol=1e-6)


def test_standardize_on_real_patterns_under_log1p():
    path = DATA / "au_48.h5"
    if not path.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(path) as f:
        counts = f["patterns"][:64]
    logs = np.log1p(counts.astype(np.float64))
    s = fit(Standardize(SPEC), torch.from_numpy(logs.astype(np.float32))[:, None], (16, 16, 16, 16))
    np.testing.assert_allclose(float(s.mean), logs.mean(), rtol=1e-6)
    np.testing.assert_allclose(float(s.std), logs.std(ddof=1), rtol=1e-6)


@pytest.mark.parametrize("hidden", [0.0, float("nan"), float("inf")])
def test_masked_values_do_not_count(data, hidden):
    mask = np.random.default_rng(1).random(data.shape) < 0.7
    mask[3] = False
    shown = torch.from_numpy(np.where(mask, data, np.float32(hidden)))
    valid = data[mask].astype(np.float64)
    s = fit(Standardize(SPEC), shown, (7, 33), torch.from_numpy(mask))
    np.testing.assert_allclose([float(s.mean), float(s.std)], [valid.mean(), valid.std(ddof=1)], rtol=1e-6)
    m = fit(MinMax(SPEC), shown, (7, 33), torch.from_numpy(mask))
    np.testing.assert_array_equal([float(m.low), float(m.high)], [valid.min(), valid.max()])


@pytest.mark.parametrize("sizes", [(None,), (1,) * 40, (7, 0, 33)])
def test_minmax_is_numpys(data, sizes):
    m = fit(MinMax(SPEC), torch.from_numpy(data), sizes)
    assert (float(m.low), float(m.high)) == (data.min(), data.max())
    y = m(torch.from_numpy(data))
    assert (float(y.min()), float(y.max())) == (0.0, 1.0)
    outside = torch.tensor([data.max() * 2])
    torch.testing.assert_close(m.inverse(m(outside)), outside)
    assert m(outside) > 1


@pytest.mark.parametrize("kind", [Standardize, MinMax])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_undoes_forward_with_gradients(kind, dtype, data):
    t = fit(kind(SPEC), torch.from_numpy(data))
    x = torch.from_numpy(data).to(dtype)
    y = t(x)
    assert y.dtype == dtype
    torch.testing.assert_close(t.inverse(y), x, rtol=1e-5, atol=1e-5)
    point = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(t.inverse, (point,))
    assert torch.autograd.gradcheck(t, (point,))
    assert t.out_spec() == SPEC


@pytest.mark.parametrize("kind", [Standardize, MinMax])
@pytest.mark.parametrize("value", [0.0, 0.1, 12345.678])
def test_constant_data_are_refused(kind, value):
    t = kind(SPEC)
    for _ in range(3):
        t.update(torch.full((5, 1, 7, 9), value))
    with pytest.raises(UserError, match=r"'input' are constant"):
        t.finish()


@pytest.mark.parametrize("kind", [Standardize, MinMax])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(kind, value, data):
    bad = torch.from_numpy(data).clone()
    bad[5, 0, 1, 1] = value
    with pytest.raises(UserError, match="NaN or infinity"):
        fit(kind(SPEC), bad, (20, 20))


@pytest.mark.parametrize("kind", [Standardize, MinMax])
def test_no_values_are_refused(kind):
    with pytest.raises(UserError, match="valid training values"):
        kind(SPEC).finish()
    t = kind(SPEC)
    t.update(torch.ones(2, 1, 6, 5), torch.zeros(2, 1, 6, 5, dtype=torch.bool))
    with pytest.raises(UserError, match="valid training values"):
        t.finish()


@pytest.mark.parametrize("kind", [Standardize, MinMax])
def test_state_goes_round_and_forward_before_the_fit_is_nan(kind, data):
    t = fit(kind(SPEC), torch.from_numpy(data))
    with torch.device("meta"):
        empty = kind(SPEC)
    assert {k: v.shape for k, v in empty.state_dict().items()} == {k: v.shape for k, v in t.state_dict().items()}
    assert all(b.is_meta for b in empty.buffers())
    fresh = kind(SPEC)
    assert fresh.fitted
    assert fresh(torch.from_numpy(data)).isnan().all()
    fresh.load_state_dict(t.state_dict())
    torch.testing.assert_close(fresh(torch.from_numpy(data)), t(torch.from_numpy(data)), rtol=0, atol=0)
    again = fit(empty.to_empty(device="cpu"), torch.from_numpy(data))
    torch.testing.assert_close(dict(again.state_dict()), dict(t.state_dict()))
