from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import stats
from stem_transforms.corrupting_augmentations import Noise, Poisson

from stemcore import DataSpec, FieldSpec, UserError

COUNTS = DataSpec({"input": FieldSpec("input", (1, 8, 8), "uint16", "counts", minimum=0)})
FLOATS = DataSpec({"input": FieldSpec("input", (1, 8, 8), "float32")})
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "4dstem"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def field(value, n=2000):
    return torch.full((n, 1, 8, 8), float(value))


def goodness(samples, pmf, top):
    """The p-value of Pearson's chi-squared test of whole numbers against a distribution; rare values are pooled."""
    k = np.arange(top + 1)
    expected = pmf(k) * samples.size
    expected[-1] += samples.size - expected.sum()
    observed = np.bincount(np.minimum(samples.ravel().astype(int), top), minlength=top + 1).astype(float)
    often = expected >= 5
    observed = np.append(observed[often], observed[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    keep = expected > 0
    return stats.chisquare(observed[keep], expected[keep]).pvalue


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.5), (7, 0.2), (40, 0.9), (1000, 0.05)])
def test_thinning_is_binomial(n, fraction):
    out = Poisson(COUNTS, fraction=fraction, rescale=False)({"input": field(n)}, generator())["input"]
    assert goodness(out.numpy(), lambda k: stats.binom.pmf(k, n, fraction), n) > 1e-3
    scaled = Poisson(COUNTS, fraction=fraction)({"input": field(n)}, generator())["input"]
    torch.testing.assert_close(scaled, out / fraction)


def test_thinned_poisson_counts_are_poisson_counts_of_the_lower_dose():
    x = torch.poisson(field(3.0), generator=generator(5))
    out = Poisson(COUNTS, fraction=0.3, rescale=False)({"input": x}, generator())["input"].numpy()
    assert goodness(out, lambda k: stats.poisson.pmf(k, 0.9), 12) > 1e-3
    assert (out <= x.numpy()).all()


def test_a_range_of_fractions_is_drawn_for_each_item():
    out = Poisson(COUNTS, fraction=(0.2, 0.6), rescale=False)({"input": field(10_000, 500)}, generator())["input"]
    fractions = out.mean((1, 2, 3)).numpy() / 10_000
    assert stats.kstest(fractions, stats.uniform(0.2, 0.4).cdf).pvalue > 1e-3
    assert out.std((1, 2, 3)).max() < 100  # within an item the fraction is one
    scaled = Poisson(COUNTS, fraction=(0.2, 0.6))({"input": field(10_000, 500)}, generator())["input"]
    assert (scaled.mean((1, 2, 3)) / 10_000 - 1).abs().max() < 0.02


def test_large_counts_stay_exact():
    top = 2.0**24 - 1
    kept = Poisson(COUNTS, mode="split", rescale=False)({"input": field(top, 50)}, generator())
    total = kept["input"].double() + kept["target"].double()
    assert (total == top).all()
    z = (kept["input"].double().mean() - top / 2) / (np.sqrt(top) / 2 / np.sqrt(50 * 64))
    assert abs(float(z)) < 4


def test_renoise_is_poisson_of_the_values():
    out = Poisson(FLOATS, mode="renoise")({"input": field(2.5)}, generator())["input"].numpy()
    assert goodness(out, lambda k: stats.poisson.pmf(k, 2.5), 15) > 1e-3
    electrons = Poisson(FLOATS, mode="renoise", scale=4.0)({"input": field(2.5)}, generator())["input"].numpy() * 4
    assert goodness(electrons, lambda k: stats.poisson.pmf(k, 10.0), 30) > 1e-3
    assert (Poisson(FLOATS, mode="renoise")({"input": field(-3.0)}, generator())["input"] == 0).all()


def test_split_makes_independent_halves_that_sum_to_the_input():
    x = torch.poisson(field(4.0, 4000), generator=generator(5))
    halves = Poisson(COUNTS, mode="split", fraction=0.25, rescale=False)({"input": x, "target": x}, generator())
    a, b = halves["input"], halves["target"]
    assert torch.equal(a + b, x)
    assert goodness(a.numpy(), lambda k: stats.poisson.pmf(k, 1.0), 10) > 1e-3
    assert goodness(b.numpy(), lambda k: stats.poisson.pmf(k, 3.0), 16) > 1e-3
    table = np.histogram2d(a.numpy().ravel(), b.numpy().ravel(), bins=[np.arange(6) - 0.5, np.arange(9) - 0.5])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    scaled = Poisson(COUNTS, mode="split", fraction=0.25)({"input": x, "target": x}, generator())
    torch.testing.assert_close(scaled["input"] * 0.25 + scaled["target"] * 0.75, x)
    assert abs(float(scaled["input"].mean()) - 4) < 0.05
    assert abs(float(scaled["target"].mean()) - 4) < 0.05


def test_split_of_real_patterns():
    path = DATA / "ws2_wse2_64.h5"
    if not path.exists():
        pytest.skip("needs ../shared/data/4dstem")
    with h5py.File(path) as f:
        x = torch.from_numpy(f["patterns"][:64].astype(np.float32))[:, None]
    spec = DataSpec({"input": FieldSpec("input", (1, 128, 128), "uint16", "counts", minimum=0)})
    halves = Poisson(spec, mode="split", rescale=False)({"input": x, "target": x}, generator())
    assert torch.equal(halves["input"] + halves["target"], x)
    half, whole = float(halves["input"].sum()), float(x.sum())
    assert abs(half - whole / 2) < 5 * np.sqrt(whole) / 2


def test_split_is_of_input_and_target():
    assert Poisson(COUNTS, mode="split").fields == ("input", "target")
    assert Poisson(COUNTS).fields == ("input",)
    with pytest.raises(UserError, match="below 1"):
        Poisson(COUNTS, mode="split", fraction=(0.5, 1.0))
    with pytest.raises(UserError, match=r"not of input$"):
        Poisson(COUNTS, mode="split", fields=("input",))
    with pytest.raises(UserError, match="ends swapped"):
        Poisson(COUNTS, fraction=(0.6, 0.2))


@pytest.mark.parametrize("mode", ["thin", "split"])
def test_values_that_are_no_counts_are_refused(mode):
    with pytest.raises(UserError, match="needs whole counts, and 'input' holds other values"):
        Poisson(FLOATS, mode=mode)({"input": field(2.5)}, generator())
    Poisson(FLOATS, mode=mode)({"input": field(2.0)}, generator())


def test_target_in_fields_gets_noise_of_its_own():
    x = field(100.0, 10)
    out = Poisson(COUNTS, fields=("input", "target"))({"input": x, "target": x}, generator())
    assert not torch.equal(out["input"], out["target"])
    alone = Poisson(COUNTS)({"input": x, "target": x}, generator())
    assert alone["target"] is x


def test_noise_is_gaussian_and_on_the_input_alone():
    x = field(5.0)
    out = Noise(FLOATS, std=0.4)({"input": x, "target": x}, generator())
    assert out["target"] is x
    z = ((out["input"] - x) / 0.4).numpy().ravel()
    assert stats.kstest(z[:20_000], "norm").pvalue > 1e-3
    assert abs(z.std() - 1) < 0.01


def test_noise_keeps_to_the_smallest_valid_value():
    x = field(0.0, 4)
    assert (Noise(COUNTS, std=1.0)({"input": x}, generator())["input"] >= 0).all()
    assert (Noise(COUNTS, std=1.0, clip=False)({"input": x}, generator())["input"] < 0).any()
    assert (Noise(FLOATS, std=1.0)({"input": x}, generator())["input"] < 0).any()
    both = Noise(COUNTS, std=1.0, fields=("input", "target"))({"input": x, "target": x}, generator())
    assert (both["target"] >= 0).all()


EVERY = [
    Poisson(COUNTS),
    Poisson(COUNTS, fraction=(0.2, 0.8)),
    Poisson(COUNTS, mode="renoise"),
    Poisson(COUNTS, mode="split"),
    Noise(COUNTS, std=1.0),
]


@pytest.mark.parametrize("augmentation", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_randomness_is_the_generators_alone(augmentation, dtype):
    x = field(20, 3).to(dtype)
    before = torch.random.get_rng_state()
    first, second, other = (augmentation({"input": x, "target": x}, generator(s)) for s in (1, 1, 2))
    assert torch.equal(first["input"], second["input"])
    assert torch.equal(first["target"], second["target"])
    assert not torch.equal(first["input"], other["input"])
    assert first["input"].dtype == dtype
    assert first["input"].shape == x.shape
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (x == 20).all()
    one = augmentation({"input": x[:1].long(), "target": x[:1].long()}, generator())
    assert one["input"].shape == (1, 1, 8, 8)
    assert one["input"].dtype == torch.float32
    assert augmentation.kind == "corrupting"


@pytest.mark.parametrize("make", [Poisson, lambda spec, **kw: Noise(spec, std=1.0, **kw)])
def test_unknown_fields_are_refused(make):
    paired = DataSpec({"input_a": FieldSpec("input_a", (4,)), "input_b": FieldSpec("input_b", (4,))})
    with pytest.raises(UserError, match="no field 'input'; set fields to some of input_a, input_b"):
        make(paired, fields=("input",))
    assert make(paired).fields == ("input_a", "input_b")
    out = make(paired, fields=("input_a",))({"input_a": torch.ones(5, 4), "input_b": torch.ones(5, 4)}, generator())
    assert torch.equal(out["input_b"], torch.ones(5, 4))
