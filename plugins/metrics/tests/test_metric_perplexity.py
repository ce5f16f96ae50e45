from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from stem_metrics.perplexity import CodebookPerplexity

from stemcore import UserError


def scored(*batches, **config):
    metric = CodebookPerplexity(**config)
    for batch in batches:
        metric.update(batch)
    return {name: value.item() for name, value in metric.compute().items()}


def test_it_is_scipys_entropy_of_each_codebook():
    codes = torch.from_numpy(np.random.default_rng(0).geometric(0.02, (500, 4)) % 512)
    expected = np.mean([np.exp(entropy(np.bincount(head, minlength=512))) for head in codes.T.numpy()])
    used = np.mean([len(np.unique(head)) / 512 for head in codes.T.numpy()])
    assert scored(*codes.split(64), size=512) == pytest.approx({"": expected, "used": used}, rel=1e-9)


def test_equal_use_is_the_size_and_one_code_is_one():
    assert scored(torch.arange(8).repeat(3), size=8) == pytest.approx({"": 8.0, "used": 1.0})
    assert scored(torch.full((5,), 3), size=8) == {"": 1.0, "used": 0.125}


def test_a_codebook_without_a_size_ends_with_its_largest_code():
    assert scored(torch.tensor([0, 0, 4]))["used"] == pytest.approx(0.4)


def test_places_share_a_codebook():
    codes = torch.tensor([[0, 1], [2, 3]])
    assert scored(codes, shared=True) == pytest.approx({"": 4.0, "used": 1.0})
    assert scored(codes, size=4) == pytest.approx({"": 2.0, "used": 0.5})


def test_codes_that_no_codebook_has_are_refused():
    with pytest.raises(UserError, match="a code 8, which no codebook of 8 entries has"):
        scored(torch.tensor([0, 8]), size=8)
    with pytest.raises(UserError, match="a code -1"):
        scored(torch.tensor([0, -1]))
    with pytest.raises(UserError, match=r"not torch\.float32"):
        scored(torch.rand(3))


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan():
    assert np.isnan(scored()[""])
    assert np.isnan(scored(torch.zeros(0, 4, dtype=torch.int64))["used"])
