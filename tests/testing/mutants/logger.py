"""Loggers broken in one way each."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

from stemcore import Logger
from stemcore.testing import LoggerExample
from tests.testing.mutation import Mutant

FILE = "record.jsonl"


class Sound(Logger):
    """A line of JSON per record; figures beside it."""

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.file = None

    def start(self, recipe, columns, step):
        path = self.directory / FILE
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept))
        self.file = path.open("a")

    def log(self, values, *, step, epoch):
        self.file.write(json.dumps({"step": step, "epoch": epoch, **values}) + "\n")

    def figure(self, name, drawing, *, step):
        drawing.savefig(self.directory / f"{name}.png", dpi=30)

    def finish(self, status):
        if self.file is not None:
            self.file.close()


class Silent(Logger):
    """Records nothing that could be read."""

    def log(self, values, *, step, epoch):
        self.last = dict(values)


def read(directory):
    return [json.loads(line) for line in (directory / FILE).read_text().splitlines()]


def examples(folder):
    return [LoggerExample(read=read)]


class WantsAll(Sound):
    def log(self, values, *, step, epoch):
        super().log({"step/loss": values["step/loss"]}, step=step, epoch=epoch)


class FiniteOnly(Sound):
    def log(self, values, *, step, epoch):
        super().log({name: int(1000 * value) for name, value in values.items()}, step=step, epoch=epoch)


class NoFigures(Sound):
    def figure(self, name, drawing, *, step):
        drawing.save(self.directory / f"{name}.png")


class Rounds(Sound):
    def log(self, values, *, step, epoch):
        super().log({name: round(value, 2) for name, value in values.items()}, step=step, epoch=epoch)


class OnePerStep(Sound):
    def log(self, values, *, step, epoch):
        if step % 5 or "val/loss" in values:
            super().log(values, step=step, epoch=epoch)


class Zeros(Sound):
    def log(self, values, *, step, epoch):
        finite = {name: value if abs(value) < 1e9 else 0.0 for name, value in values.items()}
        super().log(finite, step=step, epoch=epoch)


class Appends(Sound):
    def start(self, recipe, columns, step):
        self.file = (self.directory / FILE).open("a")


class Overwrites(Sound):
    def start(self, recipe, columns, step):
        self.file = (self.directory / FILE).open("w")


class AppendsAtZero(Sound):
    def start(self, recipe, columns, step):
        super().start(recipe, columns, step or 10**9)


class WantsTheOld(Sound):
    def start(self, recipe, columns, step):
        if step:
            (self.directory / FILE).read_text()
        super().start(recipe, columns, step)


class Here(Sound):
    def finish(self, status):
        super().finish(status)
        Path("status.txt").write_text(status)


class Above(Sound):
    def start(self, recipe, columns, step):
        super().start(recipe, columns, step)
        (self.directory.parent / "runs.txt").write_text(self.directory.name)


class ClosesNothing(Sound):
    def finish(self, status):
        self.file.close()


class EatsTheScalars(Sound):
    def log(self, values, *, step, epoch):
        super().log({"train/loss": values.pop("train/loss", 0.0)}, step=step, epoch=epoch)


class AddsColumns(Sound):
    def start(self, recipe, columns, step):
        super().start(recipe, columns, step)
        columns.insert(0, "step")


class Stamps(Sound):
    def start(self, recipe, columns, step):
        super().start(recipe, columns, step)
        recipe["logged"] = True


class ClearsTheFigure(Sound):
    def figure(self, name, drawing, *, step):
        super().figure(name, drawing, step=step)
        drawing.clear()


class Pickles(Sound):
    def finish(self, status):
        super().finish(status)
        (self.directory / "status.bin").write_bytes(pickle.dumps({"status": status}))


SOUND = [(Sound, examples), (Silent, lambda f: [LoggerExample()])]
MUTANTS = [
    Mutant("check_whole_run", WantsAll, r"log of \{'train/loss': .*\} at step 5 raised KeyError: 'step/loss'"),
    Mutant("check_whole_run", FiniteOnly, "raised OverflowError"),
    Mutant("check_whole_run", NoFigures, "figure raised AttributeError"),
    Mutant("check_values", Rounds, "in the record 'lr' of step 1 is 0.0, not 0.001", examples),
    Mutant("check_values", OnePerStep, "in the record there is no 'step/loss' of step 5", examples),
    Mutant("check_values", Zeros, "in the record 'val/score' of step 5 is 0.0, not inf", examples),
    Mutant("check_resume", Appends, "resumed from step 8 there is 'lr' of step 9 twice, first 0.0005", examples),
    Mutant("check_resume", Overwrites, "resumed from step 8 there is no 'step/loss' of step 1", examples),
    Mutant(
        "check_resume", AppendsAtZero, "started again from step 0 there is 'lr' of step 1 twice, first 0.001", examples
    ),
    Mutant("check_resume", WantsTheOld, "start raised FileNotFoundError", examples),
    Mutant("check_stays_in_its_directory", Here, "it wrote working/status.txt, outside the run directory"),
    Mutant("check_stays_in_its_directory", Above, "it wrote runs.txt, outside the run directory"),
    Mutant("check_finish_without_start", ClosesNothing, "finish without start raised AttributeError"),
    Mutant("check_leaves_inputs_alone", EatsTheScalars, "it changed the scalars to {}"),
    Mutant("check_leaves_inputs_alone", AddsColumns, "it changed the columns"),
    Mutant("check_leaves_inputs_alone", Stamps, "it changed the recipe"),
    Mutant("check_leaves_inputs_alone", ClearsTheFigure, "it changed the figure"),
    Mutant("check_no_pickle", Pickles, "status.bin is a pickle"),
]
