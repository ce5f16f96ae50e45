"""The metrics that come with stemcore."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores of a reconstruction against what was recorded, and estimates of its error to the unknown truth."""
    return {
        "mse": "stem_metrics.error:MeanSquaredError",
        "center_mse": "stem_metrics.error:CenterError",
        "weighted_mse": "stem_metrics.error:WeightedError",
        "expected_error": "stem_metrics.error:ExpectedError",
        "psnr": "stem_metrics.fidelity:PeakSignalToNoise",
        "ssim": "stem_metrics.fidelity:StructuralSimilarity",
        "r2": "stem_metrics.r2:CoefficientOfDetermination",
        "pearson": "stem_metrics.correlation:PearsonCorrelation",
        "perplexity": "stem_metrics.perplexity:CodebookPerplexity",
        "poisson_deviance": "stem_metrics.counts:PoissonDeviance",
        "split_half": "stem_metrics.split_half:SplitHalf",
        "peak_preservation": "stem_metrics.diffraction:PeakPreservation",
        "range_preservation": "stem_metrics.diffraction:RangePreservation",
        "log_correlation": "stem_metrics.diffraction:LogCorrelation",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """Patterns and reference values for contract checks."""
    return {
        "metric/mse": "stem_metrics.examples:mse",
        "metric/center_mse": "stem_metrics.examples:center_mse",
        "metric/weighted_mse": "stem_metrics.examples:weighted_mse",
        "metric/expected_error": "stem_metrics.examples:expected_error",
        "metric/psnr": "stem_metrics.examples:psnr",
        "metric/ssim": "stem_metrics.examples:ssim",
        "metric/r2": "stem_metrics.table_examples:r2",
        "metric/pearson": "stem_metrics.table_examples:pearson",
        "metric/perplexity": "stem_metrics.table_examples:perplexity",
        "metric/poisson_deviance": "stem_metrics.examples:poisson_deviance",
        "metric/split_half": "stem_metrics.examples:split_half",
        "metric/peak_preservation": "stem_metrics.examples:peak_preservation",
        "metric/range_preservation": "stem_metrics.examples:range_preservation",
        "metric/log_correlation": "stem_metrics.examples:log_correlation",
    }
