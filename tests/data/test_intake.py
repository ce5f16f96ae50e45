"""Dequantisation, and values that are not valid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stemcore import DataSpec, FieldSpec, UserError
from stemcore.data.intake import Intake, suspect

COUNTS = FieldSpec("input", (1, 2, 2), dtype="float32", unit="counts", minimum=0.0)
BAD = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[torch.nan, 5.0], [-1.0, torch.inf]]]])


def intake(invalid: str = "error", spec: FieldSpec = COUNTS) -> Intake:
    return Intake(DataSpec({"input": spec}), invalid)


def batch(x: torch.Tensor = BAD) -> dict[str, torch.Tensor]:
    return {"input": x, "index": torch.tensor([10, 11])[: len(x)]}


def test_the_error_counts_each_kind_and_names_the_first_item() -> None:
    with pytest.raises(UserError) as error:
        intake()(batch())
    line = str(error.value)
    assert "1 NaN and 1 infinite and 1 negative values in 1 items of 'input', first in item 11" in line
    assert "data.invalid" in line


def test_clip_puts_values_at_the_ends_of_the_valid_range() -> None:
    out = intake("clip")(batch())["input"]
    assert out[0].flatten().tolist() == [1, 2, 3, 4]
    assert out[1].flatten().tolist() == [0, 5, 0, 5]  # infinity becomes the largest finite value of its pattern


def test_mask_marks_them_and_hides_them_from_the_model() -> None:
    out = intake("mask")(batch())
    assert out["mask"][1].flatten().tolist() == [False, True, False, False]
    assert out["mask"][0].all()
    assert out["input"][1].flatten().tolist() == [0, 5, 0, 0]
    assert intake("mask").spec["mask"].like == "input"


def test_a_stored_mask_is_kept_and_applied_to_the_input() -> None:
    spec = DataSpec({"input": COUNTS, "mask": FieldSpec("mask", (1, 2, 2), dtype="bool", like="input")})
    stored = torch.tensor([[[[True, False], [True, True]]]])
    out = Intake(spec)({"input": BAD[:1], "mask": stored, "index": torch.tensor([0])})
    assert torch.equal(out["mask"], stored)
    assert out["input"].flatten().tolist() == [1, 0, 3, 4]


def test_unsigned_counts_need_no_check_and_signed_ones_do() -> None:
    assert not suspect(FieldSpec("input", (1,), dtype="uint16", minimum=0.0))
    assert suspect(FieldSpec("input", (1,), dtype="int16", minimum=0.0))
    with pytest.raises(UserError, match="1 negative values"):
        intake(spec=FieldSpec("input", (1, 2, 2), dtype="int16", minimum=0.0))(
            batch(torch.tensor([[[[1, 2], [3, -4]]]], dtype=torch.int16))
        )


def test_quantised_integers_become_physical_values() -> None:
    spec = FieldSpec("input", (1, 1, 3), dtype="uint16", scale=12.5 / 65535, offset=-2.5)
    stored = torch.tensor([[[[0, 13107, 65535]]]], dtype=torch.uint16)
    out = intake(spec=spec)({"input": stored, "index": torch.tensor([0])})["input"]
    expected = np.array([0, 13107, 65535]) / 65535 * 12.5 - 2.5
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out.flatten().numpy(), expected, rtol=1e-6, atol=1e-6)


def test_values_that_were_checked_before_are_not_looked_at_again() -> None:
    out = intake()(batch(), checked=True)
    assert torch.equal(out["input"].nan_to_num(7.0), BAD.nan_to_num(7.0))
    assert intake("clip")(batch(), checked=True)["input"].isfinite().all()  # what mends values still does


def test_scaled_values_leave_what_is_stored_as_it_was() -> None:
    for stored in (torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8)):
        before = stored.clone()
        spec = FieldSpec("input", (1, 2, 2), dtype=str(stored.dtype)[6:], scale=0.1, offset=0.3)
        out = intake("clip", spec)({"input": stored, "index": torch.tensor([0])})["input"]
        assert torch.equal(stored, before)
        assert torch.equal(out, before.float() * 0.1 + 0.3)


def test_missing_values_are_not_below_the_minimum() -> None:
    spec = FieldSpec("input", (1, 2, 2), unit="counts", minimum=0.0, finite=False)
    holes = torch.tensor([[[[1.0, torch.nan], [0.0, 4.0]]]])
    assert torch.equal(intake(spec=spec)(batch(holes))["input"].isnan(), holes.isnan())
    with pytest.raises(UserError, match="data: 1 negative values in 1 items"):
        intake(spec=spec)(batch())
