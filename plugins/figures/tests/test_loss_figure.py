from __future__ import annotations

import io
import math

import numpy as np
import pytest
from stem_figures.loss import LossCurves, curve

HISTORY = [
    {"epoch": 1, "train/loss": 3.0, "train/mse": 2.5, "train/lp": 0.5, "lr": 1e-3},
    {"epoch": 2, "train/loss": 2.0, "train/mse": 1.6, "train/lp": 0.4, "lr": 2e-3, "val/loss": 2.2, "val/mse": 1.7},
    {"epoch": 3, "train/loss": 1.0, "train/mse": 0.7, "train/lp": 0.3, "lr": 1e-3},
    {"epoch": 4, "train/loss": 0.9, "train/mse": 0.7, "train/lp": 0.2, "lr": 5e-4, "val/loss": 1.4, "val/mse": 1.2},
    {"epoch": 5, "train/loss": 0.8, "train/mse": 0.6, "train/lp": 0.2, "lr": 1e-4, "val/loss": 1.6, "val/mse": 1.3},
]


def draw(history):
    drawing = LossCurves().draw(history)
    file = io.BytesIO()
    drawing.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
    return drawing


def lines(axes):
    return {line.get_label(): np.transpose(line.get_data()).tolist() for line in axes.lines}


def test_panels_show_what_was_recorded():
    losses, terms, rates = draw(HISTORY).axes
    assert lines(losses)["training"] == [[1, 3.0], [2, 2.0], [3, 1.0], [4, 0.9], [5, 0.8]]
    assert lines(losses)["validation"] == [[2, 2.2], [4, 1.4], [5, 1.6]]
    assert lines(terms)["mse"][0] == [1, 2.5]
    assert lines(terms)["mse (validation)"] == [[2, 1.7], [4, 1.2], [5, 1.3]]
    assert lines(terms)["lp"][-1] == [5, 0.2]
    assert [y for _, y in next(iter(lines(rates).values()))] == [1e-3, 2e-3, 1e-3, 5e-4, 1e-4]
    assert {a.get_yscale() for a in (losses, terms, rates)} == {"log"}
    assert {a.get_xlabel() for a in (losses, terms, rates)} == {"epoch"}


def test_best_validation_epoch_is_named():
    legend = draw(HISTORY).axes[0].get_legend()
    assert "best: 1.4 in epoch 4" in [text.get_text() for text in legend.get_texts()]


def test_negative_losses_are_on_a_linear_scale():
    axes = draw([{"epoch": e, "train/loss": -float(e)} for e in range(1, 9)]).axes
    assert len(axes) == 1
    assert axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("history", "panels"),
    [
        ([], 1),
        ([{}], 1),
        ([{"train/loss": 1.0}], 1),
        (HISTORY[:1], 3),
        ([{"epoch": 1, "train/loss": math.nan, "val/loss": math.inf}], 1),
        ([{"epoch": e, "train/loss": 0.0, "lr": 1e-3} for e in (1, 2)], 2),
        ([{"epoch": e, "train/loss": 2.0, "lr/generator": 1e-3, "lr/critic": 1e-4} for e in range(99)], 2),
    ],
)
def test_runs_with_little_to_show(history, panels):
    assert len(draw(history).axes) == panels


def test_a_single_epoch_has_whole_numbers_below_it():
    axes = draw(HISTORY[:1]).axes[0]
    assert axes.get_xlim() == (0, 2)


def test_curve_leaves_out_what_is_missing_or_not_finite():
    epochs, values = curve([{"a": 1.0}, {}, {"a": math.nan}, {"epoch": 9, "a": 2.0}], "a")
    assert epochs.tolist() == [1, 9]
    assert values.tolist() == [1.0, 2.0]
