from __future__ import annotations

import time

import pytest
from matplotlib.figure import Figure
from stem_loggers.plugin import stem_defaults, stem_loggers
from stem_loggers.tensorboard import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def events(directory):
    return EventAccumulator(str(directory / "tensorboard"), {"scalars": 0, "images": 0, "tensors": 0}).Reload()


def scalars(directory, name):
    return [(event.step, event.value) for event in events(directory).Scalars(name)]


def test_scalars_and_recipe(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    logger.start({"name": "a-run", "seed": 42}, ["train/loss"], 0)
    logger.log({"train/loss": 0.5}, step=10, epoch=1)
    logger.log({"train/loss": 0.25}, step=20, epoch=2)
    assert scalars(tmp_path, "train/loss") == [(10, 0.5), (20, 0.25)]  # before finish: a killed run can be read
    logger.finish("finished")
    assert scalars(tmp_path, "epoch") == [(10, 1.0), (20, 2.0)]
    text = events(tmp_path).Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]
    assert b"a-run" in text


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    logger.start({}, ["train/loss"], 0)
    for step in (10, 20, 30):
        logger.log({"train/loss": float(step)}, step=step, epoch=1)
    logger.finish("interrupted")
    again = TensorBoardLogger(tmp_path)
    again.start({}, ["train/loss"], 20)
    again.log({"train/loss": 1.5}, step=25, epoch=1)
    again.finish("finished")
    assert scalars(tmp_path, "train/loss") == [(10, 10.0), (20, 20.0), (25, 1.5)]


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tmp_path):
    for value in (1.0, 2.0):
        logger = TensorBoardLogger(tmp_path)
        logger.start({}, ["train/loss"], 0)
        for step in range(1, 4 - int(value)):
            logger.log({"train/loss": value}, step=step, epoch=1)
        logger.finish("interrupted")
    assert scalars(tmp_path, "train/loss") == [(1, 2.0)]


def test_figures(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    logger.start({}, [], 0)
    drawing = Figure(figsize=(2, 1), dpi=50)
    drawing.add_subplot().plot([0, 1])
    logger.figure("loss", drawing, step=7)
    logger.finish("finished")
    (image,) = events(tmp_path).Images("loss")
    assert (image.step, image.width, image.height) == (7, 100, 50)


def test_logging_before_start_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="start"):
        TensorBoardLogger(tmp_path).log({}, step=1, epoch=1)


def test_hooks():
    assert set(stem_defaults()["loggers"]) <= set(stem_loggers())


def test_the_file_of_a_resumed_run_comes_after_those_there_are(tmp_path):
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    earlier = folder / f"events.out.tfevents.{int(time.time()):010d}.zz.9.9"
    earlier.touch()
    logger = TensorBoardLogger(tmp_path)
    logger.start({}, [], 8)
    logger.finish("finished")
    assert min(folder.iterdir()) == earlier
