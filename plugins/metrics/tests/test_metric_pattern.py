from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from stem_metrics.counts import PoissonDeviance
from stem_metrics.diffraction import LogCorrelation, PeakPreservation, RangePreservation
from stem_metrics.error import CenterError, ExpectedError, MeanSquaredError, WeightedError
from stem_metrics.fidelity import PeakSignalToNoise, StructuralSimilarity
from stem_metrics.r2 import CoefficientOfDetermination

from stemcore import UserError

CLASSES = [
    MeanSquaredError,
    CenterError,
    WeightedError,
    ExpectedError,
    PeakSignalToNoise,
    StructuralSimilarity,
    PoissonDeviance,
    PeakPreservation,
    RangePreservation,
    LogCorrelation,
    CoefficientOfDetermination,
]
every = pytest.mark.parametrize("metric_class", CLASSES)


def values(metric):
    result = metric.compute()
    return {k: v.item() for k, v in (result if isinstance(result, dict) else {"": result}).items()}


def fed(metric_class, *tensors, size=1000):
    metric = metric_class()
    for part in zip(*(t.split(size) for t in tensors), strict=True):
        metric.update(*part)
    return metric


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-9), key


@every
def test_batches_and_merging_give_the_same_as_the_whole(metric_class, simulated, mask):
    data = (simulated.prediction, simulated.target, mask)
    whole = values(fed(metric_class, *data))
    assert math.isfinite(whole[""])
    same(values(fed(metric_class, *data, size=7)), whole)
    first, second = (fed(metric_class, *(t[part] for t in data)) for part in (slice(0, 41), slice(41, None)))
    first.merge_state(second)
    same(values(first), whole)


@every
def test_reset_forgets(metric_class, simulated):
    metric = fed(metric_class, simulated.prediction, simulated.target)
    before = values(metric)
    metric.reset()
    metric.update(simulated.prediction, simulated.target)
    same(values(metric), before)


@every
def test_what_is_masked_does_not_matter(metric_class, simulated, mask):
    clean = values(fed(metric_class, simulated.prediction, simulated.target, mask))
    wild = [simulated.prediction.masked_fill(~mask, torch.nan), simulated.target.masked_fill(~mask, 65535.0)]
    same(values(fed(metric_class, *wild, mask)), clean)


@every
def test_one_mask_serves_every_pattern(metric_class, simulated, mask):
    found = fed(metric_class)
    found.update(simulated.prediction, simulated.target, mask[:1])
    expected = fed(metric_class)
    expected.update(simulated.prediction, simulated.target, mask[:1].expand_as(simulated.target).clone())
    same(values(found), values(expected))


@every
def test_an_all_valid_mask_changes_nothing(metric_class, simulated):
    without = fed(metric_class, simulated.prediction, simulated.target)
    same(values(without), values(fed(metric_class, *simulated[1::-1], torch.ones_like(simulated.target).bool())))


@every
def test_reports_declare_what_is_computed(metric_class, simulated):
    metric = metric_class()
    directions = metric.reports()
    assert directions.keys() == values(fed(metric_class, simulated.prediction, simulated.target)).keys()
    expected = "max" if metric_class.__name__.startswith(("Peak", "Struct", "Range", "Log", "Coeff")) else "min"
    assert directions[""] == expected
    assert all(direction is None for key, direction in directions.items() if key)


@every
def test_a_better_prediction_scores_better(metric_class, simulated):
    good = values(fed(metric_class, simulated.expected, simulated.target.float()))[""]
    bad = values(fed(metric_class, simulated.expected.flip(0) * 0.7 + 2, simulated.target))[""]
    assert good > bad if metric_class().reports()[""] == "max" else good < bad


@every
def test_nan_predictions_are_not_hidden(metric_class, simulated):
    prediction = simulated.prediction.clone()
    prediction[5, 0, 18, 16] = torch.nan
    assert math.isnan(values(fed(metric_class, prediction, simulated.target))[""])


@every
def test_half_precision_and_empty_batches(metric_class, simulated):
    metric = fed(metric_class, simulated.prediction, simulated.target)
    whole = values(metric)
    metric.update(simulated.prediction[:0], simulated.target[:0])
    same(values(metric), whole)
    half = values(fed(metric_class, simulated.prediction.bfloat16(), simulated.target.bfloat16()))
    assert half[""] == pytest.approx(whole[""], rel=0.05)


@every
def test_shapes_that_differ_are_named(metric_class):
    with pytest.raises(UserError, match="differ in shape"):
        metric_class().update(torch.ones(2, 1, 8, 8), torch.ones(2, 1, 8, 9))
    with pytest.raises(UserError, match="mask"):
        metric_class().update(torch.ones(2, 1, 8, 8), torch.ones(2, 1, 8, 8), torch.ones(2, 1, 4, 4).bool())


def test_tables_of_one_column():
    metric = MeanSquaredError()
    metric.update(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    assert values(metric) == {"": 2.0, "std": 2.0}


@every
def test_devices_without_float64(metric_class, simulated):
    def move(x):
        if x.dtype == torch.float64:
            raise TypeError("no float64 here")
        return x

    metric = metric_class()
    metric._apply(move)
    metric.update(simulated.prediction, simulated.target)
    expected = values(fed(metric_class, simulated.prediction, simulated.target))
    assert values(metric)[""] == pytest.approx(expected[""], rel=1e-4)


SHARES = {"both see patterns": slice(25, None), "one sees none": slice(0, 0)}


def score_a_share(rank, port, file):
    """What a process of two computes over both: the first sees 25 patterns, the second its share of ``SHARES``."""
    place, patience = f"tcp://127.0.0.1:{port}", timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=2, timeout=patience)
    data = torch.load(file, weights_only=True)
    results = {}
    for share, rest in SHARES.items():
        for metric_class in (PeakSignalToNoise, CoefficientOfDetermination):
            metric = metric_class()
            part = rest if rank else slice(0, 25)
            if len(data[0][part]):
                metric.update(*(t[part] for t in data))
            results[f"{metric_class.__name__}, {share}"] = values(metric)
    dist.destroy_process_group()
    return results


def test_two_processes_agree_on_the_whole(simulated, unused_port, tmp_path):
    data = [t.clone() for t in simulated[1::-1]]
    torch.save(data, tmp_path / "data.pt")
    command = [sys.executable, __file__, str(unused_port), str(tmp_path / "data.pt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        found = score_a_share(0, unused_port, tmp_path / "data.pt")
        assert json.loads(other.communicate()[0]) == found
    for metric_class in (PeakSignalToNoise, CoefficientOfDetermination):
        name = metric_class.__name__
        same(found[f"{name}, both see patterns"], values(fed(metric_class, *data)))
        same(found[f"{name}, one sees none"], values(fed(metric_class, *(t[:25] for t in data))))


if __name__ == "__main__":
    print(json.dumps(score_a_share(1, *sys.argv[1:])))
