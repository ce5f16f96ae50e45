from pathlib import Path

import numpy as np
import pytest
from stem_datasets.quantisation import Quantisation, quantisation_of

from stemcore import UserError


def of(dtype, **attributes):
    return quantisation_of(attributes, np.dtype(dtype), Path("scan.h5"))


def test_the_whole_range_of_the_type_is_the_range_of_the_data():
    values = np.array([0, 1, 32768, 65535], np.uint16)
    found = of("uint16", data_min=-2.0, data_range=10.0)
    expected = values.astype(np.float64) / 65535 * 10.0 + -2.0
    np.testing.assert_allclose(values * found.scale + found.offset, expected, rtol=1e-15)


@pytest.mark.parametrize(("dtype", "largest"), [("uint8", 255), ("uint16", 65535), ("int16", 32767)])
def test_the_largest_value_is_that_of_the_type(dtype, largest):
    assert of(dtype, data_min=1.0, data_max=6.0) == Quantisation(5.0 / largest, 1.0)
    assert of(dtype, data_range=5.0) == Quantisation(5.0 / largest, 0.0)


def test_the_cf_attributes_hold_for_any_type_and_come_first():
    assert of("float32", scale_factor=2.0, add_offset=1.0) == Quantisation(2.0, 1.0)
    assert of("uint8", scale_factor=0.5, data_range=9.0) == Quantisation(0.5, 0.0)
    assert of("int16", add_offset=np.array([3.0])) == Quantisation(1.0, 3.0)


def test_no_attributes_and_statistics_of_real_numbers_leave_values_as_they_are():
    assert of("uint16").plain
    assert of("uint16", data_min=3.0).plain
    assert of("float32", data_min=0.0, data_max=7.0).plain


@pytest.mark.parametrize("value", [np.nan, np.inf, "much", np.zeros(2)])
def test_an_attribute_that_is_no_number_is_named(value):
    with pytest.raises(UserError, match=r"scan\.h5: its attribute 'data_range'"):
        of("uint8", data_range=value)


def test_a_scale_that_is_not_positive_is_refused():
    with pytest.raises(UserError, match="dequantise: false"):
        of("uint8", data_min=3.0, data_max=1.0)
    with pytest.raises(UserError, match="scale_factor"):
        of("uint8", scale_factor=0.0)
