import numpy as np
import pytest
from stem_datasets.sample import Sample


@pytest.fixture(scope="module")
def sample():
    return Sample()


@pytest.fixture(scope="module")
def everything(sample):
    return sample.read(np.arange(len(sample)))


def test_the_sample_is_a_small_scan_with_labels_and_truth(sample):
    assert (len(sample), sample.scan_shape) == (1280, (32, 40))
    assert set(sample.fields) == {"input", "label", "expected"}
    assert sample.fields["input"].shape == (1, 64, 64)
    assert sample.fields["expected"].scale == 1.0
    assert sample.files[0].stat().st_size < 3e6


def test_it_holds_grains_and_vacuum(everything):
    grains, patterns = np.unique(everything["label"], return_counts=True)
    assert grains.tolist() == [-1, 0, 3, 4, 5, 6, 7, 8]
    assert patterns.min() >= 40


def test_the_counts_are_poisson_about_the_truth(everything):
    there = np.isfinite(everything["expected"]).all(axis=(1, 2, 3))
    assert there.sum() == 64
    counts, truth = everything["input"][there].astype(np.float64), everything["expected"][there].astype(np.float64)
    assert truth.sum(axis=(1, 2, 3)) == pytest.approx(np.full(64, 1987.0), rel=2e-3)
    # Of a Poisson variable mean and variance are equal; of 64 sums the relative error is 1 / sqrt(64 * 1987).
    assert counts.sum() / truth.sum() == pytest.approx(1.0, abs=4 / np.sqrt(64 * 1987))
    assert ((counts - truth) ** 2).sum() / truth.sum() == pytest.approx(1.0, abs=0.08)


def test_the_truth_belongs_to_its_patterns(everything):
    there = np.flatnonzero(np.isfinite(everything["expected"]).all(axis=(1, 2, 3)))
    counts = everything["input"][there].reshape(64, -1).astype(np.float64)
    truth = everything["expected"][there].reshape(64, -1).astype(np.float64)
    likelihood = counts @ np.log(truth + 1e-6).T - truth.sum(axis=1)
    own = np.argmax(likelihood, axis=1)
    labels = everything["label"][there]
    assert (labels[own] == labels).mean() > 0.9


def test_the_companions_are_optional():
    assert set(Sample(labels=None, expected=None, expected_index=None).fields) == {"input"}
    assert sorted(np.unique(Sample(labels="phase").read(np.arange(1280))["label"])) == [-1, 0, 1]


def test_it_is_the_window_of_the_scan_that_it_says(everything, shared_scan):
    import h5py

    with h5py.File(shared_scan) as scan:
        window = np.arange(4096).reshape(64, 64)[28:60, :40].ravel()
        np.testing.assert_array_equal(everything["label"], scan["labels"][()].ravel()[window])
        full = scan["patterns"][()][window].reshape(1280, 64, 2, 64, 2).sum(axis=(2, 4), dtype=np.int64)
    thinned = everything["input"][:, 0]
    assert (thinned <= full).all()
    assert thinned.sum() / full.sum() == pytest.approx(0.1, rel=5e-3)
