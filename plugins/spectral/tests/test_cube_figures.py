from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from stem_spectral.colour import displayed, linear, mixture, scale
from stem_spectral.cube_pictures import CubePictures
from stem_spectral.spectra import ErrorByWavelength, Spectra, evenly

from stemcore import DataSpec, FieldSpec, UserError

SCENE = Path(__file__).resolve().parents[4] / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
SPEC = DataSpec({"input": FieldSpec("input", (198, 40, 60), unit="reflectance")})


@pytest.fixture(scope="module")
def scene():
    """Two crops (2, 198, 40, 60) with smoothed predictions, hidden patches of whole spectra and of some bands, and
    wavelengths: what a model and its data give."""
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(SCENE) as file:
        cube, wavelengths = file["Cube/Images"][:], file["Cube/Wavelengths"][:]
    target = np.stack([cube[:, :40, :60], cube[:, 60:, 40:]])
    rng = np.random.default_rng(0)
    hidden = np.empty(target.shape, dtype=bool)
    hidden[0] = np.kron(rng.random((8, 12)) < 0.75, np.ones((5, 5), dtype=bool))
    hidden[1] = np.kron(rng.random((18, 8, 12)) < 0.75, np.ones((11, 5, 5), dtype=bool))
    return {
        "target": target,
        "prediction": uniform_filter(target, (0, 0, 5, 5)),
        "hidden": hidden,
        "wavelengths": np.stack([wavelengths, wavelengths]),
    }


def panels(drawing):
    axes = [a for a in drawing.axes if a.get_subplotspec() is not None]
    return {(a.get_subplotspec().rowspan.start, a.get_subplotspec().colspan.start): a for a in axes}


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_pictures_are_of_the_scene_in_one_scale(scene):
    rgb = np.random.default_rng(1).random((2, 3, 40, 60))
    found = panels(CubePictures().draw(**scene, rgb=rgb, index=np.array([7, 9])))
    titles = ["original", "masked", "reconstruction", "inpainted", "error", "photograph"]
    assert [found[0, k].get_title() for k in range(6)] == titles
    assert [found[k, 0].get_ylabel() for k in range(2)] == ["item 7", "item 9"]
    hidden = scene["hidden"].astype(bool)
    for row in range(2):
        picture = {title: np.asarray(found[row, k].images[0].get_array()) for k, title in enumerate(titles)}
        target, prediction = scene["target"][row], scene["prediction"][row]
        made = mixture(198, scene["wavelengths"][0], None, np.ones(198, dtype=bool))
        true = linear(target, made)
        limits = scale(true, True)
        original = displayed(true, *limits)
        assert np.allclose(picture["original"], original)
        assert np.allclose(picture["reconstruction"], displayed(linear(prediction, made), *limits))
        share = hidden[row].mean(0)[..., None]
        assert np.allclose(picture["masked"], original * (1 - share) + 0.5 * share)
        inpainted = np.where(hidden[row], prediction, target)
        assert np.allclose(picture["inpainted"], displayed(linear(inpainted, made), *limits))
        squares = np.where(hidden[row], (prediction.astype(float) - target) ** 2, np.nan)
        some = hidden[row].any(0)
        assert np.allclose(np.asarray(picture["error"])[some], np.sqrt(np.nanmean(squares[:, some], axis=0)))
        assert np.allclose(picture["photograph"], np.moveaxis(rgb[row], 0, -1))


def test_the_river_is_green(scene):
    picture = np.asarray(panels(CubePictures(items=1).draw(**scene))[0, 0].images[0].get_array())
    water = picture[10:30, 30:45].mean((0, 1))
    assert water.argmax() == 1
    assert water.max() - water.min() > 0.05


def test_a_cube_alone_has_three_pictures_in_false_colours(scene):
    drawing = CubePictures(items=1, bands=[100, 50, 10]).draw(scene["target"], scene["prediction"])
    found = panels(drawing)
    assert [a.get_title() for a in found.values()] == ["original", "reconstruction", "error"]
    assert drawing.get_suptitle() == "Cubes in colour (bands 100, 50, 10)"
    bands = np.moveaxis(scene["target"][0][[100, 50, 10]], 0, -1)
    limits = np.percentile(bands.reshape(-1, 3), [1, 99], axis=0)
    assert np.allclose(np.asarray(found[0, 0].images[0].get_array()), displayed(bands, *limits))
    with pytest.raises(UserError, match="no band 198"):
        CubePictures(bands=[0, 1, 198]).draw(scene["target"], scene["prediction"])


def test_pixels_that_are_bad_are_grey_and_have_no_error(scene):
    mask = np.ones(scene["target"].shape, dtype=bool)
    mask[:, :, 10:12, 20:25] = False
    spoilt = {**scene, "target": np.where(mask, scene["target"], -9999.0)}
    found = panels(CubePictures(items=1).draw(**spoilt, mask=mask))
    assert (np.asarray(found[0, 0].images[0].get_array())[10:12, 20:25] == 0.5).all()
    assert np.isnan(np.ma.filled(found[0, 4].images[0].get_array(), np.nan)[10:12, 20:25]).all()


def test_error_of_each_band_beside_that_of_the_mean_spectrum(scene):
    mask = np.ones(scene["target"].shape, dtype=bool)
    mask[0, 17, 3:9] = False
    axes = ErrorByWavelength().draw(**scene, mask=mask, spec=SPEC).axes[0]
    counts = scene["hidden"].astype(bool) & mask
    curves = lines(axes)
    target = np.where(mask, scene["target"].astype(float), np.nan)
    mean = np.nanmean(target, axis=(0, 2, 3))[None, :, None, None]
    for label, found in (("model", scene["prediction"]), ("mean spectrum", mean)):
        errors = np.where(counts, (found - target) ** 2, np.nan)
        assert np.allclose(curves[label][:, 1], np.nanmean(errors, axis=(0, 2, 3)))
        assert np.array_equal(curves[label][:, 0], scene["wavelengths"][0])
    assert axes.get_xlabel() == "wavelength (nm)"
    assert axes.get_ylabel() == "mean squared error (reflectance²)"
    assert axes.get_yscale() == "log"
    assert axes.figure.get_suptitle() == "Error of each band, hidden values of 2 items"


def test_without_wavelengths_bands_are_numbered(scene):
    axes = ErrorByWavelength(items=1).draw(scene["target"], scene["prediction"]).axes[0]
    assert axes.get_xlabel() == "band"
    errors = ((scene["target"][0].astype(float) - scene["prediction"][0]) ** 2).mean((1, 2))
    assert np.allclose(lines(axes)["model"], np.stack([np.arange(198), errors], 1))
    assert axes.figure.get_suptitle() == "Error of each band, all values of 1 item"


def test_spectra_of_the_pixels_that_are_asked_for(scene):
    figure = Spectra(pixels=[[3, 50], [39, 0]])
    found = panels(figure.draw(**scene, index=np.array([7, 9]), spec=SPEC))
    for (row, column), axes in found.items():
        i, j = figure.pixels[column]
        true, output = scene["target"][row, :, i, j].astype(float), scene["prediction"][row, :, i, j].astype(float)
        hidden = scene["hidden"][row, :, i, j].astype(bool)
        curves = lines(axes)
        assert np.allclose(curves["input"], np.stack([scene["wavelengths"][0], true], 1))
        assert np.allclose(curves["output"][:, 1], np.where(hidden, output, np.nan), equal_nan=True)
        title = f"item {(7, 9)[row]}, pixel ({i}, {j})"
        if hidden.any():
            x, y = true[hidden], output[hidden]
            title += f": {np.degrees(np.arccos(x @ y / np.sqrt(x @ x) / np.sqrt(y @ y))):.1f}°"
        assert axes.get_title() == title
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("wavelength (nm)", "reflectance")
    with pytest.raises(UserError, match=r"cubes of 40 x 60 pixels have no pixel \(40, 0\), \(0, 60\)"):
        Spectra(pixels=[[40, 0], [1, 1], [0, 60]]).draw(**scene)


def test_pixels_are_chosen_evenly_among_those_with_most_hidden_bands(scene):
    counts = scene["hidden"][1].astype(bool).sum(0)
    chosen = evenly(counts, 4)
    assert [(row >= 20, column >= 30) for row, column in chosen] == [(a, b) for a in (0, 1) for b in (0, 1)]
    for row, column in chosen:
        top, left = 20 * (row >= 20), 30 * (column >= 30)
        assert counts[row, column] == counts[top : top + 20, left : left + 30].max()
    assert evenly(np.ones((9, 9)), 1) == [(4, 4)]
    assert len(evenly(np.ones((1, 200)), 5)) == 5
    assert len(evenly(np.ones((30, 40)), 7)) == 7
    assert evenly(np.zeros((4, 4)), 4) == []


@pytest.mark.parametrize("figure", [CubePictures(), ErrorByWavelength(), Spectra()])
def test_what_is_no_cube_is_refused(figure):
    with pytest.raises(UserError, match="there is no cube to draw"):
        figure.draw(np.zeros((0, 3, 4, 4)), np.zeros((0, 3, 4, 4)))
    with pytest.raises(UserError, match=r"cubes are drawn as \(n, bands, height, width\), not \(2, 5\)"):
        figure.draw(np.zeros((2, 5)), np.zeros((2, 5)))
