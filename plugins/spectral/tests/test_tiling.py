from __future__ import annotations

import numpy as np
import pytest
from stem_spectral.tiling import Tiling

from stemcore import UserError


def covered(tiling: Tiling, height: int, width: int) -> np.ndarray:
    """How many tiles of each region have each pixel (regions, height, width)."""
    grid = tiling.of(height, width)
    times = np.zeros((grid.regions.max() + 1, height, width), int)
    for (row, column), region in zip(grid.corners, grid.regions, strict=True):
        assert row + tiling.tile[0] <= height
        assert column + tiling.tile[1] <= width
        times[region, row : row + tiling.tile[0], column : column + tiling.tile[1]] += 1
    return times


def test_tiles_lie_row_by_row_side_by_side() -> None:
    grid = Tiling((4, 5), (4, 5)).of(8, 15)
    assert grid.shape == (2, 3)
    assert grid.corners.tolist() == [[0, 0], [0, 5], [0, 10], [4, 0], [4, 5], [4, 10]]
    assert (covered(Tiling((4, 5), (4, 5)), 8, 15) == 1).all()


def test_the_edges_are_covered_or_left_out() -> None:
    shifted = covered(Tiling((4, 4), (4, 4)), 10, 9)[0]
    assert (shifted >= 1).all()
    assert Tiling((4, 4), (4, 4)).of(10, 9).rows.tolist() == [0, 4, 6]
    dropped = covered(Tiling((4, 4), (4, 4), shift=False), 10, 9)[0]
    assert (dropped[:8, :8] == 1).all()
    assert not dropped[8:].any()
    assert not dropped[:, 8:].any()


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("gap", [0, 3])
def test_regions_share_no_pixel_and_keep_their_distance(gap: int, shift: bool) -> None:
    times = covered(Tiling((6, 5), (2, 3), shift, (3, 2), gap), 40, 31)
    assert len(times) == 6
    touched = times > 0
    assert touched.any(axis=(1, 2)).all()
    assert (touched.sum(axis=0) <= 1).all()
    if shift:
        rows, columns = touched.any(axis=(0, 2)), touched.any(axis=(0, 1))
        assert (rows.sum(), columns.sum()) == (40 - 2 * gap, 31 - gap)
    for one in range(6):
        for other in range(one):
            apart = [
                np.abs(a[:, None] - b).min(axis=None)
                for a, b in zip(np.nonzero(touched[one]), np.nonzero(touched[other]), strict=True)
            ]
            assert max(apart) > gap


def test_what_is_too_small_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"the scene of 7 pixels along its width has no tile of 8; choose smaller tiles$"
    ):
        Tiling((4, 8), (4, 8)).of(20, 7)
    with pytest.raises(UserError, match=r"a region of 3 pixels along its height .* fewer regions or a smaller gap"):
        Tiling((4, 4), (4, 4), regions=(2, 1), gap=4).of(10, 20)
