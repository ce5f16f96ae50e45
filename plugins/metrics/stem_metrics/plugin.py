"""The metrics that come with stemcore."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores of a reconstruction against the recorded pattern, and estimates of its error to the unknown truth."""
    return {
        "mse": "stem_metrics.error:MeanSquaredError",
        "center_mse": "stem_metrics.error:CenterError",
        "weighted_mse": "stem_metrics.error:WeightedError",
        "expected_error": "stem_metrics.error:ExpectedError",
        "psnr": "stem_metrics.fidelity:PeakSignalToNoise",
        "ssim": "stem_metrics.fidelity:StructuralSimilarity",
        "r2": "stem_metrics.r2:CoefficientOfDetermination",
        "poisson_deviance": "stem_metrics.counts:PoissonDeviance",
        "split_half": "stem_metrics.split_half:SplitHalf",
        "peak_preservation": "stem_metrics.diffraction:PeakPreservation",
        "range_preservation": "stem_metrics.diffraction:RangePreservation",
        "log_correlation": "stem_metrics.diffraction:LogCorrelation",
    }
