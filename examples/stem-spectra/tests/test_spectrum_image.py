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


@pytest.mark.parametrize(
    ("axes", "said"), [(("energy",), "1 of them of the signal"), (("x", "y", "energy", "time"), "signal axis")]
)
def test_other_signals_are_refused(tmp_path, axes, said):
    with h5py.File(tmp_path / "other.hspy", "w") as file:
        group = file.create_group("Experiments/other")
        group["data"] = np.zeros((4,) * len(axes))
        for n, name in enumerate(axes):
            group.create_group(f"axis-{n}").attrs.update({"name": name, "navigate": name in "xy"})
    if axes == ("energy",):
        scan = SpectrumImage(path=tmp_path / "other.hspy")
        assert (len(scan), scan.scan_shape) == (1, ())
        return
    with pytest.raises(UserError, match=said):
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
