"""The pass that checks values and fits transforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stemcore.data.fit as fit_module
from stemcore import UserError, load_recipe
from stemcore.assemble import Parts, assemble
from stemcore.data.fit import fit
from stemcore.data.loader import Loader
from stemcore.progress import reporter
from tests.conftest import bundled_patterns


def fitted(document: dict[str, Any]) -> Parts:
    parts = assemble(load_recipe(document))
    fit(parts.pipeline, parts.sources.train, describe=document["data"], loader=Loader(), reporter=reporter(quiet=True))
    return parts


def numbers(parts: Parts) -> dict[str, float]:
    return {n: float(b) for n, b in parts.pipeline.named_buffers() if b.numel() == 1}


def test_standardize_is_fitted_to_every_pixel_of_the_training_split_alone(small: Callable[..., dict[str, Any]]) -> None:
    parts = fitted(small())
    logs = np.log1p(bundled_patterns()[parts.sources.train.indices].astype(np.float64))
    found = numbers(parts)
    assert found["chains.input.steps.2.mean"] == pytest.approx(logs.mean(), rel=1e-6)
    assert found["chains.input.steps.2.std"] == pytest.approx(logs.std(ddof=1), rel=1e-6)


def test_changing_held_out_items_changes_no_fitted_number(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path]
) -> None:
    patterns = bundled_patterns()[:200].copy()
    first = small(data={"train": {"type": "hdf5", "path": str(scan_file("a.h5", patterns))}})
    first["data"]["transforms"]["input"] = ["log1p", "standardize"]
    parts = fitted(first)
    patterns[parts.sources.val.indices] += 1000  # type: ignore[union-attr]
    second = small(data={"train": {"type": "hdf5", "path": str(scan_file("b.h5", patterns))}})
    second["data"]["transforms"]["input"] = ["log1p", "standardize"]
    assert numbers(fitted(second)) == numbers(parts)
    patterns[parts.sources.train.indices[0]] += 1
    third = small(data={"train": {"type": "hdf5", "path": str(scan_file("c.h5", patterns))}})
    third["data"]["transforms"]["input"] = ["log1p", "standardize"]
    assert numbers(fitted(third)) != numbers(parts)


def test_a_fitted_transform_behind_another_sees_what_that_one_makes_of_the_data(
    small: Callable[..., dict[str, Any]],
) -> None:
    document = small()
    document["data"]["transforms"]["input"] = [{"type": "bin", "factor": 4}, "standardize", "minmax"]
    parts = fitted(document)
    counts = bundled_patterns()[parts.sources.train.indices].astype(np.float64)
    z = (counts - counts.mean()) / counts.std(ddof=1)
    found = numbers(parts)
    assert found["chains.input.steps.2.low"] == pytest.approx(z.min(), rel=1e-5)
    assert found["chains.input.steps.2.high"] == pytest.approx(z.max(), rel=1e-5)


def test_a_second_fit_is_taken_from_the_cache_unless_the_data_changed(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    one_pass = fit_module._one_pass
    monkeypatch.setattr(fit_module, "_one_pass", lambda *a: (passes.append(1), one_pass(*a)))
    document = small(data={"train": {"type": "hdf5", "path": str(scan_file())}, "batch_size": 16})
    document["data"]["transforms"]["input"] = ["log1p", "standardize"]
    first = numbers(fitted(document))
    assert numbers(fitted(document)) == first
    assert len(passes) == 1
    scan_file(patterns=bundled_patterns()[100:196])
    assert numbers(fitted(document)) != first
    assert len(passes) == 2


def test_constant_data_cannot_be_standardized(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path]
) -> None:
    path = scan_file(patterns=np.full((40, 8, 8), 3, np.uint16))
    document = small(data={"train": {"type": "hdf5", "path": str(path)}, "batch_size": 8})
    document["data"]["transforms"]["input"] = ["standardize"]
    with pytest.raises(UserError, match="constant"):
        fitted(document)


@pytest.mark.parametrize(("invalid", "count"), [("clip", 96 * 256), ("mask", 96 * 256 - 3)])
def test_invalid_values_are_counted_over_the_whole_split_or_left_out_of_the_fit(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], invalid: str, count: int
) -> None:
    patterns = bundled_patterns()[:96].astype(np.float32)
    patterns[3, 2, 2], patterns[90, 1, 1], patterns[90, 1, 2] = np.nan, -5, -6
    document = small(
        data={"train": {"type": "hdf5", "path": str(scan_file(patterns=patterns))}, "val": 0, "batch_size": 16}
    )
    document["trainer"]["checkpoint"] = {"monitor": "train/loss"}
    document["data"]["transforms"]["input"] = ["log1p", "standardize"]
    with pytest.raises(UserError, match="1 NaN and 2 negative values in 2 items of 'input', first in item 3"):
        fitted(document)
    document["data"]["invalid"] = invalid
    kept = np.where(np.isfinite(patterns) & (patterns >= 0), patterns, np.nan if invalid == "mask" else 0)
    logs = np.log1p(kept.astype(np.float64))
    assert np.isfinite(logs).sum() == count
    assert numbers(fitted(document))["chains.input.steps.1.mean"] == pytest.approx(np.nanmean(logs), rel=1e-5)
