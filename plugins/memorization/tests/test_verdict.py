"""The verdict: what is expected is taken off, chance is not taken for copies."""

from __future__ import annotations

import pytest
from scipy.stats import hypergeom
from stem_memorization.verdict import grade, judged


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0, "none"), (0.0099, "none"), (0.01, "minimal"), (0.05, "minimal"), (0.051, "significant"), (1, "significant")],
)
def test_grades(share, verdict) -> None:
    assert grade(share) == verdict


def test_copies_count_in_full_where_held_out_items_show_none() -> None:
    found = judged(4, 64, 0, 130)
    assert (found["share"], found["memorised"], found["verdict"]) == (0.0625, 0.0625, "significant")
    assert found["chance"] == pytest.approx(hypergeom(194, 4, 64).sf(3))


def test_what_held_out_items_show_is_taken_off() -> None:
    found = judged(60, 100, 20, 100)
    assert found["memorised"] == pytest.approx((0.6 - 0.2) / 0.8)
    assert found["verdict"] == "significant"


def test_a_difference_by_chance_is_no_memory() -> None:
    found = judged(24, 100, 20, 100)
    assert found["chance"] > 0.05
    assert (found["memorised"], found["verdict"]) == (0.0, "none")
    assert judged(5, 100, 20, 100)["memorised"] == 0.0
