from __future__ import annotations

import numpy as np
import pytest
from stem_spectral.band_choice import BandChoice

from stemcore import UserError

KNOWN = np.linspace(400, 1000, 61)


def test_bands_by_number_and_by_wavelength() -> None:
    assert BandChoice().of(4, None).tolist() == [0, 1, 2, 3]
    assert BandChoice([5, (0, 2), (10, 20, 5)]).of(61, None).tolist() == [5, 0, 1, 2, 10, 15, 20]
    # The nearest band, and all within a range, its ends among them.
    assert BandChoice(None, [653.0, 404.0, (980.0, 1000.0)]).of(61, KNOWN).tolist() == [25, 0, 58, 59, 60]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (BandChoice([61]), "no band 61; bands are counted from 0 to 60"),
        (BandChoice([-1]), "no band -1"),
        (BandChoice([3, (2, 4)]), "band 3 is asked for 2 times"),
        (BandChoice([(4, 2)]), "are none"),
        (BandChoice([]), "empty"),
        (BandChoice(None, [1100.0]), "within 10 nm of 1100 nm; bands are at 400.0 to 1000.0 nm"),
        (BandChoice(None, [(391.0, 399.0)]), "between 391 and 399 nm"),
        (BandChoice([1], [500.0]), "both given"),
    ],
)
def test_bands_that_are_not_there_are_refused(choice: BandChoice, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choice.of(61, KNOWN)


def test_wavelengths_have_to_be_known() -> None:
    with pytest.raises(UserError, match="not known; set wavelengths too"):
        BandChoice(None, [500.0]).of(61, None)
