from __future__ import annotations

import numpy as np
import pytest
from stem_spectral.colour import by_eye, displayed, linear, matching_functions, mixture, scale

from stemcore import UserError

# CIE 1931 2 degree observer, x, y, z by wavelength (CIE 018, table 1).
TABULATED = {
    450: (0.3362, 0.0380, 1.77211),
    500: (0.0049, 0.3230, 0.2720),
    550: (0.4334499, 0.9949501, 0.00874999),
    600: (1.0622, 0.6310, 0.0008),
    650: (0.2835, 0.1070, 0.0),
}
BANDS = np.arange(400.0, 701.0, 5.0)
ALL = np.ones(len(BANDS), dtype=bool)


def shown(spectrum, wavelengths=BANDS):
    made = mixture(len(wavelengths), wavelengths, None, np.ones(len(wavelengths), dtype=bool))
    colours = linear(spectrum[:, None, None], made)
    return displayed(colours, *scale(colours, made.true))[0, 0]


def test_matching_functions_are_near_the_tabulated_ones():
    found = matching_functions(np.array(list(TABULATED), dtype=float)).T
    assert np.abs(found - np.array(list(TABULATED.values()))).max() < 0.04


def test_integrals_are_those_of_the_standard_observer():
    at = np.arange(360.0, 831.0)
    assert matching_functions(at).sum(1) == pytest.approx([106.865, 106.857, 106.892], rel=0.01)


@pytest.mark.parametrize(("nm", "brightest"), [(450, 2), (530, 1), (620, 0)])
def test_single_wavelengths_are_blue_green_and_red(nm, brightest):
    colour = shown(np.exp(-0.5 * ((BANDS - nm) / 8) ** 2))
    assert colour.argmax() == brightest
    assert sorted(colour)[1] < 0.75 * colour.max()


def test_a_flat_spectrum_is_neutral():
    assert shown(np.full(len(BANDS), 0.4)) == pytest.approx(np.ones(3), abs=1e-6)
    partly = BANDS[(BANDS > 430) & (BANDS < 650)]
    assert shown(np.full(len(partly), 0.4), partly) == pytest.approx(np.ones(3), abs=1e-6)


def test_a_smooth_spectrum_has_one_colour_however_it_was_sampled():
    """Bands 5 nm apart, 10 nm apart in the red, and in any order."""
    reflectance = lambda nm: 0.2 + 0.6 / (1 + np.exp(-(nm - 590) / 15))  # noqa: E731
    even = by_eye(BANDS) @ reflectance(BANDS)
    uneven = np.concatenate([BANDS[BANDS < 550], np.arange(550.0, 701.0, 10.0)])
    assert by_eye(uneven) @ reflectance(uneven) == pytest.approx(even, rel=0.02)
    mixed = np.random.default_rng(0).permutation(BANDS)
    assert by_eye(mixed) @ reflectance(mixed) == pytest.approx(even, rel=1e-9)


def test_bands_that_are_given_are_shown_as_they_are():
    cube = np.random.default_rng(0).random((61, 3, 4))
    made = mixture(61, BANDS, [40, 20, 3], ALL)
    assert np.array_equal(linear(cube, made), np.moveaxis(cube[[40, 20, 3]], 0, -1))
    with pytest.raises(UserError, match="the data have no band 61; bands are 0 to 60"):
        mixture(61, BANDS, [0, 1, 61], ALL)


def test_without_visible_light_bands_are_spread_evenly():
    infrared = np.linspace(900.0, 1700.0, 61)
    for wavelengths in (None, infrared):
        assert np.argmax(mixture(61, wavelengths, None, ALL).weights, axis=1).tolist() == [50, 30, 10]
    backwards = mixture(61, infrared[::-1], None, ALL)
    assert np.argmax(backwards.weights, axis=1).tolist() == [10, 30, 50]  # the longest wavelengths are red


def test_bands_that_make_no_white_are_shown_as_they_are():
    cyan = np.array([495.0, 505.0, 581.0])  # their blue would be less than nothing
    assert not mixture(3, cyan, None, np.ones(3, dtype=bool)).true
    assert mixture(3, np.array([460.0, 540.0, 610.0]), None, np.ones(3, dtype=bool)).true


def test_bad_bands_have_no_weight():
    usable = ALL.copy()
    usable[10:20] = False
    weights = mixture(61, BANDS, None, usable).weights
    assert not weights[:, 10:20].any()
    assert weights.sum(1) == pytest.approx(np.ones(3))


def test_the_transfer_curve_is_that_of_srgb():
    grey = np.array([0.0, 0.002, 0.0031308, 0.2140411, 1.0])[:, None].repeat(3, 1)
    expected = [0.0, 0.02584, 0.04045, 0.5, 1.0]
    assert displayed(grey, np.zeros(3), np.ones(3))[:, 0] == pytest.approx(expected, abs=1e-5)


def test_scales_leave_out_the_brightest_and_what_is_not_finite():
    colours = np.random.default_rng(0).random((50, 50, 3))
    colours[0, 0], colours[0, 1] = 1e6, np.nan
    low, high = scale(colours, True)
    assert not low.any()
    assert (high == high[0]).all()
    assert 0.99 < high[0] <= 1
    low, high = scale(colours, False)
    pixels = np.delete(colours.reshape(-1, 3), 1, axis=0)
    assert np.array_equal(np.stack([low, high]), np.percentile(pixels, [1, 99], axis=0))
    assert (displayed(colours, low, high)[0, 1] == 0.5).all()
