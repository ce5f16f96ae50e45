"""Simulates the sample: an EDX spectrum image of Fe and Pt nanoparticles on carbon, as HyperSpy would write it.

    python make_sample.py        writes src/stem_spectra/sample/fe_pt.hspy, the same file every time

A spectrum is a sum of characteristic lines and of a continuum, both broadened by the detector, and counted:

- energies of lines in keV from Bearden, Rev. Mod. Phys. 39, 78 (1967); ratios of the lines of a series rounded from
  Schreiber and Wims, X-Ray Spectrom. 11, 42 (1982);
- continuum after Kramers, Phil. Mag. 46, 836 (1923): (E0 - E) / E, with the falling efficiency of a window below 1 keV;
- width of lines after Fiori and Newbury (SEM 1978): FWHM^2 = 130^2 + 2.327 (E - 5895), in eV, for silicon;
- counts after Poisson, 60 in a spectrum on average: a fast scan.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

OUT = Path(__file__).parent / "src" / "stem_spectra" / "sample" / "fe_pt.hspy"
ROWS, COLUMNS, CHANNELS, STEP, START = 48, 48, 512, 0.02, 0.1
COUNTS, BEAM, SEED = 60.0, 200.0, 7
LINES = {
    "carbon": {0.277: 1.0},
    "oxide": {0.525: 1.0, 6.404: 0.35, 7.058: 0.045, 0.705: 0.18},
    "iron": {6.404: 1.0, 7.058: 0.13, 0.705: 0.45},
    "platinum": {2.051: 1.0, 2.127: 0.6, 9.442: 0.75, 8.268: 0.04},
    "copper": {8.048: 1.0, 8.905: 0.13, 0.930: 0.3},
}
CONTINUUM = {"carbon": 0.9, "oxide": 0.25, "iron": 0.3, "platinum": 0.5, "copper": 0.2}


def energies() -> np.ndarray:
    """Centres of the channels, in keV."""
    return START + STEP * np.arange(CHANNELS)


def sigma(energy: np.ndarray | float) -> np.ndarray:
    """Standard deviation of a line of a silicon detector, in keV."""
    width = np.sqrt(np.maximum(130.0**2 + 2.327 * (1000 * np.asarray(energy) - 5895), 40.0**2))
    return width / 1000 / np.sqrt(8 * np.log(2))


def component(name: str) -> np.ndarray:
    """The expected spectrum of one component, of sum 1."""
    e = energies()
    lines = np.zeros_like(e)
    for energy, strength in LINES[name].items():
        window = np.exp(-((0.45 / energy) ** 2))
        s = sigma(energy)
        lines += strength * window * np.exp(-((e - energy) ** 2) / (2 * s**2)) / (s * np.sqrt(2 * np.pi)) * STEP
    kramers = (BEAM - e) / e * np.exp(-((0.45 / e) ** 2))
    spectrum = lines / lines.sum() + CONTINUUM[name] * kramers / kramers.sum()
    return spectrum / spectrum.sum()


def abundances() -> tuple[np.ndarray, np.ndarray]:
    """How much of each component is where (rows, columns, components), and which phase rules (rows, columns)."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(float)
    maps = dict.fromkeys(LINES, np.zeros((ROWS, COLUMNS)))
    maps["carbon"] = 0.45 + 0.25 * x / COLUMNS
    maps["copper"] = np.full_like(x, 0.06)
    phase = np.zeros((ROWS, COLUMNS), np.uint8)
    for number in range(16):
        cy, cx, radius = rng.uniform(0, ROWS), rng.uniform(0, COLUMNS), rng.uniform(2.5, 6.0)
        depth = np.sqrt(np.maximum(radius**2 - (y - cy) ** 2 - (x - cx) ** 2, 0)) / 6
        shell = np.sqrt(np.maximum((radius + 1.2) ** 2 - (y - cy) ** 2 - (x - cx) ** 2, 0)) / 6 - depth
        if number % 2:
            maps["platinum"] = maps["platinum"] + 2.2 * depth
            phase[depth > 0] = 2
        else:
            maps["iron"] = maps["iron"] + 1.6 * depth
            maps["oxide"] = maps["oxide"] + 1.2 * shell
            phase[(depth > 0) & (phase == 0)] = 1
    return np.stack([maps[name] for name in LINES], axis=-1), phase


def main() -> None:
    """Writes the file."""
    shares, phase = abundances()
    spectra = np.stack([component(name) for name in LINES])
    dose = COUNTS / shares.sum(axis=-1).mean()
    expected = dose * shares @ spectra
    counts = np.random.default_rng(SEED + 1).poisson(expected).astype(np.uint8)
    with h5py.File(OUT, "w") as file:
        file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
        signal = file.create_group("Experiments/Fe and Pt particles")
        signal.create_dataset("data", data=counts, chunks=(8, 8, CHANNELS), compression="gzip", shuffle=True)
        axes = (
            ("y", 0.0, 2.0, "nm", ROWS, True),
            ("x", 0.0, 2.0, "nm", COLUMNS, True),
            ("Energy", START, STEP, "keV", CHANNELS, False),
        )
        for number, (name, offset, scale, units, size, navigate) in enumerate(axes):
            axis = {"name": name, "offset": offset, "scale": scale, "units": units, "size": size, "navigate": navigate}
            signal.create_group(f"axis-{number}").attrs.update({"_type": "UniformDataAxis", **axis})
        signal.create_group("metadata/Signal").attrs["signal_type"] = "EDS_TEM"
        signal.create_group("metadata/General").attrs["title"] = "Simulated, for the example of a plugin. CC0 1.0."
        truth = file.create_group("truth")
        truth["spectra"] = spectra.astype(np.float32)
        truth.create_dataset("abundances", data=(dose * shares).astype(np.float32), compression="gzip")
        truth.create_dataset("phase", data=phase, compression="gzip")
    print(f"{OUT}: {OUT.stat().st_size / 1000:.0f} kB, {counts.sum(axis=-1).mean():.1f} counts in a spectrum")


if __name__ == "__main__":
    main()
