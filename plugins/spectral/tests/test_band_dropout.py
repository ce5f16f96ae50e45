from __future__ import annotations

import math

import pytest
import torch
from stem_spectral.band_dropout import BandDropout

from stemcore import DataSpec, FieldSpec, UserError

SPEC = DataSpec({"input": FieldSpec("input", (10, 3, 4)), "wavelengths": FieldSpec("wavelengths", (10,))})


def dropped(x: torch.Tensor, **settings: object) -> torch.Tensor:
    return BandDropout(SPEC, **settings)({"input": x}, torch.Generator().manual_seed(0))["input"]


def test_whole_bands_go_as_often_as_asked_for() -> None:
    x = torch.rand(400, 10, 3, 4) + 1
    out = dropped(x, p=0.3)
    gone = (out == 0).flatten(2)
    assert torch.equal(gone.any(dim=2), gone.all(dim=2))
    assert torch.equal(out[out != 0], x[out != 0])
    assert abs(float(gone.float().mean()) - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 4000)


def test_one_band_at_least_stays() -> None:
    out = dropped(torch.ones(200, 10, 3, 4), p=0.99)
    assert int((out != 0).flatten(2).any(dim=2).sum(dim=1).min()) == 1


def test_the_mean_is_of_the_bands_that_stay() -> None:
    x = torch.rand(6, 10, 3, 4, dtype=torch.float64)
    out = dropped(x, p=0.5, fill="mean")
    for before, after in zip(x, out, strict=True):
        stayed = (before == after).flatten(1).all(dim=1)
        assert 0 < int(stayed.sum()) < 10
        expected = before[stayed].mean(dim=0).expand(int((~stayed).sum()), 3, 4)
        torch.testing.assert_close(after[~stayed], expected)


def test_only_cubes_have_bands() -> None:
    with pytest.raises(UserError, match=r"'wavelengths' .* is no cube"):
        BandDropout(SPEC, fields=("wavelengths",))
    with pytest.raises(UserError, match="no field 'cube'"):
        BandDropout(SPEC, fields=("cube",))
