from __future__ import annotations

import csv
import math

import pytest
from stem_loggers.csv import CsvLogger

from stemcore import UserError

COLUMNS = ["train/loss", "val/loss"]


def table(directory):
    with (directory / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def logged(directory, steps):
    logger = CsvLogger(directory)
    logger.start({}, COLUMNS, 0)
    for step in steps:
        logger.log({"train/loss": 1 / 3 + step}, step=step, epoch=1 + step // 10)
    return logger


def test_header_rows_and_missing_values(tmp_path):
    logger = CsvLogger(tmp_path)
    logger.start({}, COLUMNS, 0)
    logger.log({"train/loss": 1 / 3}, step=5, epoch=1)
    logger.log({"val/loss": math.nan, "train/loss": math.inf}, step=10, epoch=2)
    logger.finish("finished")
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "step,epoch,train/loss,val/loss"
    assert lines[1] == f"5,1,{1 / 3!r},"
    assert float(table(tmp_path)[0]["train/loss"]) == 1 / 3
    assert lines[2] == "10,2,inf,nan"


def test_rows_can_be_read_while_the_run_goes_on(tmp_path):
    logged(tmp_path, [1, 2])
    assert [row["step"] for row in table(tmp_path)] == ["1", "2"]


def test_resuming_cuts_back_to_the_checkpoint(tmp_path):
    logged(tmp_path, [5, 10, 15, 20]).finish("interrupted")
    before = (tmp_path / "metrics.csv").read_text().splitlines()
    logger = CsvLogger(tmp_path)
    logger.start({}, COLUMNS, 10)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == before[:3]
    logger.log({"train/loss": 7.0}, step=12, epoch=2)
    logger.finish("finished")
    assert [row["step"] for row in table(tmp_path)] == ["5", "10", "12"]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_row_torn_by_a_kill_is_dropped(tmp_path):
    logged(tmp_path, [5, 10]).finish("interrupted")
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "11,2,0.1")
    CsvLogger(tmp_path).start({}, COLUMNS, 20)
    assert [row["step"] for row in table(tmp_path)] == ["5", "10"]


def test_resuming_with_more_columns_keeps_the_old_rows(tmp_path):
    logged(tmp_path, [5]).finish("interrupted")
    logger = CsvLogger(tmp_path)
    logger.start({}, ["val/psnr", "train/loss"], 5)
    logger.log({"val/psnr": 20.0}, step=6, epoch=1)
    logger.finish("finished")
    rows = table(tmp_path)
    assert list(rows[0]) == ["step", "epoch", "val/psnr", "train/loss", "val/loss"]
    assert rows[0]["train/loss"] == repr(1 / 3 + 5)
    assert rows[1]["val/psnr"] == "20.0"


def test_resuming_without_a_table_and_starting_anew(tmp_path):
    logger = CsvLogger(tmp_path / "run")
    logger.start({}, COLUMNS, 30)
    logger.log({}, step=31, epoch=1)
    logger.finish("finished")
    assert len(table(tmp_path / "run")) == 1
    CsvLogger(tmp_path / "run").start({}, COLUMNS, 0)
    assert table(tmp_path / "run") == []


def test_a_name_that_was_not_announced_is_refused(tmp_path):
    with pytest.raises(ValueError, match="train/mse"):
        logged(tmp_path, []).log({"train/mse": 1.0}, step=1, epoch=1)


def test_another_table_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "metrics.csv").write_text("name,value\na,1\n")
    with pytest.raises(UserError, match=r"metrics\.csv"):
        CsvLogger(tmp_path).start({}, COLUMNS, 3)
    assert (tmp_path / "metrics.csv").read_text() == "name,value\na,1\n"
