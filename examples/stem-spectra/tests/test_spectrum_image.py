"""What is read is what is in the file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from stem_spectra.spectrum_image import SAMPLE, SpectrumImage

from stemcore import UserError


@pytest.fixture(scope="module")
def stored():
    with h5py.File(SAMPLE) as file:
        counts = file["Experiments/Fe and Pt particles/data"][:]
        return counts, file["truth/abundances"][:] @ file["truth/spectra"][:]


def test_counts_and_truth_of_the_sample(stored):
    counts, truth = stored
    scan = SpectrumImage()
    rows = scan.read(np.arange(len(scan)))
    assert scan.scan_shape == counts.shape[:2]
    assert np.array_equal(rows["input"].reshape(counts.shape), counts)
    assert np.allclose(rows["expected"].reshape(truth.shape), truth, rtol=1e-5)
    # The counts were drawn from that truth: chi-squared of Poisson counts is their number.
    chi = ((counts - truth) ** 2 / truth).mean()
    assert chi == pytest.approx(1, abs=0.02)


def test_an_energy_range_is_cut_out(stored):
    scan = SpectrumImage(energy_range=(6.0, 7.0))
    inside = (scan.signal.energies >= 6.0) & (scan.signal.energies <= 7.0)
    assert scan.fields["input"].shape == (1, inside.sum())
    rows = scan.read(np.array([100, 5]))
    assert np.array_equal(rows["input"][:, 0], stored[0].reshape(len(scan), -1)[[100, 5]][:, inside])
    assert np.allclose(rows["energy"][0], scan.signal.energies[inside])


def test_blocks_are_the_chunks_of_the_file():
    scan = SpectrumImage()
    rows, columns = np.unravel_index(scan.blocks()[1], scan.scan_shape)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 7, 8, 15)


def test_channels_are_added_up_in_a_type_that_holds_them(stored):
    scan = SpectrumImage(energy_range=(0.2, 10.0), rebin=7)
    inside = np.flatnonzero((scan.signal.energies >= 0.2) & (scan.signal.energies <= 10.0))
    groups = inside[: len(inside) // 7 * 7].reshape(-1, 7)
    rows = scan.read(np.array([700, 3, 700]))
    counts, truth = (part.reshape(len(scan), -1)[[700, 3, 700]] for part in stored)
    assert rows["input"].dtype == np.dtype(scan.fields["input"].dtype) == np.int32
    assert np.array_equal(rows["input"][:, 0], counts[:, groups].sum(axis=-1))
    assert np.allclose(rows["expected"][:, 0], truth[:, groups].sum(axis=-1), rtol=1e-5)
    assert np.allclose(rows["energy"][0], scan.signal.energies[groups].mean(axis=-1))


def test_the_phase_of_the_sample_is_the_label():
    scan = SpectrumImage()
    with h5py.File(SAMPLE) as file:
        phase = file["truth/phase"][:].ravel()
    some = np.array([2000, 17, 1111])
    assert np.array_equal(scan.read(some)["label"], phase[some])
    assert scan.fields["label"].dtype == "int64"
    assert set(phase) == {0, 1, 2}


@pytest.fixture
def written(tmp_path):
    def write(data, chunks=None, values=None, truth=None, **axis):
        with h5py.File(tmp_path / "scan.hspy", "w") as file:
            group = file.create_group("Experiments/scan")
            group.create_dataset("data", data=data, chunks=chunks)
            for n in range(data.ndim):
                group.create_group(f"axis-{n}").attrs.update({"scale": 1.0, "navigate": n < data.ndim - 1})
            last = group[f"axis-{data.ndim - 1}"]
            del last.attrs["scale"]
            last.attrs.update(axis)
            if values is not None:
                last["axis"] = values
            for name, part in (truth or {}).items():
                file[f"truth/{name}"] = part
        return tmp_path / "scan.hspy"

    return write


COUNTS = np.random.default_rng(0).poisson(3.0, (6, 7, 50)).astype(np.uint16)


@pytest.mark.parametrize("chunks", [None, (4, 3, 50), (4, 3, 20), (6, 7, 10)])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_any_chunks_and_byte_order(written, chunks, order):
    scan = SpectrumImage(path=written(COUNTS.astype(order), chunks, scale=0.1, units="keV"))
    some = np.array([41, 0, 5, 5, 30])
    found = scan.read(some)["input"]
    assert found.dtype == np.uint16
    assert found.dtype.isnative
    assert np.array_equal(found[:, 0], COUNTS.reshape(42, 50)[some])
    assert np.array_equal(np.sort(np.concatenate(scan.blocks())), np.arange(42))


def test_energies_are_handed_over_in_kev_where_their_unit_is_known(written):
    axis = {"offset": 200.0, "scale": 0.5}
    scan = SpectrumImage(path=written(COUNTS, units="eV", **axis), energy_range=(210.0, 215.0))
    assert np.allclose(scan.energies, np.arange(210.0, 215.5, 0.5))
    assert np.allclose(scan.read(np.array([3]))["energy"], scan.energies / 1000)
    assert scan.fields["energy"].unit == "keV"
    for units in ({}, {"units": "nm"}):
        scan = SpectrumImage(path=written(COUNTS, **axis, **units))
        assert set(scan.fields) == set(scan.read(np.array([3]))) == {"input"}


def test_an_axis_of_values_is_read_and_one_without_either_is_refused(written):
    values = np.geomspace(1.0, 9.0, 50)
    assert np.allclose(SpectrumImage(path=written(COUNTS, values=values)).energies, values)
    with pytest.raises(UserError, match="neither a scale nor a value per channel"):
        SpectrumImage(path=written(COUNTS, expression="a * x"))


@pytest.mark.parametrize(
    "truth",
    [
        {"spectra": np.ones((2, 49)), "abundances": np.ones((6, 7, 2))},
        {"spectra": np.ones((2, 50))},
        {"spectra": np.ones((2, 50)), "abundances": np.ones((6, 7, 2)), "phase": np.ones((6, 7))},
        {"counts": np.ones(3)},
    ],
)
def test_a_truth_that_does_not_fit_is_refused(written, truth):
    with pytest.raises(UserError, match="group 'truth' has") as refused:
        SpectrumImage(path=written(COUNTS, scale=0.1, truth=truth))
    assert "abundances (6, 7, n)" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("navigate", [(False,), (True, True, False, False), (False, True)])
def test_other_signals_are_refused(tmp_path, navigate):
    with h5py.File(tmp_path / "other.hspy", "w") as file:
        group = file.create_group("Experiments/other")
        group["data"] = np.zeros((4,) * len(navigate))
        for n, value in enumerate(navigate):
            group.create_group(f"axis-{n}").attrs.update({"scale": 1.0, "navigate": value})
    with pytest.raises(UserError, match="a spectrum image has a scan, and one signal axis"):
        SpectrumImage(path=tmp_path / "other.hspy")


def test_it_reads_what_hyperspys_own_writer_writes(tmp_path):
    writer = pytest.importorskip("rsciio.hspy", reason="needs rosettasciio")
    data = np.random.default_rng(0).poisson(2.0, (3, 4, 20)).astype(np.uint8)
    axes = [
        {"name": n, "offset": o, "scale": 0.5, "units": u, "size": s, "navigate": v, "_type": "UniformDataAxis"}
        for n, o, u, s, v in (("y", 0.0, "nm", 3, True), ("x", 0.0, "nm", 4, True), ("Energy", 1.0, "keV", 20, False))
    ]
    signal = {"data": data, "axes": axes, "metadata": {"General": {"title": "written"}}, "original_metadata": {}}
    signal |= {"package_info": {"package": "hyperspy", "package_version": "2.0"}, "tmp_parameters": {}}
    signal |= {"learning_results": {}, "attributes": {"_lazy": False}, "models": {}}
    writer.file_writer(str(tmp_path / "written.hspy"), signal)
    scan = SpectrumImage(path=tmp_path / "written.hspy")
    assert (scan.scan_shape, scan.signal.units) == ((3, 4), "keV")
    assert np.allclose(scan.energies, 1 + 0.5 * np.arange(20))
    assert np.array_equal(scan.read(np.arange(12))["input"].reshape(data.shape), data)
