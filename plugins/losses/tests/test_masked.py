from __future__ import annotations

import pytest
import torch
from stem_losses.masked import mean_over, paired

from stemcore import UserError


def test_what_is_masked_out_is_replaced_by_zeros():
    mask = torch.tensor([[True, False, True]])
    prediction, target, valid = paired(
        torch.tensor([[1.0, torch.inf, 3.0]]), torch.tensor([[4.0, torch.nan, 6.0]]), mask
    )
    assert prediction.tolist() == [[1, 0, 3]]
    assert target.tolist() == [[4, 0, 6]]
    assert valid.tolist() == mask.tolist()


def test_without_a_mask_the_tensors_are_passed_on():
    x, y = torch.rand(2, 3), torch.rand(2, 3)
    assert paired(x, y, None) == (x, y, None)


def test_the_mean_is_over_valid_pixels():
    error = torch.tensor([[1.0, torch.nan, 5.0]])
    assert mean_over(error, torch.tensor([[True, False, True]])) == 3
    assert mean_over(error, torch.zeros(1, 3, dtype=torch.bool)) == 0


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(UserError, match=r"\(4, 1, 8, 8\).*\(4, 8, 8\).*differ in shape"):
        paired(torch.zeros(4, 1, 8, 8), torch.zeros(4, 8, 8), None)


def test_a_mask_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"mask \(4, 1, 7, 7\)"):
        paired(torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 7, 7, dtype=torch.bool))
